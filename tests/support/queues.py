"""KV and queue of a test on its clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dmarcworks.bindings.contracts import (
    KV,
    Database,
    LeasedMessage,
    OutgoingMessage,
)
from dmarcworks.bindings.open import open_kv, open_queue
from dmarcworks.bindings.queue import SqlQueue
from tests.support.postgres import Clock


def new_kv(database: Database, clock: Clock) -> KV:
    """The implementation that `open_kv` chooses for the database, on the test's clock."""
    return type(open_kv(database))(database, clock)  # type: ignore[call-arg]


NAME = "mails"


def new_queue(database: Database, clock: Clock) -> SqlQueue:
    """The implementation that `open_queue` chooses for the database, on the test's clock."""
    return type(open_queue(database))(database, clock)  # type: ignore[arg-type]


async def send(queue: SqlQueue, body: Any, delay: float = 0.0, name: str = NAME) -> int:
    """Send one JSON message; its id."""
    (number,) = await queue.send(name, [OutgoingMessage("json", json.dumps(body).encode(), delay)])
    return number


def bodies(messages: Sequence[LeasedMessage]) -> list[Any]:
    return [json.loads(message.body) for message in messages]
