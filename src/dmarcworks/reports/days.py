"""The day that a report is about: the UTC day of its begin, held inside years that make sense. Pure."""

from __future__ import annotations

from datetime import date, timedelta

# A year before DMARC was first drafted, and further than anyone's clock goes wrong by accident: 1,080 months at most.
FIRST_DAY = date(2011, 1, 1)
LAST_DAY = date(2100, 12, 31)
_EPOCH = date(1970, 1, 1)


# A day and a half: a report of one day in another time zone touches two UTC days.
LONG = 36 * 3600


def days_covered(begin: int, end: int) -> int:
    """How many UTC days a report covers that is about several; 1 for one of a day, wherever that begins."""
    if end - begin <= LONG:
        return 1
    return (day_of(end - 1) - day_of(begin)).days + 1


def day_of(begin: int) -> date:
    """The UTC day of a begin in unix seconds, held inside 2011 to 2100 (reporters send 1970 and 55840)."""
    low, high = (FIRST_DAY - _EPOCH).days, (LAST_DAY - _EPOCH).days
    return _EPOCH + timedelta(days=min(max(begin // 86_400, low), high))
