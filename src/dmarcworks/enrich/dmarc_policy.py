"""The DMARC record that holds for a domain, and whether two domains are one organisation's: RFC 9989's tree walk.

At most eight questions a walk. Several records at a name are none. "psd=n" ends a walk at its name, "psd=y" one label
below it, else the shortest name with a record is the organisation's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_QUESTIONS = 8
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")
DnsQuery = Callable[[str, str, float], list[Any]]
"""Name, type and deadline → the records."""
NameExists = Callable[[str, float], bool]
"""Name and deadline → whether the name exists: any answer but NXDOMAIN (RFC 8020)."""


@dataclass(frozen=True, slots=True)
class DmarcPolicy:
    """What a record requests: none, quarantine or reject for this domain; whether alignment is strict."""

    action: str
    strict_dkim: bool
    strict_spf: bool


class PolicyFinder:
    """Queries each record once; `deadline` in seconds of time.monotonic."""

    def __init__(self, resolver: DnsQuery, exists: NameExists, deadline: float) -> None:
        self._resolver = resolver
        self._exists = exists
        self._deadline = deadline
        self._records: dict[str, dict[str, str] | None] = {}

    def policy(self, domain: str) -> DmarcPolicy | None:
        """The policy for mail from the domain; None when nobody publishes one."""
        own = self._record(domain)
        if own is not None:
            return _policy(own, ("p",))
        organizational = self.organisation(domain)
        record = self._record(organizational)
        suffix = organizational.partition(".")[2]
        if record is None and suffix and self._psd(suffix) == "y":
            record = self._record(suffix)
        return None if record is None else _policy(record, self._levels(record, domain))

    def _levels(self, record: dict[str, str], domain: str) -> tuple[str, ...]:
        """The tags of a record above the domain, the first one counts: np for a name that does not exist.

        Whether it exists is only queried where that can matter (RFC 9989 sections 3.2.14 and 4.7).
        """
        existing = ("sp", "p")
        return existing if "np" not in record or self._exists(domain, self._deadline) else ("np", *existing)

    def aligned(self, author: str, domain: str, strict: bool) -> bool:
        """Whether an authenticated domain stands for the author's."""
        if author == domain:
            return True
        if strict or not domain:
            return False
        own = self.organisation(author)
        # Domains outside the author's organisation are not queried: unrelated name servers must not affect the result.
        return own == domain or (domain.endswith("." + own) and own == self.organisation(domain))

    def organisation(self, domain: str) -> str:
        """The organisational domain; the domain itself when no record names another."""
        return organizational_domain(domain, self._psd)

    def _psd(self, name: str) -> str | None:
        record = self._record(name)
        return None if record is None else record.get("psd", "u").lower()

    def _record(self, name: str) -> dict[str, str] | None:
        if name not in self._records:
            answers = self._resolver(f"_dmarc.{name}", "TXT", self._deadline)
            read = [_tags(answer.decode("utf-8", "replace")) for answer in answers]
            ours = [tags for tags in read if tags is not None]
            self._records[name] = ours[0] if len(ours) == 1 else None
        return self._records[name]


def tree_walk(domain: str) -> list[str]:
    """The names to query, from the domain upwards; a long name continues with its last seven labels."""
    labels = domain.split(".")
    rest = labels[1:] if len(labels) < _QUESTIONS else labels[-(_QUESTIONS - 1) :]
    return [domain, *(".".join(rest[index:]) for index in range(len(rest)))]


def organizational_domain(domain: str, psd_at: Callable[[str], str | None]) -> str:
    """The organizational domain (RFC 9989 section 4.10.2); the domain itself when no record names another.

    `psd_at` returns the value of "psd" in lower case in the one record of a name, None for a name without exactly one.
    """
    shortest = domain
    for name in tree_walk(domain):
        psd = psd_at(name)
        if psd is None:
            continue
        if psd == "n":
            return name
        if psd == "y":
            return domain if name == domain else ".".join(domain.split(".")[-(name.count(".") + 2) :])
        shortest = name
    return shortest


def is_dmarc_record(text: str) -> bool:
    """Whether a text is a DMARC record: it begins with the version, which is case-sensitive (RFC 9989 section 4.8)."""
    return _VERSION.match(text) is not None


def _tags(text: str) -> dict[str, str] | None:
    """A record's tags; None when it is no DMARC record."""
    if not is_dmarc_record(text):
        return None
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    return {name.strip().lower(): value.strip() for name, _, value in reversed(parts)}


def _policy(tags: dict[str, str], levels: tuple[str, ...]) -> DmarcPolicy:
    requested = next((tags[name] for name in levels if name in tags), "none").lower()
    action = requested if requested in ("none", "quarantine", "reject") else "none"
    if tags.get("t", "n").lower() == "y":
        action = {"reject": "quarantine", "quarantine": "none"}.get(action, action)
    return DmarcPolicy(action, tags.get("adkim", "r").lower() == "s", tags.get("aspf", "r").lower() == "s")
