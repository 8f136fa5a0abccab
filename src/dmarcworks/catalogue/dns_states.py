"""Values of the history of DNS records: what was observed, a state, a change between two states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = ["DnsChange", "DnsState", "ObservedRecords", "RecordKind", "StoredCard"]


class RecordKind(StrEnum):
    """What the records are for."""

    dmarc = "dmarc"
    # Whether the domain of another accepts reports about this one: `<domain>._report._dmarc.<target>`.
    authorisation = "authorisation"
    spf = "spf"
    # The SPF record of a name that the domain's own record includes.
    spf_include = "spf-include"
    dkim = "dkim"
    mx = "mx"
    mta_sts = "mta-sts"
    mta_sts_policy = "mta-sts-policy"
    tls_rpt = "tls-rpt"
    bimi = "bimi"
    dnssec = "dnssec"


@dataclass(frozen=True, slots=True)
class ObservedRecords:
    """What a look-up of a name found: its records, none when there are none; `failure` when nobody answered.

    `codes` are those of the findings about it; None where it was looked up without being checked.
    """

    kind: RecordKind
    name: str
    records: tuple[str, ...] = ()
    failure: str = ""
    codes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DnsState:
    """The records of a name while they stayed the same; none: the name had no such record.

    `last_seen` is the newest look-up that found them, `checked` the newest one at all; `failure` is why that one had no
    answer. `current` is False for what was followed by another state, or is not looked up any more.
    """

    id: int
    kind: RecordKind
    name: str
    records: tuple[str, ...]
    digest: str
    codes: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    checked: datetime
    failure: str
    resolver: str
    current: bool
    shortened: bool = False


@dataclass(frozen=True, slots=True)
class DnsChange:
    """Records that changed at some time after `after` (the newest look-up that found them as before) and until `at`.

    `before` is None when the name is new to the history: what was published earlier is not known.
    """

    before: DnsState | None
    now: DnsState

    @property
    def at(self) -> datetime:
        """When the new state was seen first."""
        return self.now.first_seen

    @property
    def after(self) -> datetime | None:
        """When the state of before was seen last; None when there is none."""
        return None if self.before is None else self.before.last_seen


@dataclass(frozen=True, slots=True)
class StoredCard:
    """The newest report card of a domain as it was stored; `answered` is False when DNS did not answer."""

    checked: datetime
    resolver: str
    answered: bool
    card: dict[str, Any]
