"""What was asked is noted and bounded; what an account saves, it alone sees."""

from __future__ import annotations

import pytest

from dmarcworks.catalogue import queries
from dmarcworks.catalogue.queries import LoggedQuery, QueryLog, SavedQueries
from dmarcworks.errors import BoundError, UsageError
from tests.support.catalogue import Catalogue
from tests.support.waiting import wait_until


def asked(account: str, text: str, started: float, error: str = "") -> LoggedQuery:
    return LoggedQuery(account, "token x", "api", text, started, 12.5, 3, error)


async def test_lines_are_in_the_log_a_moment_later_newest_first(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "GATHER_SECONDS", 0.01)
    log = QueryLog(catalogue.database, 30, clock=catalogue.clock)
    log.note(asked("a", "SELECT 1", catalogue.clock.now))
    log.note(asked("b", "SELECT \x00\ud800" + "x" * 10_000, catalogue.clock.now, "refused"))
    await wait_until(log.list, "the queries in the log")
    newest, oldest = await log.list()
    assert (oldest.account_id, oldest.text, oldest.ms, oldest.rows, oldest.error) == ("a", "SELECT 1", 12.5, 3, "")
    assert (newest.account_id, len(newest.text), newest.error) == ("b", queries.LOG_TEXT, "refused")
    assert [line.account_id for line in await log.list("a")] == ["a"]
    assert [line.account_id for line in await log.list(before=newest.id)] == ["a"]


async def test_the_log_forgets_by_age_and_by_number(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    log = QueryLog(catalogue.database, 30, clock=catalogue.clock)
    log.note(asked("a", "old", catalogue.clock.now))
    await log.close()
    catalogue.clock.now += 31 * 86_400
    log.note(asked("a", "new", catalogue.clock.now))
    await log.close()
    assert [line.text for line in await log.list()] == ["new"]
    monkeypatch.setattr(queries, "LOG_LINES", 5)
    catalogue.clock.now += 7200
    for number in range(20):
        log.note(asked("a", str(number), catalogue.clock.now))
    await log.close()
    assert [line.text for line in await log.list()] == ["19", "18", "17", "16", "15"]


async def test_no_days_no_log(catalogue: Catalogue) -> None:
    log = QueryLog(catalogue.database, 0, clock=catalogue.clock)
    log.note(asked("a", "SELECT 1", catalogue.clock.now))
    await log.close()
    assert await log.list() == []


async def test_saved_queries_are_an_accounts_own(catalogue: Catalogue) -> None:
    saved = SavedQueries(catalogue.database, clock=catalogue.clock)
    first = await saved.save("a", "  top   senders ", "SELECT 1", "x@example.com")
    assert await saved.save("a", "top senders", "SELECT 2", "y@example.com") == first
    other = await saved.save("b", "top senders", "SELECT 3", "z@example.com")
    (only,) = await saved.list("a")
    assert (only.id, only.name, only.text, only.author) == (first, "top senders", "SELECT 2", "y@example.com")
    assert not await saved.remove("a", other)
    assert await saved.remove("b", other)
    assert await saved.list("b") == []
    with pytest.raises(UsageError):
        await saved.save("a", " ", "SELECT 1", "x")
    with pytest.raises(BoundError):
        await saved.save("a", "n" * 101, "SELECT 1", "x")


async def test_an_account_saves_so_many_and_no_more(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "SAVED_EACH", 2)
    saved = SavedQueries(catalogue.database, clock=catalogue.clock)
    for name in ("one", "two"):
        await saved.save("a", name, "SELECT 1", "x")
    with pytest.raises(BoundError, match="at most 2"):
        await saved.save("a", "three", "SELECT 1", "x")
    await saved.save("a", "two", "SELECT 2", "x")
