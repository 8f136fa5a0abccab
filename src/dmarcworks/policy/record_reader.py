"""Reads the history of a domain's records, what reporters saw of it, and what fell silent, from stored rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.analytics.sender_directory import SenderDirectory
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_states import DnsState
from dmarcworks.policy.history import RecordEvent, SeenPolicy, record_events, seen_by_reporter, seen_policies
from dmarcworks.policy.silence import AlignmentFall, SilentReporter, alignment_fall, silent_reporters

__all__ = ["DomainHistory", "DomainSilence", "RecordReader"]

# Days that show what is usual, and senders whose alignment is followed, those of most messages first.
WATCHED_DAYS, _SENDERS = 60, 50


@dataclass(frozen=True, slots=True)
class DomainHistory:
    """The newest states, the changes of a period (the newest first), and the policies that reports of it state."""

    states: tuple[DnsState, ...]
    events: tuple[RecordEvent, ...]
    seen: tuple[SeenPolicy, ...]
    reporters: dict[str, list[SeenPolicy]]


@dataclass(frozen=True, slots=True)
class DomainSilence:
    """What stopped. `domain` is the domain as a whole, None while its reports continue; `newest` its newest day."""

    newest: date | None
    domain: SilentReporter | None
    reporters: tuple[SilentReporter, ...]
    alignment: tuple[AlignmentFall, ...]


class RecordReader:
    """Puts the stored states and the figures together."""

    def __init__(self, history: DnsHistory, questions: Questions, directory: SenderDirectory) -> None:
        self._history = history
        self._questions = questions
        self._directory = directory

    async def history(self, domain: Domain, first: date, last: date) -> DomainHistory:
        """What happened to the domain's records from `first` to `last`, and what reports about these days state."""
        place = (domain.account_id, domain.id)
        begin = datetime.combine(first, time(), UTC)
        end = datetime.combine(last, time.max, UTC)
        changes = await self._history.changes(*place, begin, end)
        days = await self._questions.policy_days(*place, first, last, policy_domain=domain.name)
        states = await self._history.latest(*place)
        return DomainHistory(
            tuple(states), tuple(record_events(changes)), tuple(seen_policies(days)), seen_by_reporter(days)
        )

    async def silence(self, domain: Domain, today: date) -> DomainSilence:
        """What stopped within the last 60 days, each with its cause when the history shows one."""
        place, first = (domain.account_id, domain.id), today - timedelta(days=WATCHED_DAYS)
        days = await self._questions.reporter_days(*place, first, today)
        changes = await self._history.changes(*place)
        rua = (domain.rua, *domain.earlier)
        together = {"": sorted({day for series in days.values() for day in series})}
        silent = silent_reporters(together, today, changes, rua)
        newest = together[""][-1] if together[""] else None
        named = {name: series for name, series in days.items() if name}
        reporters = silent_reporters(named, today, changes, rua)
        falls: Sequence[AlignmentFall] = ()
        if newest is not None:
            senders = await self._directory.of_domain(domain, first, today, most=_SENDERS)
            keys = {row.group.key: row for row in senders.rows}
            series = await self._directory.days(domain, first, today, list(keys))
            compared = [alignment_fall(row.id, row.name, series.get(key, ()), changes) for key, row in keys.items()]
            fallen = [one for one in compared if one is not None]
            falls = sorted(fallen, key=lambda one: (one.since, one.name), reverse=True)
        return DomainSilence(newest, replace(silent[0], name="") if silent else None, tuple(reporters), tuple(falls))
