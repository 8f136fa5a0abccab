"""Password checks on threads: few at a time, few waiting, the rest refused; nobody is treated like somebody."""

from __future__ import annotations

import asyncio
import threading

import pytest

from dmarcworks.catalogue.passwords import NOBODY, Passwords
from dmarcworks.errors import BusyError


async def test_a_hash_opens_with_its_password_only() -> None:
    """Argon2id; without a stored hash, and with one that is none, the answer is no."""
    passwords = Passwords()
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.verify(stored, "correct horse") is True
    for hashed, password in ((stored, "correct hors"), (None, "correct horse"), ("nonsense", "x"), (stored, "\ud800")):
        assert await passwords.verify(hashed, password) is False


def test_nobodys_hash_costs_what_anybodys_costs() -> None:
    """The same parameters, so that an unknown name takes as long."""
    assert Passwords().hasher.check_needs_rehash(NOBODY) is False


async def test_what_cannot_wait_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One runs, two wait, the fourth is refused; once they are done there is room again."""
    passwords = Passwords(threads=1, waiting=2)
    go = threading.Event()
    monkeypatch.setattr(passwords, "_verify", lambda stored, password: go.wait(30))
    running = [asyncio.ensure_future(passwords.verify("x", "x")) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="try again in a few seconds"):
        await passwords.verify("x", "x")
    # Whoever does not wait any more takes nobody's place.
    running.pop().cancel()
    await asyncio.sleep(0)
    running.append(asyncio.ensure_future(passwords.verify("x", "x")))
    await asyncio.sleep(0)
    with pytest.raises(BusyError):
        await passwords.hash("x")
    go.set()
    assert await asyncio.gather(*running) == [True] * 3
    assert await passwords.verify("x", "x") is True
