"""What a worker's `queue(batch, env, ctx)` sees, and what bytes its messages are.

Per message the first call of `ack` and `retry` wins and beats the batch's; of `ack_all` and `retry_all` the first wins.
What nobody said a word of is done when the handler returned, and tried again when it raised (PLATFORM §5).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dmarcworks.bindings.contracts import QUEUE_BODY_BYTES
from dmarcworks.bindings.worker_queue import LONGEST_DELAY, Leased, Sent
from dmarcworks.errors import BoundError, UsageError

TYPES = ("json", "text", "bytes")


@dataclass(frozen=True, slots=True)
class Word:
    """What was said of a message: done, or again after `delay` seconds (None: the queue's own pause)."""

    done: bool
    delay: float | None = None


class _Said:
    """Holds the first word."""

    def __init__(self) -> None:
        self.word: Word | None = None

    def _ack(self) -> None:
        self.word = self.word or Word(True)

    def _retry(self, delay_seconds: float | None) -> None:
        delay = None if delay_seconds is None else checked_delay(delay_seconds)
        self.word = self.word or Word(False, delay)


class QueueMessage(_Said):
    """A message; `attempts` counts this delivery too, `timestamp` is when it was sent."""

    def __init__(self, leased: Leased) -> None:
        super().__init__()
        self.id = str(leased.id)
        self.timestamp: datetime = leased.sent
        self.body: Any = decode(leased.type, leased.body)
        self.attempts = leased.attempts

    def ack(self) -> None:
        """Done, also when the handler raises later."""
        self._ack()

    def retry(self, *, delay_seconds: float | None = None) -> None:
        """Again, after so many seconds (0 to 43,200) or the queue's own pause."""
        self._retry(delay_seconds)


class Batch(_Said):
    """Messages of one queue that are delivered together, oldest first."""

    def __init__(self, queue: str, messages: Sequence[QueueMessage]) -> None:
        super().__init__()
        self.queue = queue
        self.messages = tuple(messages)

    def ack_all(self) -> None:
        """Every message that nothing was said of is done."""
        self._ack()

    def retry_all(self, *, delay_seconds: float | None = None) -> None:
        """Every message that nothing was said of comes again."""
        self._retry(delay_seconds)

    def outcome(self, message: QueueMessage, *, raised: bool) -> Word:
        """What becomes of a message of this batch."""
        return message.word or self.word or Word(not raised)


def checked_delay(seconds: float) -> float:
    """The delay, when it is one: 0 to 43,200 seconds (12 hours)."""
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= LONGEST_DELAY:
        raise UsageError(f"a delay is 0 to {LONGEST_DELAY:g} seconds, not {seconds!r}")
    return float(seconds)


def encode(body: Any, content_type: str, delay_seconds: float) -> Sent:
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
    return Sent(content_type, data, delay)


def decode(content_type: str, data: bytes) -> Any:
    """The body as it was sent."""
    if content_type == "json":
        return json.loads(data)
    return data.decode("utf-8", "surrogatepass") if content_type == "text" else data
