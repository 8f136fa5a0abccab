"""A headline on the state of a domain, and a sentence on what to do next. Pure: from figures, never invented.

The owner of a sender cannot be derived from figures alone, so the text names what fails and the user decides. What was
decided is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.all import DayVolume, Figures
from dmarcworks.dashboard.format import day as day_text
from dmarcworks.dashboard.format import number, percent, plural
from dmarcworks.policy.advice import effect_on_strangers
from dmarcworks.policy.tags import DomainPolicy

# Days without a report before the page warns: reporters send daily, but some skip quiet days.
SILENT_DAYS = 4
_FALL_POINTS = 5.0
_SETTLED = "No sender needs your decision, and no fix is open."


@dataclass(frozen=True, slots=True)
class Verdict:
    """`tone` is ok, warn or bad; `link` is where to go next: sender, senders, setup or nothing."""

    tone: str
    headline: str
    next: str
    link: str = ""
    # The id of the sender that `link` leads to.
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Failing:
    """Who sent the messages that failed: the largest sender that waits for its owner, and how many senders there are.

    `settled`: every sender that fails was decided on, or is good otherwise. `mine`: the named one is decided to be the
    owner's, or is an own system. `not_mine` are the failed messages of senders decided not to be. `peak` is the worst
    day.
    """

    name: str
    failed: int
    senders: int
    sender: str = ""
    settled: bool = False
    peak: DayVolume | None = None
    mine: bool = False
    not_mine: int = 0


def verdict(
    current: Figures,
    before: Figures,
    failing: Failing | None,
    newest: date | None,
    today: date,
    policy: DomainPolicy | None = None,
) -> Verdict:
    """The most important fact about the period; `policy` is the domain's own as reports found it published."""
    silent = (today - newest).days if newest is not None else 0
    if newest is not None and silent > SILENT_DAYS:
        return Verdict(
            "warn",
            f"No report about the last {silent:,} days.",
            f"The newest is about {day_text(newest)}. If the domain still sends mail, check that its DMARC record "
            "still names this system." + (f" {_headline(current)}" if current.failed else ""),
            "setup",
        )
    if not current.messages:
        return Verdict("warn", "No messages in this period.", "Choose a longer period, or wait for the next reports.")
    if not current.failed:
        return Verdict(
            "ok",
            f"All {number(current.messages)} messages passed DMARC."
            if current.messages > 1
            else "The only message passed DMARC.",
            f"No action is needed. {plural(current.reporters, 'reporter')} saw {_sources(current)}.",
            "senders",
        )
    headline = _headline(current)
    tone = "warn"
    if before.messages and 100 * (before.passed / before.messages - current.passed / current.messages) >= _FALL_POINTS:
        tone = "bad"
        headline += f" It was {percent(before.failed, before.messages)} in the previous period."
    if failing is None:
        return Verdict(tone, headline, "See who sent them.", "senders")
    explanation = f"{_senders(current, failing)}{_peak(current, failing)} {_advice(current, failing, policy)}"
    if failing.settled and tone == "warn" and (not failing.not_mine or _stops(policy)):
        tone = "ok"
    if failing.senders > 1:
        return Verdict(tone, headline, explanation, "senders")
    return Verdict(tone, headline, explanation, "sender", failing.sender)


def _headline(current: Figures) -> str:
    share = percent(current.failed, current.messages)
    return f"{number(current.failed)} of {number(current.messages)} messages failed DMARC ({share})."


def _senders(current: Figures, failing: Failing) -> str:
    """Names every failure: those of one sender, and those of the others."""
    if failing.failed == current.failed:
        return f"{failing.name} sent all of them."
    others = plural(failing.senders - 1, "other sender")
    rest = number(current.failed - failing.failed)
    return f"{failing.name} sent {number(failing.failed)} of them, {others} sent {rest}."


def _peak(current: Figures, failing: Failing) -> str:
    """The day with most failures, when they are of several days."""
    if failing.peak is None or failing.peak.failed == current.failed:
        return ""
    return f" Most failed on {day_text(failing.peak.day)}: {number(failing.peak.failed)}."


def _advice(current: Figures, failing: Failing, policy: DomainPolicy | None) -> str:
    """What to do, after what the owner decided; never advice against the policy that is in force."""
    pieces = []
    if failing.not_mine:
        share = "All of these" if failing.not_mine == current.failed else number(failing.not_mine)
        pieces.append(
            f"{share} are from senders that you decided are not yours: {effect_on_strangers(policy, several=True)}"
        )
    if failing.settled:
        # What the policy lets through is the only thing left to do.
        if not failing.not_mine or _stops(policy):
            pieces.append(_SETTLED)
    elif failing.mine:
        pieces.append(f"{failing.name} is yours: have it sign with DKIM using your domain.")
    else:
        sign = "If a sender is yours, have it sign with DKIM using your domain; if not,"
        pieces.append(f"{sign} {effect_on_strangers(policy)}")
    return " ".join(pieces)


def _stops(policy: DomainPolicy | None) -> bool:
    """Whether the policy in force applies to every message that fails."""
    return policy is not None and policy.applied(policy.p) != "none" and policy.pct == 100


def _sources(current: Figures) -> str:
    return plural(current.sources, "sending address", "sending addresses")
