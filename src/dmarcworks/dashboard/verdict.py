"""A headline on the state of a domain, and a sentence on what to do next. Pure: from figures, never invented.

The owner of a source cannot be derived from figures alone, so the text names what fails and the user decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.all import Figures, SourceVolume
from dmarcworks.dashboard.format import day as day_text
from dmarcworks.dashboard.format import number, percent, plural

# Days without a report before the page warns: reporters send daily, but some skip quiet days.
SILENT_DAYS = 4
_FALL_POINTS = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`tone` is ok, warn or bad; `link` is where to go next: source, sources, setup or nothing."""

    tone: str
    headline: str
    next: str
    link: str = ""
    source_ip: str = ""


def verdict(now: Figures, before: Figures, worst: SourceVolume | None, newest: date | None, today: date) -> Verdict:
    """The most important fact about the period."""
    silent = (today - newest).days if newest is not None else 0
    if newest is not None and silent > SILENT_DAYS:
        return Verdict(
            "warn",
            f"No report about the last {silent:,} days.",
            f"The newest is about {day_text(newest)}. If the domain still sends mail, check that its DMARC record "
            "still names this system.",
            "setup",
        )
    if not now.messages:
        return Verdict("warn", "No messages in this period.", "Choose a longer period, or wait for the next reports.")
    if not now.failed:
        return Verdict(
            "ok",
            f"All {number(now.messages)} messages passed DMARC."
            if now.messages > 1
            else "The only message passed DMARC.",
            f"No action is needed. {plural(now.reporters, 'reporter')} saw {_sources(now)}.",
            "sources",
        )
    headline = (
        f"{number(now.failed)} of {number(now.messages)} messages failed DMARC ({percent(now.failed, now.messages)})."
    )
    tone = "warn"
    if before.messages and 100 * (before.passed / before.messages - now.passed / now.messages) >= _FALL_POINTS:
        tone = "bad"
        headline += f" It was {percent(before.failed, before.messages)} in the previous period."
    if worst is None:
        return Verdict(tone, headline, "See which addresses sent them.", "sources")
    failed = worst.messages
    part = "all of them" if failed == now.failed else f"{number(failed)} of them"
    return Verdict(
        tone,
        headline,
        f"{worst.source_ip} sent {part}. If it is yours, have it sign with DKIM using your domain; if not, a policy of "
        "quarantine or reject stops it.",
        "source",
        worst.source_ip,
    )


def _sources(now: Figures) -> str:
    return plural(now.sources, "sending address", "sending addresses")
