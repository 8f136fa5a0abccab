"""The supervisor of background tasks: order of start and stop, what a failure does, and a clean end in every case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from dmarcworks.errors import SettingsError, StoreError
from dmarcworks.process.supervisor import BackgroundTask, BackgroundTaskError, Hook, OnFailure, Supervisor


class Journal:
    """Makes tasks and hooks that write down what happens to them."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.asked: dict[str, asyncio.Event] = {}

    def hook(self, line: str, error: BaseException | None = None) -> Hook:
        async def call() -> None:
            self.lines.append(line)
            if error is not None:
                raise error

        return call

    def forever(self, name: str) -> Hook:
        """Runs until it is cancelled."""

        async def run() -> None:
            self.lines.append(f"{name} runs")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.lines.append(f"{name} cancelled")
                raise

        return run

    def whole(self, name: str, **options: Any) -> BackgroundTask:
        """A task with every hook; `run` returns once `stop` has asked it to."""
        asked = self.asked[name] = asyncio.Event()

        async def run() -> None:
            self.lines.append(f"{name} runs")
            await asked.wait()
            self.lines.append(f"{name} returns")

        async def stop() -> None:
            self.lines.append(f"{name} stop")
            asked.set()

        hooks = {"start": self.hook(f"{name} start"), "drain": self.hook(f"{name} drain"), "stop": stop}
        return BackgroundTask(name, **{"run": run, "grace": None, **hooks, **options})


@pytest.fixture
def journal() -> Journal:
    return Journal()


def failing(times: int, error: Callable[[], Exception]) -> tuple[Hook, list[int], asyncio.Event]:
    """Fails so often, then runs until it is cancelled: the function, its calls, and when it runs at last."""
    calls: list[int] = []
    well = asyncio.Event()

    async def run() -> None:
        calls.append(len(calls) + 1)
        if len(calls) <= times:
            raise error()
        well.set()
        await asyncio.Event().wait()

    return run, calls, well


def others() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


async def test_tasks_start_in_order_and_stop_in_reverse(journal: Journal) -> None:
    """All are drained before the first is stopped, and one has ended before the one before it is stopped."""
    async with Supervisor() as supervisor:
        await supervisor.start([journal.whole("one"), journal.whole("two")])
        assert supervisor.running == ["one", "two"]
        await asyncio.sleep(0)
    assert journal.lines == [
        "one start",
        "two start",
        "one runs",
        "two runs",
        "one drain",
        "two drain",
        "two stop",
        "two returns",
        "one stop",
        "one returns",
    ]
    assert supervisor.running == []
    assert others() == set()


async def test_drains_run_side_by_side(journal: Journal) -> None:
    """Each waits for the other here: one after another would never end."""
    one, two = asyncio.Event(), asyncio.Event()

    def drain(mine: asyncio.Event, other: asyncio.Event) -> Hook:
        async def call() -> None:
            mine.set()
            await other.wait()

        return call

    async with asyncio.timeout(10), Supervisor() as supervisor:
        await supervisor.start(
            [BackgroundTask("one", drain=drain(one, two)), BackgroundTask("two", drain=drain(two, one))]
        )


async def test_an_error_at_the_start_stops_what_was_started(journal: Journal) -> None:
    """The error itself is raised; what comes after it in the list is never started."""
    supervisor = Supervisor()
    broken = BackgroundTask(
        "two", run=journal.forever("two"), start=journal.hook("two start", SettingsError("no port"))
    )
    with pytest.raises(SettingsError, match="no port"):
        await supervisor.start([journal.whole("one"), broken, journal.whole("three")])
    assert journal.lines == ["one start", "two start", "one drain", "one stop"]
    assert supervisor.running == []
    assert others() == set()


async def test_a_task_without_a_stop_is_cancelled(journal: Journal) -> None:
    async with Supervisor() as supervisor:
        await supervisor.start([BackgroundTask("one", run=journal.forever("one"))])
        await asyncio.sleep(0)
    assert journal.lines == ["one runs", "one cancelled"]


async def test_a_task_that_does_not_return_is_cancelled_after_its_grace(journal: Journal) -> None:
    """Its `stop` was called, and the next one is stopped only then."""
    async with Supervisor() as supervisor:
        slow = BackgroundTask("slow", run=journal.forever("slow"), stop=journal.hook("slow stop"), grace=0.01)
        await supervisor.start([journal.whole("one"), slow])
        await asyncio.sleep(0)
    assert journal.lines[-4:] == ["slow stop", "slow cancelled", "one stop", "one returns"]


async def test_a_task_that_fails_is_run_again_after_a_growing_pause(journal: Journal) -> None:
    """The pause doubles to its bound; the other tasks do not notice."""
    run, calls, well = failing(4, lambda: StoreError("away"))
    with capture_logs() as logs:
        async with Supervisor(first_delay=0.001, longest_delay=0.004) as supervisor:
            await supervisor.start([journal.whole("one"), BackgroundTask("two", run=run)])
            async with asyncio.timeout(10):
                await well.wait()
            assert supervisor.running == ["one", "two"]
    assert calls == [1, 2, 3, 4, 5]
    assert [(line["event"], line["task"], line["error"], line["seconds"]) for line in logs] == [
        ("background task failed, running it again", "two", "away", seconds) for seconds in (0.001, 0.002, 0.004, 0.004)
    ]
    assert journal.lines == ["one start", "one runs", "one drain", "one stop", "one returns"]


async def test_the_pause_begins_again_after_a_healthy_run() -> None:
    """Each call of the clock is a minute later, so every run counts as healthy."""
    run, _, well = failing(3, lambda: StoreError("away"))
    minutes = iter(range(0, 6000, 60))
    with capture_logs() as logs:
        async with Supervisor(first_delay=0.001, clock=lambda: float(next(minutes))) as supervisor:
            await supervisor.start([BackgroundTask("one", run=run)])
            async with asyncio.timeout(10):
                await well.wait()
    assert [line["seconds"] for line in logs] == [0.001, 0.001, 0.001]


async def test_a_stop_does_not_wait_for_a_pause() -> None:
    """An hour's pause before the next run ends with the stop, and the task is not run again."""
    run, calls, _ = failing(9, lambda: StoreError("away"))
    async with asyncio.timeout(10):
        async with Supervisor(first_delay=3600.0, longest_delay=3600.0) as supervisor:
            await supervisor.start([BackgroundTask("one", run=run, stop=Journal().hook(""), grace=None)])
            while not calls:
                await asyncio.sleep(0)
    assert calls == [1]


async def test_a_task_that_returns_is_done_with_the_policy_restart(journal: Journal) -> None:
    async with Supervisor() as supervisor:
        await supervisor.start([BackgroundTask("one", run=journal.hook("ran"))])
        async with asyncio.timeout(10):
            while supervisor.running:
                await asyncio.sleep(0)
    assert journal.lines == ["ran"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StoreError("the port is gone"), "the port is gone"),
        (ExceptionGroup("unhandled errors", [OSError("bad file")]), "bad file"),
        (ValueError(), "ValueError()"),
        (None, "it returned"),
    ],
)
async def test_a_task_that_the_process_needs_ends_it(journal: Journal, error: Exception | None, reason: str) -> None:
    """`until` raises, with what happened; leaving the block stops the others in order."""
    needed = BackgroundTask("http", run=journal.hook("http runs", error), on_failure=OnFailure.END)

    async def process() -> None:
        async with asyncio.timeout(10), Supervisor() as supervisor:
            await supervisor.start([journal.whole("one"), needed])
            await supervisor.until(asyncio.Event())

    with capture_logs() as logs, pytest.raises(BackgroundTaskError) as raised:
        await process()
    assert str(raised.value) == f"the background task 'http' ended: {reason}"
    assert journal.lines == ["one start", "one runs", "http runs", "one drain", "one stop", "one returns"]
    assert [(line["event"], line["task"], line["reason"]) for line in logs] == [
        ("background task ended, stopping the process", "http", reason)
    ]
    assert others() == set()


async def test_until_returns_with_its_event(journal: Journal) -> None:
    event = asyncio.Event()
    async with Supervisor() as supervisor:
        needed = journal.whole("http", on_failure=OnFailure.END)
        await supervisor.start([needed])
        asyncio.get_running_loop().call_soon(event.set)
        async with asyncio.timeout(10):
            await supervisor.until(event)
    assert journal.lines[-2:] == ["http stop", "http returns"]


@pytest.mark.parametrize("broken", ["drain", "stop", "run"])
async def test_whatever_fails_at_the_stop_the_others_are_stopped(journal: Journal, broken: str) -> None:
    """And the error is raised at the end."""
    error = StoreError("cannot write")
    hooks: dict[str, Hook] = {broken: journal.hook("broken", error)}
    if broken == "run":
        ended = asyncio.Event()

        async def run() -> None:
            await ended.wait()
            raise error

        async def stop() -> None:
            ended.set()

        hooks = {"run": run, "stop": stop}

    async def process() -> None:
        async with asyncio.timeout(10), Supervisor() as supervisor:
            await supervisor.start([journal.whole("one"), journal.whole("two", **hooks), journal.whole("three")])
            await asyncio.sleep(0)

    with pytest.raises(BackgroundTaskError, match="the background task 'two' did not stop cleanly: cannot write"):
        await process()
    assert [line for line in journal.lines if line.endswith("returns") and "two" not in line] == [
        "three returns",
        "one returns",
    ]
    assert others() == set()


async def test_the_error_of_the_block_counts_more_than_one_of_the_stop(journal: Journal) -> None:

    async def process() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start([BackgroundTask("one", stop=journal.hook("stop", StoreError("too")))])
            raise SettingsError("the cause")

    with pytest.raises(SettingsError, match="the cause"):
        await process()
    assert journal.lines == ["stop"]


async def test_a_cancelled_process_stops_in_order(journal: Journal) -> None:
    """As Ctrl-C does: the block is left by a cancellation, and everything is drained and stopped all the same."""
    up = asyncio.Event()

    async def process() -> None:
        async with Supervisor() as supervisor:
            await supervisor.start([journal.whole("one"), journal.whole("two")])
            up.set()
            await supervisor.until(asyncio.Event())

    running = asyncio.create_task(process())
    await up.wait()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert journal.lines[4:] == ["one drain", "two drain", "two stop", "two returns", "one stop", "one returns"]
    assert others() == set()


async def test_a_stop_that_is_cancelled_leaves_nothing_running(journal: Journal) -> None:
    """The second Ctrl-C: what would still be waited for is cancelled."""
    supervisor = Supervisor()
    stuck = BackgroundTask("stuck", run=journal.forever("stuck"), stop=journal.hook("stuck stop"), grace=None)
    await supervisor.start([BackgroundTask("one", run=journal.forever("one")), stuck])
    await asyncio.sleep(0)
    stopping = asyncio.create_task(supervisor.stop())
    while "stuck stop" not in journal.lines:
        await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert sorted(journal.lines[-2:]) == ["one cancelled", "stuck cancelled"]
    assert others() == set()
