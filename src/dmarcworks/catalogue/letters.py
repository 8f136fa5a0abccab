"""What the queues of users' workers gave up, for those who run the system: seen, delivered again or removed for good.

Each change has its line in the audit log, however it was asked for: by command, on the dashboard or over REST.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmarcworks.bindings.contracts import QueueStats
from dmarcworks.bindings.worker_queue import Dead, WorkerQueues
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.audit import Audit
from dmarcworks.errors import NotFoundError

__all__ = ["Letters", "operates"]

_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Letters:
    """`account_id` of a change: whose audit log it stands in beside the system's own; None for a command."""

    queues: WorkerQueues
    audit: Audit

    async def stats(self) -> Mapping[str, QueueStats]:
        """The queues that hold something, by name."""
        return await self.queues.stats()

    async def dead(self, queue: str = "", *, limit: int = 100) -> Sequence[Dead]:
        """What was given up, of one queue or all, newest first, at most 1,000."""
        return await self.queues.dead(queue, limit=limit)

    async def one(self, message_id: int) -> Dead:
        """The one with this number; `NotFoundError` when it is none, or none any more."""
        found = await self.queues.dead(message_id=message_id) if 0 < message_id <= _LARGEST_ID else ()
        if not found:
            raise NotFoundError(f"no message {message_id} was given up, or somebody has seen to it already")
        return found[0]

    async def retry(self, message_id: int | None = None, queue: str = "", *, account_id: str | None = None) -> int:
        """Deliver one (else all of the queue, or of all queues) again with all its tries; how many there were."""
        if message_id is not None:
            await self.one(message_id)
        done = await self.queues.requeue(queue, message_id)
        await self._note("retry", message_id, queue, done, account_id)
        return done

    async def discard(self, message_id: int | None = None, queue: str = "", *, account_id: str | None = None) -> int:
        """Remove one (else all of the queue, or of all queues) for good; how many there were."""
        if message_id is not None:
            await self.one(message_id)
        done = await self.queues.discard(queue, message_id)
        await self._note("discard", message_id, queue, done, account_id)
        return done

    async def _note(self, action: str, message_id: int | None, queue: str, done: int, account_id: str | None) -> None:
        if done:
            target = queue or "all queues" if message_id is None else str(message_id)
            await self.audit.add(f"worker_queue.{action}", target, account_id=account_id, detail={"messages": done})


async def operates(accounts: Accounts, account_id: str, operator_account: str) -> bool:
    """Whether this account is the one, by name, whose people see to the whole system; with "" none is."""
    account = await accounts.account(account_id) if operator_account else None
    return account is not None and account.name == operator_account
