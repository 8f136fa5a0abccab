"""The history of a domain's records for people: what changed when, and what reporters saw published. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

from dmarcworks.analytics.questions.all import PolicyDay, PublishedPolicy
from dmarcworks.catalogue.dns_states import DnsChange, RecordKind
from dmarcworks.policy.record_difference import PieceState, record_difference

__all__ = [
    "DifferencePiece",
    "RecordEvent",
    "SeenPolicy",
    "difference",
    "published_text",
    "record_events",
    "seen_by_reporter",
    "seen_policies",
]


@dataclass(frozen=True, slots=True)
class DifferencePiece:
    """A part of a record; `changed` where the other record has something else."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """A change of a name's records, with the difference marked in both.

    `first` is the first sight of the name: what was published before is not known. It changed after `after` and until
    `at`.
    """

    kind: RecordKind
    name: str
    at: datetime
    after: datetime | None
    before: tuple[str, ...]
    now: tuple[str, ...]
    removed: tuple[DifferencePiece, ...]
    added: tuple[DifferencePiece, ...]
    resolver: str
    shortened: bool

    @property
    def first(self) -> bool:
        """Whether nothing is known about the time before."""
        return self.after is None

    @property
    def what(self) -> str:
        """What happened: first seen, published, removed or changed."""
        if self.first:
            return "first seen"
        if not self.before:
            return "published"
        return "changed" if self.now else "removed"


@dataclass(frozen=True, slots=True)
class SeenPolicy:
    """A policy as reports found it published on the days from `first` to `last`.

    `reporters` are those of these days, `reports` how many reports state it.
    """

    policy: str
    first: date
    last: date
    days: int
    reports: int
    reporters: tuple[str, ...]


def difference(before: str, now: str) -> tuple[tuple[DifferencePiece, ...], tuple[DifferencePiece, ...]]:
    """Both texts in pieces; joined, the pieces are the text."""
    pieces = record_difference(before, now)
    removed = [
        DifferencePiece(one.text, one.state is not PieceState.same)
        for one in pieces
        if one.state is not PieceState.added
    ]
    added = [
        DifferencePiece(one.text, one.state is not PieceState.same)
        for one in pieces
        if one.state is not PieceState.removed
    ]
    return tuple(removed), tuple(added)


def record_events(changes: Sequence[DnsChange]) -> list[RecordEvent]:
    """The changes, the newest first. The first sight of a name without a record is none."""
    return [_event(change) for change in reversed(changes) if change.before is not None or change.now.records]


def _event(change: DnsChange) -> RecordEvent:
    before, now = change.before, change.now
    old = before.records if before else ()
    removed, added = difference("\n".join(old), "\n".join(now.records))
    return RecordEvent(
        kind=now.kind,
        name=now.name,
        at=change.at,
        after=change.after,
        before=old,
        now=now.records,
        removed=removed,
        added=added,
        resolver=now.resolver,
        shortened=now.shortened or bool(before and before.shortened),
    )


def published_text(one: PolicyDay, domain: str = "") -> str:
    """The policy of a report as tags of a record. What DMARC does not know is left out: reporters are strangers."""
    tags = PublishedPolicy(domain, one.p, one.sp, one.np, one.adkim, one.aspf, one.pct).tags
    return f"{tags}; t=y" if one.testing == "y" else tags


def seen_policies(days: Sequence[PolicyDay]) -> list[SeenPolicy]:
    """The policies by the days on which reports state them, the newest first; where reports about a day differ, each
    policy has an entry of its own. The given days are in ascending order."""
    return _newest_first(_runs((published_text(one), one.day, one.reports, one.reporters) for one in days))


def seen_by_reporter(days: Sequence[PolicyDay]) -> dict[str, list[SeenPolicy]]:
    """The same for each reporter that is named, in the order of the names; `reports` are the days."""
    rows: dict[str, list[tuple[str, date, int, tuple[str, ...]]]] = {}
    for one in days:
        for reporter in one.reporters:
            rows.setdefault(reporter, []).append((published_text(one), one.day, 1, (reporter,)))
    return {reporter: _newest_first(_runs(iter(rows[reporter]))) for reporter in sorted(rows)}


def _runs(rows: Iterator[tuple[str, date, int, tuple[str, ...]]]) -> list[SeenPolicy]:
    """One entry per policy and unbroken series of the days that have reports; rows are in the order of the days."""
    ended: list[SeenPolicy] = []
    running: dict[str, SeenPolicy] = {}
    for day, together in groupby(rows, key=lambda row: row[1]):
        stated: dict[str, SeenPolicy] = {}
        for policy, _, reports, reporters in together:
            # Policies that differ only in what DMARC does not know are one.
            run = stated.get(policy) or running.get(policy) or SeenPolicy(policy, day, day, 0, 0, ())
            stated[policy] = SeenPolicy(
                policy,
                run.first,
                day,
                run.days + (policy not in stated),
                run.reports + reports,
                tuple(sorted({*run.reporters, *reporters})),
            )
        ended += [run for policy, run in running.items() if policy not in stated]
        running = stated
    return [*ended, *running.values()]


def _newest_first(runs: list[SeenPolicy]) -> list[SeenPolicy]:
    return sorted(runs, key=lambda run: (run.last, run.first, run.reports, run.policy), reverse=True)
