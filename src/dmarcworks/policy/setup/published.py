"""What DNS answers about the records of a domain's set-up, as values that are stored as JSON. Pure.

The texts are written by strangers: their number and length are bounded here, and who shows them escapes them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from dmarcworks.enrich.dmarc_policy import is_dmarc_record

__all__ = ["CHALLENGE_LABEL", "PublishedRecords", "ReportTarget", "bounded_texts", "challenge_value"]

# Where a domain's owner publishes the proof, and what: the token of the account's address for reports.
CHALLENGE_LABEL = "_dmarcworks-challenge"
_CHALLENGE = "dmarcworks-verification="
_TEXTS, _CHARACTERS = 20, 2_048


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """The domain of an address for reports. None where DNS gave no answer.

    `receives_mail`: mail can be delivered there, to `mail_hosts`. `authorised`: it may receive reports about the
    domain.
    """

    host: str
    receives_mail: bool | None = None
    authorised: bool | None = None
    mail_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedRecords:
    """The answers of one check, for the address `rua`. A list of texts is None where DNS gave no answer.

    `alias` is where `_dmarc` leads as a CNAME, `zone` the zone that holds the record, "" where it is not known.
    `inherited_from` is the domain whose record applies to one without a record of its own. `custom` are addresses in
    the record's rua that routing rules bring to this system. `ttl`: for how many seconds DNS servers may repeat the
    answer about the DMARC record.
    """

    rua: str
    dmarc: tuple[str, ...] | None = None
    alias: str = ""
    zone: str = ""
    name_servers: tuple[str, ...] = ()
    inherited_from: str = ""
    inherited_policy: str = ""
    inherited_testing: bool = False
    tls: tuple[str, ...] | None = None
    challenge: tuple[str, ...] | None = None
    mail_hosts: tuple[str, ...] | None = None
    spf: tuple[str, ...] | None = None
    targets: tuple[ReportTarget, ...] = ()
    custom: tuple[str, ...] = ()
    ttl: int | None = None

    @property
    def dmarc_records(self) -> tuple[str, ...]:
        """The texts that receivers recognise as DMARC records; several count as none."""
        return tuple(text for text in self.dmarc or () if is_dmarc_record(text))

    def target(self, host: str) -> ReportTarget:
        """The answers about the domain of an address."""
        return next((one for one in self.targets if one.host == host), ReportTarget(host))

    def to_json(self) -> str:
        """As `from_json` reads it."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> PublishedRecords | None:
        """The answers of a check; None before the first one, and for what another version wrote."""
        try:
            values: Any = json.loads(text)
            known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
            targets = tuple(
                ReportTarget(**{**one, "mail_hosts": tuple(one["mail_hosts"])}) for one in values["targets"]
            )
            lists = {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
            return cls(**{**known, **lists, "targets": targets})
        except (ValueError, TypeError, KeyError):
            return None


def bounded_texts(texts: list[str]) -> tuple[str, ...]:
    """Texts as they are kept; a name server returns them in any order."""
    return tuple(sorted(text[:_CHARACTERS] for text in texts[:_TEXTS]))


def challenge_value(token: str) -> str:
    """The text that proves a domain."""
    return f"{_CHALLENGE}{token}"
