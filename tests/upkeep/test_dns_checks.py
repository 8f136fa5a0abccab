"""Scheduled checks over a real DNS server: each domain once across two processes, queries within the bound, no burst.

In the first test the two schedulers have databases of their own on one file, as two processes have, and the clock is
virtual; in the second they are processes. `DMARCWORKS_TEST_DOMAINS=10000` runs the same with more domains.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import insert, select, update

from dmarcworks.bindings.kv import SqlKV
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_pace import QueryPace
from dmarcworks.catalogue.dns_schedule import CheckPart, DnsSchedule
from dmarcworks.catalogue.dns_states import RecordKind
from dmarcworks.catalogue.dns_tables import dns_checks
from dmarcworks.enrich.resolver import Dns
from dmarcworks.policy.dns_records.full_check import card_from
from dmarcworks.policy.dns_records.https_fetch import FetchedDocument, FetchError
from dmarcworks.policy.dns_records.lookup import RecordLookup
from dmarcworks.process.metrics import Metrics
from dmarcworks.upkeep.dns_checks import RecordChecks
from tests.support.catalogue import Clock
from tests.support.dns_function import SERVFAIL, answering
from tests.support.virtual_time import VirtualTime

ROOT = Path(__file__).parents[2]
MANY = int(os.environ.get("DMARCWORKS_TEST_DOMAINS", "500"))
PER_SECOND = 20
INTERVALS = {CheckPart.dmarc: 3600.0, CheckPart.records: 86_400.0}
# So long that no domain's own time comes while all are checked once.
LONG = dict.fromkeys(CheckPart, 1e9)
POLICY = b"version: STSv1\nmode: testing\nmx: mx.a.example\nmax_age: 604800\n"


async def opened(path: Path) -> SqliteDatabase:
    database = SqliteDatabase(path)
    await database.migrate()
    return database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = await opened(tmp_path / "catalogue.db")
    yield database
    await database.close()


async def add_many(database: SqliteDatabase, number: int) -> None:
    """Domains whose DMARC record alone is due."""
    await Accounts(database, SqlKV(database), "reports.example.net").add_domain("first.example")
    async with database.write() as connection:
        account_id = (await connection.execute(select(tables.domains.c.account_id))).scalar_one()
        rows = [
            {
                "id": uuid.uuid4().hex,
                "account_id": account_id,
                "name": f"d{one}.example",
                "rua": f"{one}@r",
                "created": 0,
            }
            for one in range(1, number)
        ]
        await connection.execute(insert(tables.domains), rows)


async def test_many_domains_are_checked_once_by_two_schedulers_within_the_bound(
    database: SqliteDatabase, tmp_path: Path
) -> None:
    time = VirtualTime()
    arrivals: list[float] = []
    asked: Counter[tuple[str, str]] = Counter()

    def answer(name: str, kind: str) -> Sequence[str] | None:
        arrivals.append(time.now)
        asked[name, kind] += 1
        return (
            ['"v=DMARC1; p=none; rua=mailto:a@reports.example"']
            if name.startswith("_dmarc.d") and kind == "TXT"
            else None
        )

    await add_many(database, MANY)
    schedule = DnsSchedule(database, LONG, clock=time)
    while await schedule.settle():
        pass
    later = update(dns_checks).where(dns_checks.c.part == str(CheckPart.records))
    async with database.write() as connection:
        await connection.execute(later.values(due=time.now + 86_000, requested=None))
    second = await opened(tmp_path / "catalogue.db")
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(second.close)
        port = stack.enter_context(answering(answer))
        processes, metrics = [], Metrics()
        for one in (database, second):
            watched = time.over(one)
            pace = QueryPace(watched, PER_SECOND, clock=time, sleep=time.sleep)
            resolver = time.watch(Dns(f"127.0.0.1:{port}", clock=time, before_query=pace.wait, longest=0.0))
            stack.callback(resolver.close)
            schedule = DnsSchedule(watched, LONG, clock=time)
            history = DnsHistory(watched, clock=time)
            processes.append(
                RecordChecks(schedule, history, resolver, lease=7200.0, metrics=metrics, clock=time, sleep=time.sleep)
            )
        began = time.now
        running = [asyncio.create_task(process.run()) for process in processes]
        ended = metrics.dns_checks.labels("dmarc", "answered")._value
        await time.advance_until(lambda: ended.get() >= MANY and not any(process.busy for process in processes))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    names = [f"d{number}.example" for number in range(1, MANY)]
    # Each domain once, in one of the processes.
    assert [asked[f"_dmarc.{name}", "TXT"] for name in names] == [1] * len(names)
    assert [asked[f"{name}._report._dmarc.reports.example", "TXT"] for name in names] == [1] * len(names)
    # Never more in a second than the bound, and no faster than it in all.
    arrivals.sort()
    assert all(
        later - earlier >= 1 - 1 / PER_SECOND - 1e-3
        for earlier, later in zip(arrivals, arrivals[PER_SECOND:], strict=False)
    )
    assert len(arrivals) / PER_SECOND <= time.now - began + 1


async def test_two_processes_check_each_domain_once(database: SqliteDatabase, tmp_path: Path) -> None:
    """With the real clock; each of them makes a part of the checks."""
    asked: Counter[tuple[str, str]] = Counter()
    arrivals: list[float] = []

    def answer(name: str, kind: str) -> Sequence[str] | None:
        arrivals.append(monotonic())
        asked[name, kind] += 1
        return ['"v=DMARC1; p=none"'] if name.startswith("_dmarc.d") and kind == "TXT" else None

    many, per_second = max(MANY // 5, 100), 40 if MANY <= 500 else 400
    await add_many(database, many)
    while await DnsSchedule(database, LONG).settle():
        pass
    later = update(dns_checks).where(dns_checks.c.part == str(CheckPart.records))
    async with database.write() as connection:
        await connection.execute(later.values(due=dns_checks.c.due + 86_000, requested=None))
    with answering(answer) as port:
        command = [sys.executable, "-m", "tests.support.dns_check_process", str(tmp_path / "catalogue.db")]
        command += [f"127.0.0.1:{port}", str(per_second)]
        processes = [await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT) for _ in "12"]
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        # Both wait for this, so that none is done before the other one is there.
        made = [int(output) for output, _ in await asyncio.gather(*(one.communicate(b"go\n") for one in processes))]
    assert sum(made) == many
    assert min(made) > 0
    assert [asked[f"_dmarc.d{number}.example", "TXT"] for number in range(1, many)] == [1] * (many - 1)
    # Queries of the same moment may arrive in any order, and late, never early: in all they keep to the bound.
    assert len(arrivals) / per_second <= arrivals[-1] - arrivals[0] + 0.5


class Zone:
    """Records that a test changes; `failing` names get SERVFAIL."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.failing: set[str] = set()
        self.queries: Counter[tuple[str, str]] = Counter()

    def __call__(self, name: str, kind: str) -> Sequence[str] | str | None:
        self.queries[name, kind] += 1
        if name in self.failing:
            return SERVFAIL
        if (name, kind) in self.records:
            return self.records[name, kind]
        return [] if any(known == name or known.endswith(f".{name}") for known, _ in self.records) else None


class Checked:
    """One process with one domain, whose checks a test runs by `step`."""

    def __init__(self, checks: RecordChecks, zone: Zone, domain: Domain, clock: Clock) -> None:
        self.checks, self.zone, self.domain, self.clock = checks, zone, domain, clock

    async def run(self) -> None:
        """Check what is due."""
        await self.checks.step()
        await asyncio.gather(*self.checks._running)

    async def states(self) -> dict[tuple[str, str], tuple[tuple[str, ...], str]]:
        """Of every kind and name the records and the failure of the newest look-up."""
        latest = await self.checks.history.latest(self.domain.account_id, self.domain.id)
        return {(str(one.kind), one.name): (one.records, one.failure) for one in latest}


async def _fetch(url: str) -> FetchedDocument:
    if url == "https://mta-sts.a.example/.well-known/mta-sts.txt":
        return FetchedDocument(200, "text/plain", POLICY)
    raise FetchError("unreachable", "nothing is served")


def fetcher(lookup: RecordLookup) -> Callable[[str], Awaitable[FetchedDocument]]:
    return _fetch


@pytest.fixture
async def checked(database: SqliteDatabase) -> AsyncIterator[Checked]:
    clock, zone = Clock(), Zone()
    domain = await Accounts(database, SqlKV(database), "reports.example.net", clock=clock).add_domain("a.example")

    async def seen(account_id: str, domain_id: str, name: str) -> tuple[str, ...]:
        assert (account_id, domain_id, name) == (domain.account_id, domain.id, "a.example")
        return ("s1", "not a selector")

    with answering(zone) as port:
        resolver = Dns(f"127.0.0.1:{port}", clock=clock, longest=0.0)
        checks = RecordChecks(
            DnsSchedule(database, INTERVALS, clock=clock), DnsHistory(database, clock=clock), resolver,
            resolver_name="192.0.2.53", seen_selectors=seen, fetcher=fetcher, clock=clock,
        )  # fmt: skip
        yield Checked(checks, zone, domain, clock)
        resolver.close()


def publish(zone: Zone) -> None:
    zone.records |= {
        ("_dmarc.a.example", "TXT"): ['"v=DMARC1; p=none; rua=mailto:r@reports.example"'],
        ("a.example._report._dmarc.reports.example", "TXT"): ['"v=DMARC1"'],
        ("a.example", "TXT"): ['"v=spf1 include:spf.b.example -all"', '"a-token=1"'],
        ("spf.b.example", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
        ("a.example", "MX"): ["10 mx.a.example."],
        ("mx.a.example", "A"): ["192.0.2.1"],
        ("s1._domainkey.a.example", "TXT"): ['"v=DKIM1; p="'],
        ("_mta-sts.a.example", "TXT"): ['"v=STSv1; id=1"'],
        ("_smtp._tls.a.example", "TXT"): ['"v=TLSRPTv1; rua=mailto:t@a.example"'],
        ("a.example", "SOA"): ["ns.a.example. h.a.example. 1 2 3 4 5"],
    }


async def test_every_kind_of_record_is_stored_with_the_report_card(checked: Checked) -> None:
    publish(checked.zone)
    await checked.run()
    assert await checked.states() == {
        ("dmarc", "_dmarc.a.example"): (("v=DMARC1; p=none; rua=mailto:r@reports.example",), ""),
        ("authorisation", "a.example._report._dmarc.reports.example"): (("v=DMARC1",), ""),
        ("spf", "a.example"): (("v=spf1 include:spf.b.example -all",), ""),
        ("spf-include", "spf.b.example"): (("v=spf1 ip4:192.0.2.0/24 -all",), ""),
        ("dkim", "s1._domainkey.a.example"): (("v=DKIM1; p=",), ""),
        ("mx", "a.example"): (("10 mx.a.example",), ""),
        ("mta-sts", "_mta-sts.a.example"): (("v=STSv1; id=1",), ""),
        ("mta-sts-policy", "mta-sts.a.example"): ((POLICY.decode(),), ""),
        ("tls-rpt", "_smtp._tls.a.example"): (("v=TLSRPTv1; rua=mailto:t@a.example",), ""),
        ("bimi", "default._bimi.a.example"): ((), ""),
        ("dnssec", "a.example"): ((), ""),
    }
    place = (checked.domain.account_id, checked.domain.id)
    codes = {str(state.kind): state.codes for state in await checked.checks.history.latest(*place)}
    assert "dmarc-policy-none" in (codes["dmarc"])
    assert (codes["authorisation"], codes["dkim"]) == (("dmarc-reports-authorised",), ("dkim-key-revoked",))
    stored = await checked.checks.history.card(*place)
    assert stored is not None
    assert (stored.checked.timestamp(), stored.resolver, stored.answered) == (checked.clock.now, "192.0.2.53", True)
    card = card_from(stored.card)
    assert (card.domain, card.effective.policy, card.spf["lookups"]) == ("a.example", "none", 1)
    assert {"dmarc-policy-none", "dkim-key-revoked"} <= {finding.code for finding in card.findings}
    assert card.spf_tree is not None
    assert [child.name for child in card.spf_tree.children] == ["spf.b.example"]


async def test_a_server_that_fails_removes_no_record(checked: Checked) -> None:
    publish(checked.zone)
    await checked.run()
    before = await checked.states()
    names = {name for _, name in before} | {"a.example", "reports.example", "_dmarc.reports.example"}
    checked.zone.failing = names
    checked.clock.now += 90_000
    await checked.run()
    after = await checked.states()
    # The policy is served over HTTPS, and was not fetched.
    assert {place: records for place, (records, _) in after.items()} == {
        place: records for place, (records, _) in before.items()
    }
    failed = {place for place, (_, failure) in after.items() if failure}
    assert failed == set(before) - {
        ("mta-sts-policy", "mta-sts.a.example"),
        ("spf-include", "spf.b.example"),
        ("authorisation", "a.example._report._dmarc.reports.example"),
    }
    status = await checked.checks.schedule.status(checked.domain.account_id, checked.domain.id)
    assert {one.failures for one in status.values()} == {1}
    assert {one.due.timestamp() - checked.clock.now for one in status.values()} == {300.0}
    assert len(await checked.checks.history.states(checked.domain.account_id, checked.domain.id)) == len(before)


async def test_a_changed_policy_is_seen_within_the_hour_and_the_card_renewed(checked: Checked) -> None:
    publish(checked.zone)
    await checked.run()
    checked.zone.records["_dmarc.a.example", "TXT"] = ['"v=DMARC1; p=reject"']
    queries = checked.zone.queries.total()
    checked.clock.now += 3600
    await checked.run()
    # The hourly check costs few queries.
    assert checked.zone.queries.total() - queries <= 3
    history, place = checked.checks.history, (checked.domain.account_id, checked.domain.id)
    *_, change = await history.changes(*place)
    assert change.before is not None
    assert (change.before.records, change.now.records) == (
        ("v=DMARC1; p=none; rua=mailto:r@reports.example",), ("v=DMARC1; p=reject",),
    )  # fmt: skip
    assert [one.name for one in await history.latest(*place, [RecordKind.authorisation])] == []
    checked.clock.now += 1
    await checked.run()
    stored = await history.card(*place)
    assert stored is not None
    assert stored.checked.timestamp() == checked.clock.now
    assert stored.card["effective"]["policy"] == "reject"


async def test_a_stopped_process_releases_what_it_claimed(checked: Checked) -> None:
    publish(checked.zone)
    started = asyncio.Event()

    async def waits(account_id: str, domain_id: str, name: str) -> tuple[str, ...]:
        started.set()
        await asyncio.Event().wait()
        return ()

    seen, checked.checks.seen_selectors = checked.checks.seen_selectors, waits
    running = asyncio.create_task(checked.checks.run())
    await started.wait()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    checked.checks.seen_selectors = seen
    await checked.run()
    assert ("dmarc", "_dmarc.a.example") in await checked.states()


async def test_turned_off_only_what_is_requested_is_checked(checked: Checked) -> None:
    publish(checked.zone)
    checked.checks.scheduled = False
    await checked.run()
    assert await checked.states() == {}
    await checked.checks.schedule.request(checked.domain.account_id, checked.domain.id, ["named"])
    await checked.run()
    assert (await checked.states())["dkim", "named._domainkey.a.example"] == ((), "")
    # A key that was found stays under watch when reports show it no more.
    checked.checks.seen_selectors = _none
    await checked.checks.schedule.request(checked.domain.account_id, checked.domain.id)
    checked.zone.records["s1._domainkey.a.example", "TXT"] = ['"v=DKIM1; p=; t=s"']
    await checked.run()
    assert (await checked.states())["dkim", "s1._domainkey.a.example"] == (("v=DKIM1; p=; t=s",), "")


async def _none(account_id: str, domain_id: str, name: str) -> tuple[str, ...]:
    return ()
