"""Words for senders on pages: what a class is called, what to do next, and a fix with records to copy. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dmarcworks.analytics.questions.all import DayVolume
from dmarcworks.analytics.sender_directory import DomainSender, DomainSenders
from dmarcworks.analytics.sender_key import OWN_KIND
from dmarcworks.dashboard.format import percent, plural
from dmarcworks.dashboard.verdict import Failing
from dmarcworks.enrich.senders.classify import OwnerDecision, SenderClass
from dmarcworks.enrich.senders.model import kind_words

__all__ = [
    "CLASSES",
    "DECISIONS",
    "FixPiece",
    "SendersVerdict",
    "failing_of",
    "fix_pieces",
    "kind_of",
    "senders_verdict",
    "to_do",
]

# Class → its words and the colour of its mark.
CLASSES = {
    SenderClass.aligned: ("yours, aligned", "ok"),
    SenderClass.unaligned: ("not aligned yet", "warn"),
    SenderClass.forwarder: ("forwarder", "grey"),
    SenderClass.unknown: ("unknown", "grey"),
    SenderClass.suspicious: ("suspicious", "bad"),
}
DECISIONS = {"mine": "Mine", "not_mine": "Not mine", "forwarder": "Forwarder", "ignore": "Ignore"}
# Text in backticks, or names of records: what is to be copied.
_CODE = re.compile(r"`([^`]{1,500})`|((?<![\w.])[A-Za-z0-9_*-]+(?:\.[A-Za-z0-9_*-]+)*\.DOMAIN\b)")


@dataclass(frozen=True, slots=True)
class FixPiece:
    """A stretch of a fix; `code` is to be copied."""

    text: str
    code: bool


@dataclass(frozen=True, slots=True)
class SendersVerdict:
    """The sentence that matters, and what to do next; `tone` is ok, warn or bad."""

    tone: str
    headline: str
    next: str


def fix_pieces(fix: str, domain: str) -> tuple[FixPiece, ...]:
    """A fix as text and as records to copy, with the domain put in."""
    pieces: list[FixPiece] = []
    place = 0
    for match in _CODE.finditer(fix):
        pieces.append(FixPiece(fix[place : match.start()], False))
        pieces.append(FixPiece((match[1] or match[2]).replace("DOMAIN", domain), True))
        place = match.end()
    pieces.append(FixPiece(fix[place:], False))
    return tuple(
        FixPiece(piece.text if piece.code else re.sub(r"\bDOMAIN\b", domain, piece.text), piece.code)
        for piece in pieces
        if piece.text
    )


def kind_of(row: DomainSender) -> str:
    """What stands beneath a sender's name: what the service is for, or what the group rests on."""
    if row.kind == "own":
        return "own system"
    if row.kind:
        claimed = ", by its selector only" if row.claimed else ""
        # Under a name that the owner chose, the service is still named.
        service = f"{row.service_name}, " if row.service_name not in ("", row.name) else ""
        return service + kind_words(row.kind) + claimed
    return {
        "self": "signed with your key",
        "dkim": "DKIM domain",
        "envelope": "return-path domain",
        "ptr": "host name",
        "network": "network",
        "block": "address block, nothing else is known",
    }.get(row.group.key.basis, "")


def to_do(row: DomainSender) -> str:
    """The next step for a sender, in a few words; "" for nothing."""
    if row.needs_decision:
        if row.sender_class is SenderClass.suspicious:
            return "Confirm that it is not yours"
        return "Fix it, if it is yours" if row.classification.fix else "Decide whether it is yours"
    if row.classification.fix:
        return "Fix its alignment"
    if row.sender_class is SenderClass.suspicious:
        return "Nothing: it is not yours"
    return ""


def senders_verdict(domain: str, senders: DomainSenders) -> SendersVerdict:
    """What the list of senders amounts to."""
    waiting = [row for row in senders.rows if row.needs_decision]
    fixing = [row for row in senders.rows if row.decision is not None and row.classification.open]
    if waiting:
        messages = sum(row.group.messages for row in waiting)
        verb = "needs" if len(waiting) == 1 else "need"
        headline = f"{plural(len(waiting), 'sender')} {verb} your decision: {plural(messages, 'message')}."
        return SendersVerdict("warn", headline, f"The largest is {_named(waiting)}. {_rest(fixing)}".strip())
    if fixing:
        verb = "is" if len(fixing) == 1 else "are"
        headline = f"{plural(len(fixing), 'sender')} of yours {verb} not aligned yet."
        return SendersVerdict(
            "warn", headline, f"The largest is {_named(fixing)}. It stays open until reports show the fix."
        )
    return SendersVerdict("ok", f"No sender of {domain} needs your decision.", "No fix is open.")


def failing_of(senders: DomainSenders, peak: DayVolume | None) -> Failing | None:
    """Who sends what fails: of those that wait for their owner the largest, else of all."""
    failing = senders.failing
    if not failing:
        return None
    worst = next((row for row in failing if row.classification.open), None)
    named = worst or failing[0]
    return Failing(
        named.name,
        named.group.failed,
        len(failing),
        named.id,
        worst is None,
        peak,
        mine=_is_mine(named),
        not_mine=sum(row.group.failed for row in failing if _decided(row) is OwnerDecision.not_mine),
    )


def _decided(row: DomainSender) -> OwnerDecision | None:
    return row.decision.decision if row.decision else None


def _is_mine(row: DomainSender) -> bool:
    return _decided(row) is OwnerDecision.mine or (row.decision is None and row.kind == OWN_KIND)


def _named(rows: Sequence[DomainSender]) -> str:
    largest = max(rows, key=lambda row: row.group.messages)
    group = largest.group
    return f"{largest.name}, {plural(group.messages, 'message')}, {percent(group.passed, group.messages)} aligned"


def _rest(fixing: Sequence[DomainSender]) -> str:
    verb = "is" if len(fixing) == 1 else "are"
    return f"{plural(len(fixing), 'fix', 'fixes')} of your own senders {verb} still open." if fixing else ""
