"""The entry conditions of a step of a policy, checked on the owner's data. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from dmarcworks.enrich.senders.classify import SUSPICIOUS_MESSAGES, SenderClass
from dmarcworks.policy.in_force import PolicyInForce
from dmarcworks.policy.replay import PolicyReplay, ReplayedSender
from dmarcworks.policy.steps import strictest
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["Condition", "PolicyThresholds", "conditions", "losing", "percent_for"]

# Senders that are named one by one; the rest is counted.
NAMED = 20
# Days without a report after which the figures no longer show the present.
SILENT_DAYS = 4


@dataclass(frozen=True, slots=True)
class PolicyThresholds:
    """What must be met before a step is advised; the settings `policy_…`."""

    watch_days: int = 14
    messages: int = 100
    reporters: int = 2
    quarantine_percent: float = 98.0
    reject_percent: float = 99.5


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition: a stable code, a sentence with the figures, and whether it is met."""

    code: str
    message: str
    met: bool


def percent_for(policy: DomainPolicy, thresholds: PolicyThresholds) -> Fraction:
    """The share of mail that must be aligned under the policy, in percent."""
    reject = strictest(policy) == "reject"
    # The decimal text is exact: 99.5 is 199/2.
    return Fraction(str(thresholds.reject_percent if reject else thresholds.quarantine_percent))


def losing(replay: PolicyReplay, thresholds: PolicyThresholds) -> tuple[ReplayedSender, ...]:
    """The senders that are yours and of whose mail the policy affects more than the thresholds allow."""
    allowed = 100 - percent_for(replay.policy, thresholds)
    return tuple(
        one for one in replay.senders if one.yours and one.effect.affected * 100 > allowed * one.effect.messages
    )


def conditions(
    force: PolicyInForce, step: PolicyReplay, reporters: int, today: date, thresholds: PolicyThresholds
) -> Iterator[Condition]:
    """All conditions of a step, whose replay is `step`; those that concern single senders follow one by one."""
    yield _recent(force, today)
    yield _watched(force, thresholds)
    messages = step.total.messages
    yield Condition(
        "volume",
        f"The period has {_count(messages, 'message')}; {thresholds.messages:,} are required.",
        messages >= thresholds.messages,
    )
    yield Condition(
        "reporters",
        f"{_count(reporters, 'reporter')} sent reports about the period; {thresholds.reporters:,} are required.",
        reporters >= thresholds.reporters,
    )
    yield _own_mail(step, thresholds)
    yield from _losing(step, thresholds)
    yield from _undecided(step)
    yield from _forwarders(step)
    yield from _unlisted(step)


def _recent(force: PolicyInForce, today: date) -> Condition:
    silent = (today - force.newest).days
    return Condition(
        "recent_reports",
        f"The newest report about this policy is about {force.newest}, {_count(max(silent, 0), 'day')} ago;"
        f" it may be {SILENT_DAYS} days at most.",
        silent <= SILENT_DAYS,
    )


def _watched(force: PolicyInForce, thresholds: PolicyThresholds) -> Condition:
    return Condition(
        "watched_days",
        f"Reports show {force.policy.text} since {force.since}, for {_count(force.days, 'day')};"
        f" {thresholds.watch_days:,} are required.",
        force.days >= thresholds.watch_days,
    )


def _own_mail(step: PolicyReplay, thresholds: PolicyThresholds) -> Condition:
    own, wanted = step.yours, percent_for(step.policy, thresholds)
    if not own.messages:
        return Condition("own_mail", "No mail of this period is from a sender that is yours.", True)
    kept = own.messages - own.affected
    return Condition(
        "own_mail",
        f"{step.policy.text} would keep {kept:,} of {own.messages:,} messages of your own senders"
        f" ({_percent(kept, own.messages)}); {_decimal(wanted)} % are required.",
        kept * 100 >= wanted * own.messages,
    )


def _losing(step: PolicyReplay, thresholds: PolicyThresholds) -> Iterator[Condition]:
    lossy = losing(step, thresholds)
    for one in lossy[:NAMED]:
        fix = one.row.classification.fix if one.row else None
        yield Condition("sender_to_fix", f"{_figures(one)} It is yours.{_fix(fix, step.domain)}", False)
    yield from _more("sender_to_fix", lossy, "of your senders would lose mail")
    if not lossy:
        allowed = _decimal(100 - percent_for(step.policy, thresholds))
        yield Condition("senders_to_fix", f"No sender of yours would lose more than {allowed} % of its mail.", True)


def _undecided(step: PolicyReplay) -> Iterator[Condition]:
    waiting = [one for one in step.senders if _waits(one)]
    for one in waiting[:NAMED]:
        fix = one.row.classification.fix if one.row else None
        message = f"{_figures(one)} Decide whether it is yours.{_fix(fix, step.domain, ' If it is:')}"
        yield Condition("sender_undecided", message, False)
    yield from _more("sender_undecided", waiting, "wait for your decision")
    if not waiting:
        yield Condition("senders_undecided", "No sender with affected mail waits for your decision.", True)


def _waits(one: ReplayedSender) -> bool:
    """Whether a decision is needed first: suspicious senders are what the policy is for; a few messages are noise."""
    if one.row is None or not one.row.needs_decision or not one.effect.affected:
        return False
    unknown = one.sender_class is SenderClass.unknown
    return one.sender_class is SenderClass.unaligned or (unknown and one.effect.affected >= SUSPICIOUS_MESSAGES)


def _forwarders(step: PolicyReplay) -> Iterator[Condition]:
    """Reject also hits mail that a forwarder or a mailing list changed: its owner must accept this (RFC 9989 §7.4)."""
    hit = [one for one in step.senders if one.sender_class is SenderClass.forwarder and one.effect.affected]
    reject = strictest(step.policy) == "reject"
    for one in hit[:NAMED]:
        decided = one.row is not None and one.row.decision is not None
        accepted = (
            "Your decision accepts this." if decided else "Decide that it is a forwarder if you accept this." * reject
        )
        yield Condition("forwarder", f"{_figures(one)} It forwards mail. {accepted}".strip(), decided or not reject)
    rest = hit[NAMED:]
    if rest:
        open_ = reject and any(one.row is None or one.row.decision is None for one in rest)
        yield Condition("forwarder", f"{len(rest):,} more forwarders are affected.", not open_)
    if not hit:
        yield Condition("forwarders", "No forwarder is affected.", True)


def _unlisted(step: PolicyReplay) -> Iterator[Condition]:
    if step.rest.affected:
        yield Condition(
            "senders_unlisted",
            f"{step.rest.affected:,} affected messages are from senders beyond the {len(step.senders):,} largest,"
            " which are not classified.",
            False,
        )


def _more(code: str, senders: Sequence[ReplayedSender], what: str) -> Iterator[Condition]:
    if len(senders) > NAMED:
        yield Condition(code, f"{len(senders) - NAMED:,} more {what}.", False)


def _figures(one: ReplayedSender) -> str:
    effect = one.effect
    return f"{one.name}: {effect.affected:,} of {_count(effect.messages, 'message')} would be affected."


def _fix(fix: str | None, domain: str, before: str = "") -> str:
    return f"{before} {fix.replace('DOMAIN', domain)}" if fix else ""


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _decimal(value: Fraction) -> str:
    return f"{float(value):g}"


def _percent(part: int, whole: int) -> str:
    """Rounded down, so that a share below a threshold is not shown as the threshold."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02d} %"
