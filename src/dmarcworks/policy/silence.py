"""Silence and its causes: reporters that stopped, a domain without reports, a sender whose alignment fell. Pure.

Each is compared with what was usual before. A cause is the change of a record nearest before it, when the history of
the records shows one: what harms reports (a lost authorisation, an address removed from rua) before any other change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from dmarcworks.analytics.questions.all import SenderDay
from dmarcworks.catalogue.dns_states import DnsChange, DnsState, RecordKind
from dmarcworks.enrich.dmarc_policy import is_dmarc_record
from dmarcworks.policy.rua import has_rua

__all__ = [
    "AlignmentFall",
    "RecordCause",
    "SilentReporter",
    "alignment_fall",
    "cause_of",
    "silence_since",
    "silent_reporters",
]

# Days with a report that a reporter needs before its silence means something.
_DAYS = 4
# A report about a day is sent on the next one, and may take a day; fewer days of silence are none.
_LEAST_SILENT, _USUAL_DELAY = 4, 2
# A fall is from at least this share of aligned messages, by at least this much, with so many messages on either side.
_SHARE, _FALL, _MESSAGES = 0.8, 0.2, 20
# Days before an event in which a change may be its cause, and after it, as records are checked only from time to time.
_BEFORE, _AFTER = timedelta(days=7), timedelta(days=1)
_REPORTS = (RecordKind.dmarc, RecordKind.authorisation)
_ALIGNMENT = (RecordKind.spf, RecordKind.spf_include, RecordKind.dkim, RecordKind.dmarc)


@dataclass(frozen=True, slots=True)
class RecordCause:
    """The change of a record nearest before an event. `lost` when it ends reports or authentication by itself."""

    change: DnsChange
    lost: bool
    text: str


@dataclass(frozen=True, slots=True)
class SilentReporter:
    """A reporter (or, without a name, all together) that reported regularly and stopped.

    `last` is the last day that a report is about, `usual` the longest pause in days that it made before.
    """

    name: str
    last: date
    usual: int
    days: int
    cause: RecordCause | None = None


@dataclass(frozen=True, slots=True)
class AlignmentFall:
    """A sender whose share of aligned messages fell on `since`; shares from 0 to 1."""

    sender: str
    name: str
    since: date
    before: float
    now: float
    messages: int
    cause: RecordCause | None = None


def silence_since(days: Sequence[date], today: date) -> tuple[date, int] | None:
    """The last day of a series that stopped, and its longest pause before; None when it continues or is too short."""
    ordered = sorted(set(days))
    if len(ordered) < _DAYS:
        return None
    usual = max((later - earlier).days for earlier, later in pairwise(ordered))
    silent = (today - ordered[-1]).days
    return (ordered[-1], usual) if silent >= max(_LEAST_SILENT, usual + _USUAL_DELAY + 1) else None


def silent_reporters(
    days: Mapping[str, Sequence[date]], today: date, changes: Sequence[DnsChange], rua: Sequence[str]
) -> list[SilentReporter]:
    """The reporters that stopped, the most recent first; `rua` are our addresses in the domain's record."""
    silent = []
    for name, series in days.items():
        if (stopped := silence_since(series, today)) is not None:
            last, usual = stopped
            cause = cause_of(last + timedelta(days=1), changes, _REPORTS, rua)
            silent.append(SilentReporter(name, last, usual, (today - last).days, cause))
    return sorted(silent, key=lambda one: (-one.last.toordinal(), one.name))


def alignment_fall(
    sender: str, name: str, days: Sequence[SenderDay], changes: Sequence[DnsChange]
) -> AlignmentFall | None:
    """Where the share of aligned messages fell and stayed low until the newest day; None when it did not."""
    ordered = sorted(days, key=lambda one: one.day)
    best: tuple[float, int] | None = None
    for place in range(1, len(ordered)):
        before, now = _share(ordered[:place]), _share(ordered[place:])
        if before is None or now is None or before < _SHARE or before - now < _FALL:
            continue
        if best is None or before - now > best[0]:
            best = (before - now, place)
    if best is None:
        return None
    place = best[1]
    before, now = _share(ordered[:place]), _share(ordered[place:])
    # The newest days decide: what has recovered is no fall any more.
    if before is None or now is None or _recovered(ordered[place:], before):
        return None
    since, messages = ordered[place].day, sum(one.messages for one in ordered[place:])
    return AlignmentFall(sender, name, since, before, now, messages, cause_of(since, changes, _ALIGNMENT, ()))


def cause_of(
    since: date, changes: Sequence[DnsChange], kinds: Sequence[RecordKind], rua: Sequence[str]
) -> RecordCause | None:
    """The change nearest before the end of a day; None when the history shows none."""
    end = datetime.combine(since + timedelta(days=1), time(), UTC)
    causes = []
    for change in changes:
        if change.before is None or change.now.kind not in kinds:
            continue
        # The record changed at some time after the newest look-up that found the old one.
        began = change.before.last_seen
        if began < end and end - _BEFORE <= change.at <= end + _AFTER:
            lost = _lost(change.before, change.now, rua)
            causes.append(RecordCause(change, lost, _text(change, lost)))
    return max(causes, key=lambda one: (one.lost, one.change.at), default=None)


def _share(days: Sequence[SenderDay]) -> float | None:
    messages = sum(one.messages for one in days)
    return sum(one.passed for one in days) / messages if messages >= _MESSAGES else None


def _recovered(days: Sequence[SenderDay], before: float) -> bool:
    newest = days[-1]
    return newest.messages > 0 and before - newest.passed / newest.messages < _FALL / 2


def _lost(before: DnsState, now: DnsState, rua: Sequence[str]) -> bool:
    if now.kind in (RecordKind.dkim, RecordKind.spf, RecordKind.spf_include):
        return bool(before.records) and not now.records
    old = [text for text in before.records if is_dmarc_record(text)]
    new = [text for text in now.records if is_dmarc_record(text)]
    if now.kind is RecordKind.authorisation:
        return bool(old) and not new
    return len(old) == 1 and (len(new) != 1 or any(has_rua(old[0], one) and not has_rua(new[0], one) for one in rua))


def _text(change: DnsChange, lost: bool) -> str:
    """What happened to the record and when, as one sentence without its subject's capital."""
    when = change.at.strftime("%-d %B %Y %H:%M UTC")
    what = {
        RecordKind.authorisation: "the authorisation",
        RecordKind.dmarc: "the DMARC record",
        RecordKind.spf: "the SPF record",
        RecordKind.spf_include: "the included SPF record",
        RecordKind.dkim: "the DKIM key",
    }[change.now.kind]
    if not change.now.records:
        return f"{what} at {change.now.name} was gone from {when}"
    if lost and change.now.kind is RecordKind.dmarc:
        return f"{what} at {change.now.name} requested no reports here from {when}"
    if not change.before or not change.before.records:
        return f"{what} at {change.now.name} was published by {when}"
    return f"{what} at {change.now.name} changed by {when}"
