"""What a sender is to the owner of a domain: a class with reasons, from sums over its messages. Pure.

The owner's decision comes first; without one the figures decide. The thresholds are the constants below, each with its
reason. More aligned mail never makes a class worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from dmarcworks.enrich.senders.model import SenderKind, SendingService

__all__ = ["OwnerDecision", "SenderClass", "SenderClassification", "SenderSums", "classify"]

# A sender that aligns for this share is good: the rest is forwarded mail, mostly, whose signature a relay has broken.
ALIGNED_PERCENT = 98
# Half of the mail that does not align has signs of forwarding: chance does not give so many.
FORWARDED_PERCENT = 50
# Below this share, single aligned messages may be forwarded copies that passed; from it on the system has your key or
# your envelope domain, so it is one of yours.
OWN_PERCENT = 5
# Fewer messages show no pattern.
SUSPICIOUS_MESSAGES = 10
# One system sends from one or two countries and a few networks; this many are machines of many owners.
MANY_COUNTRIES = 5
MANY_NETWORKS = 10
# Mail servers have a PTR, since large receivers require one; most hijacked machines have none.
PTR_PERCENT = 50
# A campaign of abuse ends when it is blocked; a system that you use sends for longer.
SHORT_LIFE_DAYS = 3
# One of these signs alone is common among honest senders.
SUSPICIOUS_SIGNS = 2
# Below this confidence a name is the owner's own table or less, and no fix belongs to it.
KNOWN_CONFIDENCE = 0.5

_OVERRIDES = ("forwarded", "mailing_list", "trusted_forwarder")
_FORWARDERS = (SenderKind.forwarder, SenderKind.mailing_list)
# Kinds whose hosts relay mail of others as well: a name of theirs does not show that the mail is yours.
_RELAYS = (
    SenderKind.isp,
    SenderKind.university,
    SenderKind.government,
    SenderKind.hosting,
    SenderKind.security_gateway,
)
_RELAYS_AND_MAILBOXES = (*_RELAYS, SenderKind.mailbox_provider, SenderKind.other)
_OWN_FIX = (
    "If this system is yours, have it sign with DKIM using your domain, or use an envelope domain of yours whose SPF"
    " record lists its addresses."
)


class OwnerDecision(StrEnum):
    """What the owner of a domain knows about a sender."""

    mine = "mine"
    not_mine = "not_mine"
    forwarder = "forwarder"
    ignore = "ignore"


class SenderClass(StrEnum):
    """What a sender is to the owner, best first."""

    aligned = "aligned"
    forwarder = "forwarder"
    unaligned = "unaligned"
    unknown = "unknown"
    suspicious = "suspicious"


@dataclass(frozen=True, slots=True)
class SenderSums:
    """A sender's messages in a period. What cannot be is bounded: no part is larger than `messages`.

    `aligned` is by DKIM, SPF or both. Of the messages that are not aligned: `overrides` counts them by the reason of a
    policy override, `arc` those that the receiver trusted for their ARC chain, `srs` those with a rewritten envelope.
    `survived` counts messages aligned by DKIM alone whose SPF failed for a domain of the owner, or whose envelope was
    rewritten: forwarding that the signature survived. `with_ptr` counts messages from addresses that have a PTR.
    """

    messages: int
    aligned: int = 0
    dkim_aligned: int = 0
    spf_aligned: int = 0
    overrides: Mapping[str, int] = field(default_factory=dict)
    arc: int = 0
    srs: int = 0
    survived: int = 0
    countries: int = 0
    networks: int = 0
    with_ptr: int = 0
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class SenderClassification:
    """The class, why, and what to do. `open`: it waits for the owner's decision, or for newer reports to show a fix."""

    sender_class: SenderClass
    because: tuple[str, ...]
    fix: str | None = None
    open: bool = False
    ignored: bool = False


_DECIDED_MINE = "You decided that this sender is yours."
_NAMED_OWN = "You named it as a system of your own."


def classify(
    sums: SenderSums,
    *,
    service: SendingService | None = None,
    kind: SenderKind | None = None,
    confidence: float = 0.0,
    decision: OwnerDecision | None = None,
    own: bool = False,
) -> SenderClassification:
    """The class of one sender; `service` is its catalogue entry, `kind` and `confidence` are its identification's.

    `own`: the owner gave it a name, which shows that it is theirs as long as no decision states something else.
    """
    figures = _Figures(sums, service.kind if service is not None else kind, confidence)
    fix = service.fix if service is not None else _OWN_FIX
    if decision is OwnerDecision.mine or (own and decision is None):
        return _mine(figures, fix, _DECIDED_MINE if decision else _NAMED_OWN)
    if decision is OwnerDecision.not_mine:
        return _not_mine(figures)
    if decision is OwnerDecision.forwarder:
        return SenderClassification(
            SenderClass.forwarder, ("You decided that this sender forwards mail.", figures.share)
        )
    sender_class, because = figures.judged()
    ignored = decision is OwnerDecision.ignore
    if ignored:
        because = ("You decided to ignore this sender.", *because)
    good = sender_class in (SenderClass.aligned, SenderClass.forwarder)
    unaligned = sender_class is SenderClass.unaligned
    return SenderClassification(sender_class, because, fix if unaligned else None, not good and not ignored, ignored)


def _mine(figures: _Figures, fix: str, known: str) -> SenderClassification:
    if figures.good:
        return SenderClassification(SenderClass.aligned, (known, *figures.good_reasons()))
    because = (known, figures.share, "Reports do not show the alignment yet.")
    return SenderClassification(SenderClass.unaligned, because, fix, open=True)


def _not_mine(figures: _Figures) -> SenderClassification:
    because = ["You decided that this sender is not yours.", figures.share]
    if figures.aligned:
        because.append("Aligned mail means that it has a DKIM key of yours or is in your SPF record: remove it there.")
    return SenderClassification(SenderClass.suspicious, tuple(because))


class _Figures:
    """The sums, bounded, and what they show."""

    def __init__(self, sums: SenderSums, kind: SenderKind | None, confidence: float) -> None:
        self._sums = sums
        self._kind = kind
        self._known = kind is not None and confidence >= KNOWN_CONFIDENCE
        self.messages = max(sums.messages, 0)
        self.aligned = self._bounded(max(sums.aligned, sums.dkim_aligned, sums.spf_aligned))
        self._unaligned = self.messages - self.aligned
        signs = (sum(sums.overrides.get(reason, 0) for reason in _OVERRIDES), sums.arc, sums.srs)
        # One message may have several signs: the most frequent one is the least number of forwarded messages.
        self._explained = min(self._unaligned, max(0, *signs))
        self._survived = min(self.aligned, max(sums.survived, 0))
        # The part that forwarding explains counts as good for a sender whose mail aligns otherwise.
        good = self.aligned + (self._explained if self.aligned * 2 >= self.messages else 0)
        self.good = self.messages > 0 and good * 100 >= ALIGNED_PERCENT * self.messages
        self.share = (
            f"{self.aligned:,} of {self.messages:,} messages are aligned ({_percent(self.aligned, self.messages)})."
        )

    def _bounded(self, number: int) -> int:
        return min(max(number, 0), self.messages)

    def judged(self) -> tuple[SenderClass, tuple[str, ...]]:
        """The class that the figures give, and why."""
        if not self.messages:
            return SenderClass.unknown, ("There are no messages in this period.",)
        if self._kind in _FORWARDERS:
            return SenderClass.forwarder, ("The service forwards mail or runs mailing lists.", self.share)
        service = self._known and self._kind not in _RELAYS_AND_MAILBOXES
        if self.good and (service or self._survived * 100 < FORWARDED_PERCENT * self.messages):
            return SenderClass.aligned, self.good_reasons()
        if not service and (forwarded := self._forwarded()):
            return SenderClass.forwarder, (*forwarded, self.share)
        if self._known and self._kind not in _RELAYS:
            return SenderClass.unaligned, ("The service is known, but its mail is not aligned yet.", self.share)
        if self.aligned * 100 >= OWN_PERCENT * self.messages:
            return SenderClass.unaligned, ("Part of its mail is aligned, so it is probably yours.", self.share)
        signs = self._suspicious()
        if not self.aligned and self.messages >= SUSPICIOUS_MESSAGES and len(signs) >= SUSPICIOUS_SIGNS:
            return SenderClass.suspicious, ("Its mail is never aligned.", *signs)
        return SenderClass.unknown, ("Nothing shows whose system this is.", self.share, *signs)

    def good_reasons(self) -> tuple[str, ...]:
        """Why its alignment is good, the rest explained."""
        if not self._unaligned:
            return (self.share,)
        forwarded = f"{self._explained:,} of the others have signs of forwarding, which breaks signatures."
        rest = forwarded if self._explained else f"At {ALIGNED_PERCENT} % or more, the rest is mostly forwarded mail."
        return self.share, rest

    def _forwarded(self) -> tuple[str, ...]:
        reasons = []
        if self._survived and self._survived >= self._unaligned:
            reasons.append(
                f"SPF does not align in {self._survived:,} messages while your DKIM signature passes,"
                " as after forwarding."
            )
        if self._explained and self._explained * 100 >= FORWARDED_PERCENT * self._unaligned:
            reasons.append(f"{self._explained:,} of {self._unaligned:,} messages that are not aligned {self._sign()}.")
        return tuple(reasons)

    def _sign(self) -> str:
        if self._sums.srs >= self._explained:
            return "have an envelope that a forwarder rewrote (SRS)"
        if self._sums.arc >= self._explained:
            return "were trusted for their ARC chain"
        return "were exempted from the policy as forwarded or mailing-list mail"

    def _suspicious(self) -> tuple[str, ...]:
        sums = self._sums
        signs = []
        if sums.countries >= MANY_COUNTRIES:
            signs.append(f"It sends from {sums.countries:,} countries.")
        if sums.networks >= MANY_NETWORKS:
            signs.append(f"It sends from {sums.networks:,} networks.")
        with_ptr = self._bounded(sums.with_ptr)
        if with_ptr * 100 < PTR_PERCENT * self.messages:
            signs.append(
                f"{_percent(self.messages - with_ptr, self.messages)} of its messages are from addresses without a PTR."
            )
        if sums.first_day is not None and sums.last_day is not None:
            days = (sums.last_day - sums.first_day).days + 1
            if 0 < days <= SHORT_LIFE_DAYS:
                signs.append(f"All of its messages were sent within {days} day{'' if days == 1 else 's'}.")
        return tuple(signs)


def _percent(part: int, whole: int) -> str:
    """Rounded down to a tenth: 97.96 % is not shown as 98 %. None and all are exact, as on the pages."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10} %"
