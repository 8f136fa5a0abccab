"""The isolated child process of a pool (`python -m dmarcworks.process.child`): runs one function on many arguments.

Frames come in on standard input, which ends when the parent does; answers go out on what was standard output. Whatever
else the function prints goes nowhere. Each slot is a thread; only a pool with `concurrency` has several.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from inspect import isgenerator
from typing import Any, BinaryIO

from dmarcworks.process.frames import Kind, Setup, pack, read_frame
from dmarcworks.process.limits import allow_processor_time, restrict, restrict_files

__all__ = ["main"]


_DESCRIPTORS = 1 << 20


class _Answers:
    """The way back to the parent; one frame at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """The descriptor."""
        return self._file.fileno()

    def send(self, kind: Kind, number: int, value: Any) -> None:
        payload = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            try:
                self._file.write(pack(kind, number, payload))
                self._file.write(payload)
                self._file.flush()
            except OSError:
                os._exit(1)  # the parent is gone


def main() -> None:
    """Read the setup, then run jobs until standard input ends."""
    jobs_in = os.fdopen(os.dup(0), "rb")
    answers = _Answers(os.fdopen(os.dup(1), "wb"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    # An event loop may leave copies of the pipes; what strangers' bytes meet must have none of them.
    os.closerange(max(jobs_in.fileno(), answers.fileno(), nowhere) + 1, _DESCRIPTORS)
    first = read_frame(jobs_in)
    if first is None:
        return
    # The parent's own modules, and those that a test's parent finds, are found in the same places here.
    path, setup_bytes = pickle.loads(first[2])  # noqa: S301 - from our parent
    sys.path[:] = path
    setup: Setup = pickle.loads(setup_bytes)  # noqa: S301 - from our parent
    restrict(setup.memory_bytes, setup.nice, setup.parent)
    try:
        work = _target(setup)
    # Whatever keeps the function from being there: the parent logs it.
    except BaseException as error:
        answers.send(Kind.FAILED, 0, (type(error).__name__, str(error)[:2000]))
        return
    # A limit on files would turn a word on standard error, where that is a file, into an error of the function.
    for standard in (1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)
    restrict_files()
    slots = [_Slot(work, answers, setup) for _ in range(setup.concurrency)]
    answers.send(Kind.READY, 0, [slot.thread_id() for slot in slots])
    while (frame := read_frame(jobs_in)) is not None:
        _, number, payload = frame
        slots[number % setup.concurrency].jobs.put((number, payload))
    os._exit(0)  # no caller waits for the jobs that still run


def _target(setup: Setup) -> Callable[[Any], Any]:
    module, _, name = setup.target.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function if setup.arguments is None else function(*setup.arguments)


class _Slot:
    """A thread that runs one job after the other."""

    def __init__(self, work: Callable[[Any], Any], answers: _Answers, setup: Setup) -> None:
        self.jobs: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._work, self._answers = work, answers
        self._allowance = setup.cpu_seconds * setup.concurrency
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def thread_id(self) -> int:
        """The kernel's number of the thread, by which its processor time is found."""
        return self._thread.native_id or 0

    def _serve(self) -> None:
        while True:
            number, payload = self.jobs.get()
            allow_processor_time(self._allowance)
            try:
                self._run(number, payload)
            except MemoryError:
                self._answers.send(Kind.MEMORY, number, None)
            # Whatever the function raises, `sys.exit` too, is the answer to this job and the end of nothing.
            except BaseException as error:
                self._answers.send(Kind.FAILED, number, (type(error).__name__, str(error)[:2000]))

    def _run(self, number: int, payload: bytes) -> None:
        result = self._work(pickle.loads(payload))  # noqa: S301 - from our parent
        if isgenerator(result):
            for piece in result:
                self._answers.send(Kind.PIECE, number, piece)
            result = None
        self._answers.send(Kind.DONE, number, result)


if __name__ == "__main__":
    main()
