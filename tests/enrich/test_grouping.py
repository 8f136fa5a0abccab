"""Steps of checks that cross to another process together: each has its own result, whatever its neighbours hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dmarcworks.enrich import examine
from dmarcworks.enrich.examine import RESULTS, TARGET
from dmarcworks.enrich.grouping import GROUP, GroupedWork
from dmarcworks.process.isolated import FailedError, IsolatedPool, KilledError, UnavailableError
from tests.support.mails import report_mail


class Recording:
    """Runs steps here and keeps the arguments; a step named in `errors` raises, by itself and in a group."""

    def __init__(self, errors: dict[str, Exception] | None = None, most: int = 1000) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._errors, self._most = errors or {}, most

    async def __call__(self, argument: tuple[Any, ...]) -> Any:
        self.calls.append(argument)
        steps = argument[1] if argument[0] == "group" else [argument]
        for _, name, *_ in steps:
            if (error := self._errors.get(name)) is not None:
                raise error
        results = [name for _, name, *_ in steps][: self._most]
        return results if argument[0] == "group" else results[0]

    @property
    def sizes(self) -> list[int]:
        """How many steps each call had; 0 for one by itself."""
        return [len(call[1]) if call[0] == "group" else 0 for call in self.calls]


async def results_of(work: Recording, names: list[str]) -> list[Any]:
    """What each step gave or raised, all begun at the same time."""
    grouped = GroupedWork(work)
    return await asyncio.gather(*(grouped(("spf", name)) for name in names), return_exceptions=True)


async def test_steps_that_begin_together_cross_together() -> None:
    """In groups of a bounded size, in order; one alone is no group."""
    names = [str(number) for number in range(2 * GROUP + 1)]
    work = Recording()
    assert await results_of(work, names) == names
    assert work.sizes == [GROUP, GROUP, 0]


async def test_a_large_mail_goes_by_itself() -> None:
    """What takes long must not hold up others."""
    work = Recording()
    grouped, large = GroupedWork(work), "x" * (64 * 1024 + 1)
    assert await asyncio.gather(grouped(("facts", large)), grouped(("facts", "a")), grouped(("facts", "b"))) == [
        large,
        "a",
        "b",
    ]
    assert sorted(work.sizes) == [0, 2]


async def test_what_a_group_does_not_reach_in_its_time_is_the_next_group() -> None:
    """At least one step is done each time."""
    work = Recording(most=2)
    assert await results_of(work, list("abcde")) == list("abcde")
    assert work.sizes == [5, 3, 0]


@pytest.mark.parametrize("error", [KilledError("cpu", "too long"), FailedError("ValueError", "b")])
async def test_one_that_ends_its_group_alone_has_the_error(error: Exception) -> None:
    """The others run again one by one."""
    work = Recording({"b": error})
    assert await results_of(work, list("abc")) == ["a", error, "c"]
    assert work.sizes == [3, 0, 0, 0]


async def test_when_no_process_is_there_all_hear_it() -> None:
    """And nothing is tried again."""
    error = UnavailableError("none")
    work = Recording({"b": error})
    assert await results_of(work, list("abc")) == [error] * 3
    assert work.sizes == [3]


async def test_who_does_not_wait_any_more_is_left_out() -> None:
    """The others have their results."""
    work = Recording()
    grouped = GroupedWork(work)
    tasks = [asyncio.ensure_future(grouped(("spf", name))) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    assert await asyncio.gather(tasks[0], tasks[2]) == ["a", "c"]


async def test_a_group_gives_what_each_step_gives() -> None:
    """Also from a process of its own."""
    pool = IsolatedPool(TARGET, name="checks", results=RESULTS)
    steps = [("facts", report_mail(str(number)), 1.8e9) for number in range(3)]
    steps.append(("spf", "192.0.2.7", "h.example", "x@a.example", {}))  # type: ignore[arg-type]
    grouped = GroupedWork(pool.run)
    found = await asyncio.gather(*(grouped(step) for step in steps))
    grouped.close()
    await pool.close()
    assert found == [examine.run(step) for step in steps] == examine.run(("group", steps))


def test_a_group_ends_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With at least one result."""
    monkeypatch.setattr(examine, "_GROUP_SECONDS", -1.0)
    step = ("spf", "192.0.2.7", "h.example", "x@a.example", {})
    assert examine.run(("group", [step, step])) == [examine.run(step)]
