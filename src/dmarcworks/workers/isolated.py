"""A worker of the user's own, run apart: in a thread and a loop of its own, with a time box for each mail.

Whatever it does, the server lives: an exception, `sys.exit` and a time-out are 451 for the sender; code that blocks
holds up this worker's own mails only, and a loop that never ends is abandoned with its thread. It shares the process,
its memory and its rights: run only workers that you trust.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from types import ModuleType
from typing import Any, TypeVar

import structlog

from dmarcworks.errors import DmarcworksError, RefusedError
from dmarcworks.process.interrupt import ThreadInterrupt, interrupt
from dmarcworks.workers.batch import Batch, BatchMessage
from dmarcworks.workers.bridge import AcrossPost
from dmarcworks.workers.context import Context
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED, TRY_LATER, Delivered, OutOfServiceError, WorkerError
from dmarcworks.workers.points import DataPointOwner

log = structlog.get_logger("dmarcworks.worker")

STUCK = 3
_ANSWER_SECONDS = 1.0
Result = TypeVar("Result")
# Made once per call with the server's loop, in which the bindings live, and whose data points it writes.
MakeEnv = Callable[[asyncio.AbstractEventLoop, DataPointOwner], Any]
_NOBODY = DataPointOwner()


class IsolatedWorker:
    """One worker. `close` ends its thread."""

    def __init__(self, name: str, module: ModuleType, make_env: MakeEnv, *, seconds: float) -> None:
        self.name = name
        self._module = module
        self._make_env = make_env
        self._seconds = seconds
        self._lane: _WorkerThread | None = None
        self._stuck = 0

    async def recipient(self, address: str) -> bool:
        """Called at RCPT; one without `recipient` accepts every address that a rule routes to it, one without
        `email` none."""
        if not hasattr(self._module, "email"):
            return False
        ask = getattr(self._module, "recipient", None)
        if ask is None:
            return True
        env = self._make_env(asyncio.get_running_loop(), _NOBODY)
        return bool(await self._run(lambda: ask(address, env)))

    async def deliver(self, message: Message) -> Delivered:
        """Run `email()`: its outcome as an SMTP reply, and one line in the log."""
        started = time.perf_counter()
        reply, word = TRY_LATER, ""
        here = asyncio.get_running_loop()
        owner = DataPointOwner(message.account_id, message.domain_id) if message.account_id else _NOBODY
        env, context = self._make_env(here, owner), Context(self.name)
        if message.post is not None:
            message.leave_by(AcrossPost(message.post, here))
        try:
            await self._run(lambda: self._module.email(message, env, context))
            reply = ACCEPTED if message.reject_reason is None else f"550 5.7.1 {message.reject_reason}"
        except RefusedError as error:
            # The worker did not catch the next server's refusal, so the sender gets it.
            reply, word = error.reply, error.reply
        except (WorkerError, DmarcworksError) as error:
            word = str(error)
        # Other people's code: whatever it raises is 451 for the sender and a line in our log.
        except Exception as error:
            word = repr(error)
            log.exception("worker failed", worker=self.name)
        took = time.perf_counter() - started
        log.info(
            "mail",
            worker=self.name,
            recipient=message.to,
            sender=message.from_,
            peer=message.peer,
            size=message.raw_size,
            outcome=reply[:3] if not word else f"{reply[:3]} {word}",
            ms=round(took * 1000, 1),
        )
        return Delivered(reply, word, took)

    @property
    def consumes(self) -> bool:
        """Whether it has a `queue` handler."""
        return hasattr(self._module, "queue")

    async def queue(self, batch: Batch) -> Exception | None:
        """Run `queue()`: what it raised, or None. `OutOfServiceError` when the worker is not run any more."""
        started = time.perf_counter()
        env, context = self._make_env(asyncio.get_running_loop(), _NOBODY), Context(self.name)
        failed: Exception | None = None
        try:
            await self._run(lambda: self._module.queue(batch, env, context))
        except OutOfServiceError:
            raise
        except (WorkerError, DmarcworksError) as error:
            failed = error
        # Other people's code: whatever it raises, the batch is redelivered and the server continues.
        except Exception as error:
            failed = WorkerError(repr(error))
            log.exception("worker failed", worker=self.name)
        took = round((time.perf_counter() - started) * 1000, 1)
        word = "" if failed is None else str(failed)
        log.info("batch", worker=self.name, messages=len(batch.messages), error=word or None, ms=took)
        return failed

    async def dead(self, message: BatchMessage, error: str) -> None:
        """A message is about to be dead-lettered: it stays in the queue, or moves, and a line in the log names it."""

    async def _run(self, make: Callable[[], Awaitable[Result]]) -> Result:
        """Run a coroutine in the worker's own loop, within its time."""
        if self._stuck >= STUCK:
            raise OutOfServiceError(f"the worker blocked {STUCK} times and is out of service until a restart")
        if self._lane is None:
            self._lane = _WorkerThread(self.name)
        lane = self._lane
        future = lane.submit(_guarded(make))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError:
            future.cancel()
            if not await lane.answers():
                self._stuck += 1
                self._lane = None
                lane.abandon()
                log.error("a worker blocks and its thread is abandoned", worker=self.name, times=self._stuck)
            raise WorkerError(f"no outcome within {self._seconds:g} s") from None

    def close(self) -> None:
        """End the worker's loop."""
        if self._lane is not None:
            self._lane.close()


async def _guarded(make: Callable[[], Awaitable[Result]]) -> Result:
    """A call that cannot end its loop: `sys.exit` in a coroutine would."""
    try:
        return await make()
    except SystemExit as error:
        raise WorkerError(f"the worker called sys.exit({error.code!r})") from None
    except KeyboardInterrupt:
        raise WorkerError("the worker raised KeyboardInterrupt") from None
    except TimeoutError as error:
        # Not ours: the worker's own time-out must not look like the end of its time box.
        raise WorkerError(repr(error)) from None


class _WorkerThread:
    """A thread with a loop."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        # A daemon: one that blocks for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._serve, name=f"worker {name}", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        # The exception that `abandon` sends may arrive anywhere in here, and ends the thread.
        with contextlib.suppress(ThreadInterrupt):
            self.loop.run_forever()
        with contextlib.suppress(Exception):
            self.loop.close()

    def submit(self, work: Coroutine[Any, Any, Result]) -> Any:
        """Begin a coroutine; a concurrent future."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    async def answers(self) -> bool:
        """Whether the loop still turns."""
        answered = self.submit(asyncio.sleep(0))
        try:
            await asyncio.wait_for(asyncio.wrap_future(answered), _ANSWER_SECONDS)
        except TimeoutError:
            return False
        return True

    def abandon(self) -> None:
        """Leave a thread that does not come back; what runs Python code in it is interrupted, a sleep is not."""
        interrupt(self._thread)

    def close(self) -> None:
        """End the loop when what it does now is done."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(1.0)
