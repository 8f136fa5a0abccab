"""The schedule of DNS checks: deterministic, spread, claimed once, repeated sooner without an answer."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.catalogue.dns_pace import QueryPace
from dmarcworks.catalogue.dns_schedule import SELECTORS, CheckPart, DnsSchedule, overdue, slot_after
from tests.support.catalogue import Catalogue

HOUR, DAY = 3600.0, 86_400.0
INTERVALS = {CheckPart.dmarc: HOUR, CheckPart.records: DAY}


@pytest.fixture
def schedule(catalogue: Catalogue) -> DnsSchedule:
    return DnsSchedule(catalogue.database, INTERVALS, clock=catalogue.clock)


@given(now=st.floats(0, 4e9), interval=st.sampled_from([300.0, HOUR, DAY]), domain=st.text(max_size=32))
def test_the_next_time_is_within_the_interval_and_repeats(now: float, interval: float, domain: str) -> None:
    first = slot_after(now, interval, domain, CheckPart.dmarc)
    assert now < first <= now + interval
    second = slot_after(first + 0.001, interval, domain, CheckPart.dmarc)
    assert abs(second - first - interval) < 0.01


def test_domains_are_spread_evenly_over_the_interval() -> None:
    """Of 10,000 domains, no minute of the hour has more than twice its share."""
    slots = Counter(int(slot_after(0, HOUR, f"{number:032x}", CheckPart.dmarc) // 60) for number in range(10_000))
    assert len(slots) == 60
    assert max(slots.values()) < 2 * 10_000 / 60


async def test_a_new_domain_is_checked_first_and_then_at_its_own_time(
    catalogue: Catalogue, schedule: DnsSchedule
) -> None:
    domain = await catalogue.accounts.add_domain("example.com")
    assert await schedule.status(domain.account_id, domain.id) == {}
    assert [await schedule.settle(), await schedule.settle()] == [1, 0]
    (check,) = await schedule.claim(10, 600)
    assert (check.domain_id, check.account_id, check.domain) == (domain.id, domain.account_id, "example.com")
    assert check.parts == {CheckPart.dmarc: catalogue.clock.now, CheckPart.records: catalogue.clock.now}
    assert await schedule.claim(10, 600) == []
    assert (await schedule.status(domain.account_id, domain.id))[CheckPart.dmarc].running
    catalogue.clock.now += 5
    assert await schedule.done(check)
    status = await schedule.status(domain.account_id, domain.id)
    for part, interval in INTERVALS.items():
        due = slot_after(catalogue.clock.now, interval, domain.id, part)
        assert status[part].due == datetime.fromtimestamp(due, UTC)
        assert status[part].checked == datetime.fromtimestamp(catalogue.clock.now, UTC)
        assert (status[part].requested, status[part].running, status[part].failures) == (None, False, 0)
    assert await schedule.claim(10, 600) == []
    catalogue.clock.now += HOUR
    (check,) = await schedule.claim(10, 600)
    now = datetime.fromtimestamp(catalogue.clock.now, UTC)
    due = {part: status[part].due for part in CheckPart if status[part].due <= now}
    assert CheckPart.dmarc in due
    assert check.parts == dict.fromkeys(due)
    count, oldest = await overdue(catalogue.database, catalogue.clock)
    assert (count, oldest) == (len(due), pytest.approx((now - min(due.values())).total_seconds(), abs=1e-3))
    theirs = await catalogue.accounts.add_domain("example.org", "theirs")
    assert await schedule.status(theirs.account_id, domain.id) == {}


async def test_a_claim_that_ran_out_is_claimed_by_another_and_the_first_counts_no_more(
    catalogue: Catalogue, schedule: DnsSchedule
) -> None:
    await catalogue.accounts.add_domain("example.com")
    await schedule.settle()
    (first,) = await schedule.claim(10, 600)
    catalogue.clock.now += 601
    (second,) = await schedule.claim(10, 600)
    assert not await schedule.done(first)
    assert await schedule.claim(10, 600) == []
    assert await schedule.done(second)
    await schedule.release([second])


async def test_a_released_claim_is_free_at_once(catalogue: Catalogue, schedule: DnsSchedule) -> None:
    await catalogue.accounts.add_domain("example.com")
    await schedule.settle()
    await schedule.release(await schedule.claim(10, 600))
    assert len(await schedule.claim(10, 600)) == 1


async def test_without_an_answer_a_check_is_repeated_sooner_and_then_more_seldom(
    catalogue: Catalogue, schedule: DnsSchedule
) -> None:
    domain = await catalogue.accounts.add_domain("example.com")
    await schedule.settle()
    pauses = []
    for _ in range(6):
        (check,) = await schedule.claim(1, 600)
        await schedule.done(check, answered=False)
        due = (await schedule.status(domain.account_id, domain.id))[CheckPart.records].due.timestamp()
        pauses.append(due - catalogue.clock.now)
        catalogue.clock.now += DAY
    longest = slot_after(catalogue.clock.now - DAY, DAY, domain.id, CheckPart.records) - catalogue.clock.now + DAY
    assert pauses == pytest.approx([min(300.0 * 2**number, longest) for number in range(6)], abs=1e-3)


async def test_what_a_person_requests_comes_first(catalogue: Catalogue, schedule: DnsSchedule) -> None:
    domains = [await catalogue.accounts.add_domain(f"d{number}.example") for number in range(30)]
    assert await schedule.settle() == 30
    catalogue.clock.now += 1
    last = domains[-1]
    assert await schedule.request(last.account_id, last.id, ["s1", "s2"])
    (check,) = await schedule.claim(1, 600)
    assert (check.domain, check.selectors) == (last.name, ("s1", "s2"))
    # Requested again while the check runs: once more.
    catalogue.clock.now += 1
    await schedule.request(last.account_id, last.id, [f"n{number}" for number in range(SELECTORS)])
    await schedule.done(check)
    assert [one.domain for one in await schedule.claim(2, 600, only_requested=True)] == [last.name]
    status = await schedule.status(last.account_id, last.id)
    assert status[CheckPart.records].selectors == tuple(f"n{number}" for number in range(SELECTORS))
    assert not await schedule.request("other account", last.id)
    assert await schedule.claim(10, 600, only_requested=True) == []
    assert len(await schedule.claim(100, 600)) == 29


async def test_the_schedule_goes_with_the_domain_and_a_shorter_interval_applies(
    catalogue: Catalogue, schedule: DnsSchedule
) -> None:
    gone = await catalogue.accounts.add_domain("gone.example")
    stays = await catalogue.accounts.add_domain("stays.example")
    await schedule.settle()
    for check in await schedule.claim(10, 600):
        await schedule.done(check)
    await catalogue.accounts.remove_domain(gone)
    assert await schedule.status(gone.account_id, gone.id) == {}
    often = DnsSchedule(catalogue.database, dict.fromkeys(CheckPart, 300.0), clock=catalogue.clock)
    await often.settle()
    status = await often.status(stays.account_id, stays.id)
    assert max(one.due.timestamp() for one in status.values()) <= catalogue.clock.now + 300
    catalogue.clock.now += 1
    await schedule.bring_forward(stays.id, CheckPart.records)
    (check,) = await schedule.claim(10, 600)
    assert CheckPart.records in check.parts


async def test_two_processes_share_the_bound_on_queries(catalogue: Catalogue) -> None:
    """Each query has its own moment, however the processes alternate; a moment that passed is not used later."""
    moments: list[float] = []

    async def sleep(seconds: float) -> None:
        moments.append(catalogue.clock.now + seconds)

    paces = [QueryPace(catalogue.database, 4, clock=catalogue.clock, sleep=sleep) for _ in range(2)]
    began = catalogue.clock.now
    for number in range(10):
        await paces[number % 2].wait()
    assert moments == [began + 0.25 * number for number in range(1, 10)]
    moments.clear()
    catalogue.clock.now = began + 100
    await paces[0].wait()
    await paces[0].wait()
    assert moments == [began + 100.25]
    # A clock that was set back holds nothing up.
    moments.clear()
    catalogue.clock.now = began - DAY
    fresh = QueryPace(catalogue.database, 4, clock=catalogue.clock, sleep=sleep)
    await fresh.wait()
    assert moments == []
