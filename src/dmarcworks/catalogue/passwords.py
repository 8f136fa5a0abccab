"""Password hashes (Argon2id, RFC 9106), computed on a few threads of their own.

A hash takes about a tenth of a second and 64 MiB. The library releases the interpreter's lock meanwhile, so SMTP and
HTTP continue. At most `THREADS` hashes run and `WAITING` wait; one more is a `BusyError`, so that any number of log-ins
at once takes a bounded share of memory and processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from dmarcworks.errors import BusyError

__all__ = ["NOBODY", "Passwords"]

THREADS = 2
WAITING = 64
PASSWORD_MAXIMUM = 1024
# Checked when there is no such user or no password, with the same parameters: the answer takes as long.
NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$tC6Qkpc4vGHVDyg0EorYyg$GuMeM0Dnf+WfNW1YS1MJTBwXEGTSlIGnMgDP6993g7k"
_NICE = 5

Result = TypeVar("Result")


class Passwords:
    """Make and check hashes; the threads start with the first one."""

    def __init__(self, threads: int = THREADS, waiting: int = WAITING) -> None:
        self.hasher = PasswordHasher(
            time_cost=3, memory_cost=65536, parallelism=4, hash_len=32, salt_len=16, type=Type.ID
        )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password", initializer=_low_priority)
        self._most = threads + waiting
        self._lock = threading.Lock()
        self._open = 0

    async def hash(self, password: str) -> str:
        """The hash to store; `BusyError` when too many wait."""
        return await self._run(lambda: self.hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password is the stored one; as long and False when none is stored. `BusyError` as `hash`."""
        right = await self._run(lambda: self._verify(stored or NOBODY, password[:PASSWORD_MAXIMUM]))
        return right and stored is not None

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self.hasher.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    async def _run(self, work: Callable[[], Result]) -> Result:
        with self._lock:
            if self._open >= self._most:
                raise BusyError("too many logins are being checked at the moment; try again in a few seconds")
            self._open += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._ended)
        return await asyncio.wrap_future(future)

    def _ended(self, _: Future[Result]) -> None:
        with self._lock:
            self._open -= 1


def _low_priority() -> None:
    """Let the threads that answer SMTP and HTTP run first (Linux has a priority per thread)."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
