"""A DMARC record as RFC 9989 section 4.8 defines it, and the policy that it requests. Pure.

The section numbers are those of draft-ietf-dmarc-dmarcbis-41, the last draft of the working group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dmarcworks.enrich.dmarc_policy import is_dmarc_record
from dmarcworks.policy.dns_records.report_uris import ReportUri, report_uris
from dmarcworks.policy.dns_records.tag_list import RecordTag, record_tags

__all__ = ["KNOWN_TAGS", "POLICIES", "TAG_VALUES", "DmarcRecord", "RequestedPolicy", "dmarc_record"]

POLICIES = ("none", "quarantine", "reject")
# The values of the tags that have fixed ones, the default first; a policy has none.
TAG_VALUES = {"adkim": ("r", "s"), "aspf": ("r", "s"), "psd": ("u", "n", "y"), "t": ("n", "y")}
OBSOLETE_TAGS = ("pct", "rf", "ri")
KNOWN_TAGS = ("v", "p", "sp", "np", *TAG_VALUES, "fo", "rua", "ruf", *OBSOLETE_TAGS)


@dataclass(frozen=True, slots=True)
class RequestedPolicy:
    """What a record requests at one level, and the tag that it comes from; `policy` before `t` is applied."""

    policy: str
    tag: str


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A record that receivers recognise. `values` has the first of each tag, as written."""

    text: str
    tags: tuple[RecordTag, ...]
    values: dict[str, str] = field(default_factory=dict)
    rua: tuple[ReportUri, ...] = ()
    ruf: tuple[ReportUri, ...] = ()

    def policy(self, tag: str) -> str | None:
        """The value of p, sp or np; None when it is absent or not valid."""
        value = self.values.get(tag, "").lower()
        return value if value in POLICIES else None

    def choice(self, tag: str) -> str:
        """The value of adkim, aspf, psd or t; the default for one that is not valid."""
        value = self.values.get(tag, "").lower()
        return value if value in TAG_VALUES[tag] else TAG_VALUES[tag][0]

    @property
    def testing(self) -> bool:
        """Whether t=y requests the policy one step weaker."""
        return self.choice("t") == "y"

    @property
    def faulty_policy(self) -> bool:
        """Whether p is missing or invalid, or sp or np invalid (RFC 9989 section 4.10.1)."""
        broken = any(tag in self.values and self.policy(tag) is None for tag in ("sp", "np"))
        return broken or self.policy("p") is None

    def requested(self, level: Sequence[str]) -> RequestedPolicy | None:
        """The policy of the first tag of a level, such as ("np", "sp", "p"); None: receivers apply no DMARC."""
        if self.faulty_policy:
            return RequestedPolicy("none", "p") if any(uri.valid for uri in self.rua) else None
        for tag in level:
            if (policy := self.policy(tag)) is not None:
                return RequestedPolicy(policy, tag)
        return None


def dmarc_record(text: str) -> DmarcRecord | None:
    """The record of a text; None when receivers would not recognise it as one."""
    if not is_dmarc_record(text):
        return None
    tags = tuple(record_tags(text))
    values: dict[str, str] = {}
    for tag in tags:
        if tag.name in KNOWN_TAGS:
            values.setdefault(tag.name, tag.value)
    rua, ruf = (tuple(report_uris(values.get(name, ""))) for name in ("rua", "ruf"))
    return DmarcRecord(text, tags, values, rua, ruf)
