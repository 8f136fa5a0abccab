"""Child processes that can be killed: what they run, what limits them, and who hears of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.process.frames import UnsafeAnswerError, restricted
from dmarcworks.process.isolated import FailedError, KilledError, UnavailableError
from dmarcworks.reports.model import Warning
from tests.support.isolated import WORK, gone, pool
from tests.support.waiting import wait_until


async def test_a_function_runs_in_one_child_that_is_kept() -> None:
    """The child starts with the first job and runs the next ones."""
    async with pool() as made:
        assert made.pids == []
        first = await made.run(("pid",))
        assert first != os.getpid()
        assert made.pids == [first]
        assert await made.run(("pid",)) == first
        assert await made.run(("echo", {"a": [1, None, b"\0" * 3_000_000]})) == {"a": [1, None, b"\0" * 3_000_000]}
        assert await made.run(("print",)) == "printed"
    await wait_until(lambda: gone(first), "the first process ended")


async def test_a_target_may_be_made_once_per_child_and_may_yield() -> None:
    """`arguments` makes the function; what it yields comes as a list."""
    async with pool("tests.support.targets:make", arguments=("a",)) as made:
        assert [await made.run(text) for text in "bc"] == ["ab", "ac"]
    async with pool("tests.support.targets:pieces") as made:
        assert await made.run(3) == [[0], [1], [2]]


async def test_jobs_run_side_by_side_in_processes_and_in_threads(tmp_path: Path) -> None:
    """Two processes, then two threads of one: each job waits for the other."""
    for number, options in enumerate(({"processes": 2}, {"concurrency": 2})):
        (folder := tmp_path / str(number)).mkdir()
        async with pool(**options) as made:
            await asyncio.gather(*(made.run(("meet", str(folder), name, 2)) for name in "ab"))
            assert len(made.pids) == options.get("processes", 1)


@pytest.mark.parametrize("what", ["spin", "spin_in_thread"])
async def test_a_job_that_spins_and_holds_the_lock_is_killed(what: str) -> None:
    """The event loop goes on meanwhile, the reason is given and counted, and the next job runs."""
    killed: list[tuple[str, str]] = []
    async with pool(cpu_seconds=0.3, killed=lambda *of: killed.append(of)) as made:
        with pytest.raises(KilledError) as raised:
            await made.run((what,))
        assert (raised.value.reason, str(raised.value)) == ("cpu", "it used more than 0.3 s of processor time")
        assert killed == [("test", "cpu")]
        assert await made.run(("echo", 1)) == 1


@pytest.mark.parametrize(
    ("what", "reason", "options"),
    [("fill", "memory", {"memory_bytes": 256 << 20}), ("end", "died", {}), ("sleep", "time", {"wall_seconds": 0.3})],
)
async def test_a_job_that_fills_the_memory_ends_the_process_or_never_ends(
    what: str, reason: str, options: dict[str, Any]
) -> None:
    """Each has its reason, and the next job runs in a fresh child."""
    killed: list[tuple[str, str]] = []
    async with pool(**options, killed=lambda *of: killed.append(of)) as made:
        first = await made.run(("pid",))
        with pytest.raises(KilledError) as raised:
            await made.run((what,))
        assert raised.value.reason == reason
        assert killed == [("test", reason)]
        assert await made.run(("pid",)) != first
        assert gone(first)


@pytest.mark.parametrize(
    ("what", "name", "detail"), [("raise", "ValueError", "no such thing"), ("exit", "SystemExit", "3")]
)
async def test_an_exception_is_the_jobs_own(what: str, name: str, detail: str) -> None:
    """The child lives on, whatever was raised."""
    async with pool() as made:
        first = await made.run(("pid",))
        with pytest.raises(FailedError) as raised:
            await made.run((what,))
        assert (raised.value.name, raised.value.detail) == (name, detail)
        assert await made.run(("pid",)) == first


async def test_neighbours_of_a_job_that_spins_start_again(tmp_path: Path) -> None:
    """The one that used the time is known; the others come to their end in another child."""
    async with pool(concurrency=4, cpu_seconds=0.3) as made:
        others = [asyncio.ensure_future(made.run(("wait", str(tmp_path / "go")))) for _ in range(3)]
        with pytest.raises(KilledError, match="processor time"):
            await made.run(("spin",))
        (tmp_path / "go").touch()
        assert await asyncio.gather(*others) == ["waited"] * 3


async def test_when_nobody_knows_who_ended_the_child_each_runs_alone(tmp_path: Path) -> None:
    """The one that ends its process alone is told so, its neighbours are not."""
    (tmp_path / "go").touch()
    killed: list[tuple[str, str]] = []
    async with pool(concurrency=8, killed=lambda *of: killed.append(of)) as made:
        jobs = [("wait", str(tmp_path / "go")), ("end",), ("echo", 1), ("end",), ("fill_not",)]
        results = await asyncio.gather(*(made.run(job) for job in jobs), return_exceptions=True)
    assert results[0] == "waited"
    assert results[2] == 1
    assert isinstance(results[4], FailedError)
    assert [one.reason for one in (results[1], results[3]) if isinstance(one, KilledError)] == ["died", "died"]
    assert set(killed) == {("test", "died")}
    assert len(killed) >= 3


async def test_who_does_not_wait_any_more_ends_the_job() -> None:
    """The child is killed, not counted as such, and the next job runs."""
    killed: list[tuple[str, str]] = []
    async with pool(killed=lambda *of: killed.append(of)) as made:
        first = await made.run(("pid",))
        waiting = asyncio.ensure_future(made.run(("spin",)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await made.run(("pid",)) != first
        assert gone(first)
        assert killed == []


async def test_closing_ends_children_and_refuses() -> None:
    """Who waits then and who asks later hears the same."""
    async with pool() as made:
        pid = await made.run(("pid",))
        waiting = [asyncio.ensure_future(made.run((what,))) for what in ("sleep", "pid")]
        await asyncio.sleep(0)
        await made.close()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, UnavailableError)
        assert gone(pid)
        with pytest.raises(UnavailableError, match="closed"):
            await made.run(("pid",))


async def test_a_target_that_cannot_be_imported_is_no_endless_wait() -> None:
    """Who waits hears that no process starts."""
    async with pool("tests.support.absent:work") as made:
        with pytest.raises(UnavailableError, match=r"no process for test can be started.*'tests\.support\.absent'"):
            await made.run(1)


async def test_children_are_changed_after_many_jobs_and_ended_when_idle() -> None:
    """Memory that a library leaks does not grow for ever."""
    async with pool(jobs_per_process=3) as made:
        pids = [await made.run(("pid",)) for _ in range(7)]
        assert [pids.index(pid) for pid in pids] == [0, 0, 0, 3, 3, 3, 6]
    async with pool(idle_seconds=0.05) as made:
        pid = await made.run(("pid",))
        await wait_until(lambda: gone(pid), "the process ended")
        assert await made.run(("echo", 1)) == 1


async def test_a_child_has_nothing_that_it_does_not_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secrets in its environment, no descriptors, no heavy modules, no files to write; sockets work."""
    monkeypatch.setenv("DMARCWORKS_DATABASE_URL", "postgresql://user:secret@host/name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        async with pool() as made:
            names = await made.run(("environment",))
            assert not [name for name in names if name.startswith(("DMARC", "AWS", "HOME", "USER"))]
            assert await made.run(("descriptors",)) == ["pipe", "pipe"]
            modules = set(await made.run(("modules",)))
            assert not modules & {"chdb", "fastapi", "pyarrow", "sqlalchemy", "structlog", "dkim"}
            assert await made.run(("write", str(tmp_path / "new"))) == "OSError"
            assert await made.run(("socket",)) == "y"


async def test_signals_of_the_terminal_do_not_reach_a_child() -> None:
    """Only its parent ends it."""
    async with pool() as made:
        pid = await made.run(("pid",))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid, number)
        assert await made.run(("pid",)) == pid


async def test_a_child_ends_with_its_parent_even_while_it_spins(tmp_path: Path) -> None:
    """A parent that is killed can tell nobody: the kernel ends the child."""
    program = f"""
import asyncio
from dmarcworks.process.isolated import IsolatedPool
async def main():
    pool = IsolatedPool({WORK!r}, name="test")
    print(await pool.run(("pid",)), flush=True)
    await pool.run(("spin",))
asyncio.run(main())
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environ) as parent:
        assert parent.stdout is not None
        pid = int(await asyncio.to_thread(parent.stdout.readline))
        # It spins once it has used some time.

        def busy() -> bool:
            return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11]) > 30

        await wait_until(busy, "the child at work")
        parent.kill()
        await wait_until(lambda: gone(pid), "the process ended")


async def test_an_answer_holds_allowed_classes_only() -> None:
    """A class that was not named ends the child: what it sends is not trusted."""
    async with pool(results=(Warning,)) as made:
        assert await made.run(("warning",)) == Warning("code", "where", "detail")
        with pytest.raises(KilledError) as raised:
            await made.run(("path",))
        assert raised.value.reason == "died"


@pytest.mark.parametrize("answer", [b"cos\nsystem\n(S'false'\ntR.", b"cbuiltins\neval\n(S'1'\ntR.", b"\x80\x05.", b""])
def test_a_pickle_that_calls_a_function_is_refused(answer: bytes) -> None:
    """Pickles can name any function; ours name the classes of the answer."""
    with pytest.raises(UnsafeAnswerError):
        restricted((Warning,))(answer)
