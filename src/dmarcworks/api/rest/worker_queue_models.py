"""Models of the responses about workers' queues."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from dmarcworks.api.rest.examples import WHEN
from dmarcworks.bindings.contracts import DeadLetter, QueueStats


class QueueOut(BaseModel):
    """A queue of a worker."""

    queue: str = Field(description="Its name, which is its worker's.", examples=["jobs"])
    ready: int = Field(description="Messages that wait.", examples=[3])
    delayed: int = Field(description="Messages that wait for their time.", examples=[0])
    leased: int = Field(description="Messages that the worker is processing.", examples=[1])
    dead: int = Field(description="Dead-lettered messages.", examples=[2])
    oldest_seconds: float = Field(description="Age of the oldest that is not dead-lettered.", examples=[1.5])

    @classmethod
    def of(cls, name: str, stats: QueueStats) -> QueueOut:
        """From the queue."""
        return cls(
            queue=name,
            ready=stats.ready,
            delayed=stats.delayed,
            leased=stats.leased,
            dead=stats.dead,
            oldest_seconds=stats.oldest_age,
        )


class DeadOut(BaseModel):
    """A dead-lettered message."""

    id: int = Field(description="Its number.", examples=[7])
    queue: str = Field(description="The queue that it is of.", examples=["jobs"])
    type: Literal["json", "text", "bytes"] = Field(description="What its body is.", examples=["json"])
    size: int = Field(description="Bytes of its body.", examples=[120])
    attempts: int = Field(description="How often it was delivered.", examples=[4])
    error: str = Field(description="The last error.", examples=["RuntimeError('no answer')"])
    sent: datetime = Field(description="When it was sent.", examples=[WHEN])
    died: datetime = Field(description="When it was dead-lettered.", examples=[WHEN])

    @classmethod
    def of(cls, dead_letter: DeadLetter) -> DeadOut:
        """From the queue."""
        return cls(
            id=dead_letter.id,
            queue=dead_letter.queue,
            type=dead_letter.type,  # type: ignore[arg-type]  # checked where it was sent
            size=len(dead_letter.body),
            attempts=dead_letter.failures,
            error=dead_letter.error,
            sent=dead_letter.sent,
            died=dead_letter.died,
        )


class LetterOut(DeadOut):
    """The same with its body."""

    body: str = Field(description="The text, JSON as it was sent; of bytes in base64.", examples=['{"subject":"x"}'])
