"""One sentence that says whether all is well, and one that says what to do next. Pure: from figures, never invented.

Whose a source is cannot be known from figures alone; so what fails is named and the person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.all import Figures, SourceVolume
from dmarcworks.dashboard.format import day as day_text
from dmarcworks.dashboard.format import number, percent, plural

# So many days without a report are worth a sentence: reporters send daily, on quiet days a few skip.
SILENT_DAYS = 4
_FALL_POINTS = 5.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`tone` is ok, warn or bad; `link` is a word for where to go: source, sources, records or nothing."""

    tone: str
    says: str
    next: str
    link: str = ""
    source_ip: str = ""


def verdict(now: Figures, before: Figures, worst: SourceVolume | None, newest: date | None, today: date) -> Verdict:
    """What a person with a minute to spare should know of the period."""
    silent = (today - newest).days if newest is not None else 0
    if newest is not None and silent > SILENT_DAYS:
        return Verdict(
            "warn",
            f"No report about the last {silent:,} days.",
            f"The newest is about {day_text(newest)}. If the domain still sends mail, see whether its DMARC record "
            "still names this system.",
            "setup",
        )
    if not now.messages:
        return Verdict("warn", "No messages in this period.", "Choose a longer period, or wait for the next reports.")
    if not now.failed:
        return Verdict(
            "ok",
            f"All is well: every one of {number(now.messages)} messages passed DMARC."
            if now.messages > 1
            else "All is well: the one message passed DMARC.",
            f"Nothing to do. {plural(now.reporters, 'reporter')} saw {_sources(now)}.",
            "sources",
        )
    says = (
        f"{number(now.failed)} of {number(now.messages)} messages failed DMARC ({percent(now.failed, now.messages)})."
    )
    tone = "warn"
    if before.messages and 100 * (before.passed / before.messages - now.passed / now.messages) >= _FALL_POINTS:
        tone = "bad"
        says += f" It was {percent(before.failed, before.messages)} in the period before."
    if worst is None:
        return Verdict(tone, says, "See which addresses sent them.", "sources")
    failed = worst.messages
    part = "all of them" if failed == now.failed else f"{number(failed)} of them"
    return Verdict(
        tone,
        says,
        f"{worst.source_ip} sent {part}. If it is yours, let it sign with DKIM as your domain; if not, a policy of "
        "quarantine or reject stops it.",
        "source",
        worst.source_ip,
    )


def _sources(now: Figures) -> str:
    return plural(now.sources, "sending address", "sending addresses")
