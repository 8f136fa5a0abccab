"""What a worker's `queue(batch, env, ctx)` receives, and how the bodies of its messages are encoded.

Per message the first call of `ack` and `retry` wins and beats the batch's; of `ack_all` and `retry_all` the first wins.
Messages that are neither acknowledged nor retried are done when the handler returned, and retried when it raised.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from dmarcworks.bindings.contracts import QUEUE_BODY_BYTES, QUEUE_LONGEST_DELAY, LeasedMessage, OutgoingMessage
from dmarcworks.errors import BoundError, UsageError

__all__ = ["TYPES", "Apart", "Batch", "BatchMessage", "Decision", "checked_delay", "decode", "encode"]

TYPES = ("json", "text", "bytes")


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a message: done, or delivered again after `delay` seconds (None: the queue's own pause).

    A `temporary` failure (a store or DNS was unavailable) does not count as a try.
    """

    done: bool
    delay: float | None = None
    error: str = ""
    temporary: bool = False


class Apart(Protocol):
    """Works on messages apart from their batch (`workers.detached`)."""

    @property
    def full(self) -> bool:
        """Whether no further message may be set aside now."""

    def begin(
        self, message: Any, prepare: Callable[[], Awaitable[Any]], work: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Prepare and work on it in a task of its own, then settle it."""


class BatchMessage:
    """A message. `attempts` counts this try too, `timestamp` is when it was sent.

    `failures` are the earlier tries that failed or never ended; `deliveries` counts those as well that did not count as
    tries.
    """

    def __init__(self, leased: LeasedMessage, apart: Apart | None = None) -> None:
        self.leased = leased
        self.id = str(leased.id)
        self.timestamp: datetime = leased.sent
        self.body: Any = decode(leased.type, leased.body)
        self.failures = leased.failures
        self.attempts = leased.failures + 1
        self.deliveries = leased.deliveries
        self.decision: Decision | None = None
        self.detached = False
        # Failed permanently without a further try.
        self.spent = False
        self._apart = apart

    def ack(self) -> None:
        """Done, also when the handler raises later."""
        self.decision = self.decision or Decision(True)

    def retry(self, *, delay_seconds: float | None = None, error: str = "", temporary: bool = False) -> None:
        """Deliver it again, after so many seconds (0 to 43,200) or the queue's own pause.

        `error` is kept with the message. `temporary`: this delivery does not count as a try.
        """
        delay = None if delay_seconds is None else checked_delay(delay_seconds)
        self.decision = self.decision or Decision(False, delay, error, temporary)

    def give_up(self, error: str) -> None:
        """Its tries are used up by deliveries that never ended: it is dead-lettered without a further one."""
        self.spent, self.attempts = True, self.failures
        self.retry(error=error)

    def detach(self, prepare: Callable[[BatchMessage], Awaitable[Any]], work: Callable[[Any], Awaitable[None]]) -> bool:
        """Work on it apart from its batch, which ends without it; False where nobody does that.

        `prepare` runs alongside everything else, with a message of its own that is acknowledged or retried apart from
        the
        batch; `work` then gets what it returned, as for a batch of this message.
        """
        if self._apart is None:
            return False
        if self._apart.full:
            self.retry(error="many mails wait to be read by themselves", temporary=True)
        elif self.decision is None and not self.detached:
            own = copy.copy(self)
            self.detached = True
            self._apart.begin(own, lambda: prepare(own), work)
        return True


class Batch:
    """Messages of one queue that are delivered together, oldest first."""

    def __init__(self, queue: str, messages: Sequence[BatchMessage]) -> None:
        self.queue = queue
        self.messages = tuple(messages)
        self._decision: Decision | None = None

    def ack_all(self) -> None:
        """Every message that is not decided by itself is done."""
        self._decision = self._decision or Decision(True)

    def retry_all(self, *, delay_seconds: float | None = None) -> None:
        """Every message that is not decided by itself is delivered again."""
        delay = None if delay_seconds is None else checked_delay(delay_seconds)
        self._decision = self._decision or Decision(False, delay)

    def decide(self, failed: Decision | None) -> None:
        """Decide every message that is left: as the batch decided, else done, or as `failed` when the handler
        raised."""
        for message in self.messages:
            if not message.detached:
                message.decision = message.decision or self._decision or failed or Decision(True)


def checked_delay(seconds: float) -> float:
    """The delay, when it is one: 0 to 43,200 seconds (12 hours)."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= QUEUE_LONGEST_DELAY:
        raise UsageError(f"a delay is 0 to {QUEUE_LONGEST_DELAY:g} seconds, not {seconds!r}")
    return float(seconds)


def encode(body: Any, content_type: str, delay_seconds: float) -> OutgoingMessage:
    """A message to send; `UsageError` for a body that is not of its type, `BoundError` over 128,000 bytes."""
    delay = checked_delay(delay_seconds)
    if content_type == "json":
        try:
            data = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"the message is no JSON: {error}") from None
    elif content_type == "text" and isinstance(body, str):
        data = body.encode("utf-8", "surrogatepass")
    elif content_type == "bytes" and isinstance(body, bytes | bytearray | memoryview):
        data = bytes(body)
    elif content_type in TYPES:
        raise UsageError(f"a {type(body).__name__} is no message of content_type {content_type}")
    else:
        raise UsageError(f"content_type is one of {', '.join(TYPES)}, not {content_type!r}")
    if len(data) > QUEUE_BODY_BYTES:
        raise BoundError(f"a queue message may have {QUEUE_BODY_BYTES} bytes, this one has {len(data)}")
    return OutgoingMessage(content_type, data, delay)


def decode(content_type: str, data: bytes) -> Any:
    """The body as it was sent."""
    if content_type == "json":
        return json.loads(data)
    return data.decode("utf-8", "surrogatepass") if content_type == "text" else data
