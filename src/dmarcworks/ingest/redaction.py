"""A mail with a failure report as it may be kept: the setting `failure_originals` decides what of the message is kept.

In: the raw mail and what was read in it. Out: what is read in it from here on, and the raw mail that takes its place.
Everything after sees the redacted form only, and a report's identity is that of its most redacted form: delivered
again, reprocessed, or under another setting, a report stays the same one. What cannot be redacted is not archived.
"""

from __future__ import annotations

from dataclasses import replace

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import FailureReport, Item, Problem, Reading
from dmarcworks.reports.redact import DROP, HEADERS, Redacted, redacted

KEEP = "keep"


def private(raw: bytes, reading: Reading, mode: str, bounds: Bounds) -> tuple[Reading, bytes | None]:
    """The reading to continue with, and the raw mail that replaces the first; None when it may stay."""
    least = redacted(raw, reading, DROP, bounds)
    if mode == KEEP:
        return (reading if least is None else _known(reading, least)), None
    kept = least if mode == DROP else redacted(raw, reading, HEADERS, bounds)
    if least is None or kept is None:
        return _refused(reading), None
    return _known(kept.reading, least), kept.raw if kept.raw != raw else None


def _known(reading: Reading, least: Redacted) -> Reading:
    digests = iter([item.digest for item in least.reading.items if _failure(item)])
    items = (replace(item, digest=next(digests, item.digest)) if _failure(item) else item for item in reading.items)
    return Reading(tuple(items), reading.problems)


def _refused(reading: Reading) -> Reading:
    """Without the failure reports, and without what came in one archive with them; a person decides."""
    unsafe = {_top(item) for item in reading.items if _failure(item)}
    problem = Problem(
        "failure_not_redacted",
        "mail",
        "The message that a failure report quotes cannot be removed without losing something else. The mail is kept as "
        "it came and the failure report is not counted; the setting failure_originals decides.",
    )
    return Reading(tuple(item for item in reading.items if _top(item) not in unsafe), (*reading.problems, problem))


def _failure(item: Item) -> bool:
    return isinstance(item.report, FailureReport)


def _top(item: Item) -> str:
    return item.part.where.split(" > ", 1)[0]
