"""What becomes of a mail that a worker was given, and how a worker fails."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ACCEPTED", "TRY_LATER", "Delivered", "OutOfServiceError", "WorkerError"]

ACCEPTED = "250 2.0.0 Accepted"
TRY_LATER = "451 4.3.0 Cannot keep the mail now, try again later"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a mail: the SMTP reply, the worker's word for the log (its error when not 250), and how long."""

    reply: str
    word: str
    seconds: float


class WorkerError(Exception):
    """A worker did not come to an end; the text gives the cause."""


class OutOfServiceError(WorkerError):
    """A worker blocked so often that it gets no thread any more."""
