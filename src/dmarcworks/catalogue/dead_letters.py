"""Dead letters in the queues of users' workers, for those who run the system: list, requeue or remove permanently.

Each change has its line in the audit log, whether it came from a command, the dashboard or REST.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, DeadLetter, DeadLetters, Queue, QueueStats
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.audit import Audit
from dmarcworks.errors import NotFoundError

__all__ = ["DeadLetterActions", "excerpt", "operates"]

_LARGEST_ID = 2**63 - 1
# A queue ("" for all) and a message (None for all of it) → how many there were.
_Act = Callable[[str, int | None], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class DeadLetterActions:
    """`account_id` of a change: the account whose audit log also shows it, next to the system's own; None for a
    command."""

    queue: Queue
    dead_letters: DeadLetters
    audit: Audit

    async def stats(self) -> Mapping[str, QueueStats]:
        """The queues that hold something, by name."""
        stats = await self.queue.stats()
        return {name: counted for name, counted in stats.items() if name != SYSTEM_QUEUE}

    async def dead(
        self, queue: str = "", *, limit: int = 100, before: tuple[float, int] | None = None
    ) -> Sequence[DeadLetter]:
        """Dead letters of one queue or all, newest first, at most 1,000; `before` as in `DeadLetters.dead`."""
        return await self.dead_letters.dead(queue, limit=limit, before=before)

    async def one(self, message_id: int) -> DeadLetter:
        """The one with this number; `NotFoundError` when it is none, or none any more."""
        matching = await self.dead_letters.dead(message_id=message_id) if 0 < message_id <= _LARGEST_ID else ()
        if not matching:
            raise _gone(message_id)
        return matching[0]

    async def retry(self, message_id: int, *, account_id: str | None = None) -> DeadLetter:
        """Deliver one again with all its tries; what it was. `NotFoundError` as for `one`."""
        return await self._one_by("retry", self.dead_letters.requeue, message_id, account_id)

    async def retry_all(self, queue: str = "", *, account_id: str | None = None) -> int:
        """Deliver all of the queue, or of all queues, again with all their tries; how many there were."""
        return await self._all_by("retry", self.dead_letters.requeue, queue, account_id)

    async def discard(self, message_id: int, *, account_id: str | None = None) -> DeadLetter:
        """Remove one permanently; what it was. `NotFoundError` as for `one`."""
        return await self._one_by("discard", self.dead_letters.discard, message_id, account_id)

    async def discard_all(self, queue: str = "", *, account_id: str | None = None) -> int:
        """Remove all of the queue, or of all queues, permanently; how many there were."""
        return await self._all_by("discard", self.dead_letters.discard, queue, account_id)

    async def _one_by(self, action: str, act: _Act, message_id: int, account_id: str | None) -> DeadLetter:
        dead_letter = await self.one(message_id)
        if not await act("", message_id):
            raise _gone(message_id)
        await self._note(action, str(message_id), 1, account_id)
        return dead_letter

    async def _all_by(self, action: str, act: _Act, queue: str, account_id: str | None) -> int:
        done = await act(queue, None)
        if done:
            await self._note(action, queue or "all queues", done, account_id)
        return done

    async def _note(self, action: str, target: str, done: int, account_id: str | None) -> None:
        await self.audit.add(f"worker_queue.{action}", target, account_id=account_id, detail={"messages": done})


def _gone(message_id: int) -> NotFoundError:
    return NotFoundError(f"no dead letter {message_id}: none has this id, or it was handled already")


def excerpt(dead_letter: DeadLetter, characters: int) -> tuple[str, bool]:
    """The beginning of a body for a person, and whether more follows; of bytes only how many they are."""
    if dead_letter.type == "bytes":
        return f"{len(dead_letter.body):,} bytes", False
    # A character has at most four bytes, so this holds one more than is shown if there is one.
    text = dead_letter.body[: 4 * (characters + 1)].decode("utf-8", "replace")
    shown = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text[:characters])
    return shown, len(text) > characters


async def operates(accounts: Accounts, operator_account: str, account_id: str) -> bool:
    """Whether this account is the one, by name, whose people see to the whole system; with "" none is."""
    account = await accounts.account(account_id) if operator_account else None
    return account is not None and account.name == operator_account


async def operator_id(accounts: Accounts, operator_account: str) -> str:
    """The id of that account; "" while there is none."""
    named = (account.id for account in await accounts.accounts() if account.name == operator_account)
    return next(named, "") if operator_account else ""
