"""The process that isolated children are forked from: what it holds, how its children end, and what ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dmarcworks.process.fork_server import Request
from dmarcworks.process.forking import ForkServer
from dmarcworks.process.isolated import IsolatedPool, KilledError
from tests.support.isolated import WORK, gone, pool
from tests.support.waiting import wait_until


async def server_of(made: IsolatedPool) -> int:
    """The process id of the pool's fork server."""
    parent: int = await made.run(("parent",))
    return parent


async def test_a_function_is_imported_once_for_all_children() -> None:
    """The fork server imports it, and every child of every pool has it already."""
    async with pool() as one, pool() as other:
        importers = {await one.run(("importer",)), await other.run(("importer",))}
        parents = {await server_of(one), await server_of(other)}
        assert importers == parents
        assert importers.isdisjoint({os.getpid(), *one.pids, *other.pids})
        first = one.pids
        with pytest.raises(KilledError):
            await one.run(("end",))
        assert {await one.run(("importer",))} == importers
        assert one.pids != first


async def test_what_is_prepared_is_imported_before_the_first_child() -> None:
    """`prepare` starts no child."""
    async with pool("tests.support.targets:make", arguments=("a",)) as made:
        await made.prepare()
        assert made.pids == []
        assert await made.run("b") == "ab"


async def test_the_fork_server_has_nothing_that_a_child_must_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean environment, one thread, no descriptors but its own; its children are no part of our session."""
    monkeypatch.setenv("DMARCWORKS_DATABASE_URL", "postgresql://user:secret@host/name")
    async with pool() as made:
        parent, child = await server_of(made), await made.run(("pid",))
        folder = Path(f"/proc/{parent}")
        assert b"secret" not in (folder / "environ").read_bytes()
        assert len(list((folder / "task").iterdir())) == 1
        opened = {int(link.name): os.readlink(link) for link in (folder / "fd").iterdir()}
        assert opened[0] == os.devnull
        # 1 and 2 are standard error.
        assert [name.partition(":")[0] for number, name in opened.items() if number > 2] == ["socket"]
        assert len({os.getsid(0), os.getsid(parent), os.getsid(child)}) == 3


async def test_a_job_that_lost_its_child_with_the_fork_server_runs_again(tmp_path: Path) -> None:
    """It is not to blame the first time: another fork server starts, and the job ends as it would have."""
    killed: list[tuple[str, str]] = []
    async with pool(processes=2, killed=lambda *of: killed.append(of)) as made:
        first = await server_of(made)
        jobs = [asyncio.ensure_future(made.run(("wait", str(tmp_path / "go")))) for _ in range(2)]
        await wait_until(lambda: len(made.pids) == 2, "both children")
        before = made.pids
        os.kill(first, signal.SIGKILL)
        await wait_until(lambda: len(set(made.pids) - set(before)) == 2, "two other children")
        assert all(gone(pid) for pid in before)
        (tmp_path / "go").touch()
        assert await asyncio.gather(*jobs) == ["waited"] * 2
        assert await server_of(made) != first


async def test_a_job_that_ends_the_fork_server_is_stopped() -> None:
    """It does not start again for ever."""
    async with pool() as made:
        with pytest.raises(KilledError) as raised:
            await made.run(("end_parent",))
        assert raised.value.reason == "died"
        assert await made.run(("echo", 1)) == 1


async def test_the_fork_server_ends_with_the_last_pool_and_leaves_no_zombie() -> None:
    """While a pool uses it, it stays; a child that ends is waited for."""
    async with pool() as one:
        async with pool() as other:
            parent, child = await server_of(one), await other.run(("pid",))
        assert gone(child)
        assert not Path(f"/proc/{child}").exists()
        assert not gone(parent)
    assert gone(parent)


async def test_a_child_whose_start_is_cancelled_does_not_stay() -> None:
    """Whoever closes a pool while a child is being forked leaves none behind."""
    async with pool() as other:
        server = await server_of(other)
        made = IsolatedPool(WORK, name="test")
        waiting = asyncio.ensure_future(made.run(("pid",)))
        for _ in range(3):
            await asyncio.sleep(0)
        await made.close()
        assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], Exception)
        children = Path(f"/proc/{server}/task/{server}/children")
        await wait_until(lambda: children.read_text().split() == [str(other.pids[0])], "one child left")


async def test_an_exit_status_reaches_the_server() -> None:
    """A signal that ended a child is known, and to kill what has ended does nothing."""
    server = ForkServer.shared()
    try:
        child = await server.fork("tests.support.targets")
        os.kill(child.pid, signal.SIGUSR1)
        await wait_until(lambda: gone(child.pid), "the child ended")
        assert await child.wait() == -signal.SIGUSR1
        child.kill()
        other = await server.fork("tests.support.targets")
        other.kill()
        assert await other.wait() == -signal.SIGKILL
        assert child.parent == other.parent == server.pid
    finally:
        await server.release()


async def test_a_child_that_is_waited_for_does_not_leave_by_itself() -> None:
    """It is killed, however late its parent reads the request: its pipes are open until then."""
    server = ForkServer.shared()
    try:
        child = await server.fork("tests.support.targets")
        os.kill(server.pid, signal.SIGSTOP)
        waiting, reading = asyncio.ensure_future(child.wait()), asyncio.ensure_future(child.pipes.read())
        for _ in range(5):
            await asyncio.sleep(0)
        # Closed pipes would end the reading at once.
        assert not reading.done()
        os.kill(server.pid, signal.SIGCONT)
        assert await waiting == -signal.SIGKILL
        with pytest.raises((EOFError, BrokenPipeError)):
            await reading
    finally:
        await server.release()


async def test_a_child_of_an_earlier_fork_server_is_over() -> None:
    """Another fork server has no child of that number: nobody waits for its answer, and it kills none of its own."""
    server = ForkServer.shared()
    try:
        child = await server.fork("tests.support.targets")
        os.kill(child.parent, signal.SIGKILL)
        await wait_until(lambda: gone(child.parent), "the fork server ended")
        assert await server.reply(Request.WAIT, 99) is None
        other = await server.fork("tests.support.targets")
        child.kill()
        assert await child.wait() is None
        await wait_until(lambda: gone(child.pid), "the child ended")
        assert await server.reply(Request.WAIT, 99) == 0
        assert not gone(other.pid)
        await other.wait()
    finally:
        await server.release()


async def test_the_fork_server_and_its_children_end_with_the_server() -> None:
    """A server that is killed can tell nobody: the kernel ends the fork server, and then its children."""
    program = f"""
import asyncio
from dmarcworks.process.isolated import IsolatedPool
async def main():
    pool = IsolatedPool({WORK!r}, name="test")
    print(await pool.run(("pid",)), await pool.run(("parent",)), flush=True)
    await pool.run(("spin",))
asyncio.run(main())
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environ) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(parent.stdout.readline)).split()]
        parent.kill()
        await wait_until(lambda: all(gone(pid) for pid in pids), "both ended")
