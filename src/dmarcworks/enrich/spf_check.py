"""SPF (RFC 7208) over known answers: a result, or the query whose answer is missing.

The library queries DNS in the middle of its work. Here it runs again with each answer, so that it needs no network and
can be stopped at any time; at most ten terms cause a query, so that the runs are few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import spf

from dmarcworks.enrich.dkim.tags import BrokenError, domain

Question = tuple[str, str]
Answers = Mapping[Question, Sequence[Any] | None]
"""By name and type: the records, or None when DNS gave no answer."""

UNABLE = "temperror"
# Records are a few hundred bytes; the library's time grows with the square of their length.
_RECORD_BYTES = 4_096
_WORDS = {"ambiguous": "permerror", "unknown": "permerror", "error": UNABLE}


@dataclass(frozen=True, slots=True)
class Needed:
    """The next query to run."""

    name: str
    kind: str


class _MissingError(Exception):
    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name, kind)
        self.needed = Needed(name, kind)


class _Query(spf.query):  # type: ignore[misc]  # the library has no types
    """The library's evaluation over what is known."""

    def know(self, answers: Answers) -> None:
        """Answer from these."""
        self._answers = answers

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        """The library's one way to DNS."""
        name = str(name).rstrip(".").lower()
        labels = name.split(".")
        if not name or len(name) > 253 or any(not 0 < len(label) < 64 for label in labels) or qtype == "SPF":
            return []
        if (name, qtype) not in self._answers:
            raise _MissingError(name, qtype)
        records = self._answers[name, qtype]
        if records is None:
            raise spf.TempError(f"DNS gave no answer about {name}")
        if qtype == "TXT":
            records = [(text,) for text in records]
            if any(len(text) > _RECORD_BYTES and text[:6].lower() == b"v=spf1" for (text,) in records):
                raise spf.PermError(f"the record of {name} has more than {_RECORD_BYTES} bytes")
        if not records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"Void lookup limit of {spf.MAX_VOID_LOOKUPS} exceeded")
        return list(records)

    def get_explanation(self, spec: str) -> None:
        """The text of `exp=` is never used, so it is not queried."""


def spf_domain(helo: str, sender: str) -> str:
    """The domain that is checked: the envelope sender's, else HELO's; "" for what is no domain name."""
    try:
        return domain((sender.rpartition("@")[2] or helo)[:1000])
    except BrokenError:
        return ""


def spf_step(peer: str, helo: str, sender: str, answers: Answers) -> str | Needed:
    """The result as RFC 8601 words it, or what must be known first."""
    if not peer or not spf_domain(helo, sender):
        return "none"
    local = sender.rpartition("@")[0] or "postmaster"
    try:
        query = _Query(peer, f"{local[:256]}@{spf_domain(helo, sender)}", helo[:255])
        query.know(answers)
        result = str(query.check()[0])
    except _MissingError as missing:
        return missing.needed
    # A library on records of strangers: whatever it trips over is an error of the record.
    except Exception:
        return "permerror"
    return _WORDS.get(result, result)
