"""The DKIM selectors of a domain that reports show, for the checks of its keys."""

from __future__ import annotations

from datetime import date

from dmarcworks.analytics.period import STANDARD, last_days
from dmarcworks.analytics.questions.all import Questions

__all__ = ["SEEN", "seen_selectors"]

# Selectors of reports that are checked; anyone who forges many cannot cause more queries, nor hide those that passed.
SEEN, _CONSIDERED = 20, 200


async def seen_selectors(
    questions: Questions, account_id: str, domain_id: str, domain: str, today: date
) -> tuple[str, ...]:
    """The selectors that signed for the domain in the last 30 days: first those that passed, those of most messages
    first."""
    rows = await questions.selectors(account_id, domain_id, *last_days(STANDARD, today), limit=_CONSIDERED)
    own = [row for row in rows if row.domain.lower() == domain]
    own.sort(key=lambda row: (-row.aligned, -row.messages, row.selector))
    return tuple(row.selector for row in own[:SEEN])
