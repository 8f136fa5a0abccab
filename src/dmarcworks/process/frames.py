"""Frames between a process and its isolated child processes, and the pickle format that is safe to receive.

A frame is a kind, a job's number, a length and so many bytes. What the parent sends, the child unpickles: it trusts its
parent. What a child sends may come from a child that strangers' bytes have taken over, so the parent unpickles plain
values and the classes that it was given by name, and nothing else: no function is ever called by an answer.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, BinaryIO

__all__ = ["FRAME_BYTES", "HEADER", "Kind", "Setup", "UnsafeAnswerError", "pack", "read_frame", "restricted"]

HEADER = struct.Struct(">BQQ")
# Longer frames are no answer of ours: a target with much to return yields it in pieces.
FRAME_BYTES = 256 * 1024 * 1024


class Kind(IntEnum):
    """What a frame holds."""

    SETUP = 1  # to the child: target, search path, limits
    READY = 2  # from the child: the thread id of each slot
    JOB = 3  # to the child: an argument
    PIECE = 4  # from the child: a value that the target yielded
    DONE = 5  # from the child: what the target returned
    FAILED = 6  # from the child: the name and the text of an exception
    MEMORY = 7  # from the child: the memory was not enough for this job


@dataclass(frozen=True, slots=True)
class Setup:
    """What the parent sends first."""

    target: str
    arguments: tuple[Any, ...] | None
    concurrency: int
    cpu_seconds: float
    memory_bytes: int
    nice: int
    parent: int


class UnsafeAnswerError(Exception):
    """An answer holds something that the parent did not allow."""


def pack(kind: Kind, number: int, payload: bytes) -> bytes:
    """The header of a frame, which its payload follows."""
    return HEADER.pack(kind, number, len(payload))


def read_frame(file: BinaryIO) -> tuple[Kind, int, bytes] | None:
    """The next frame, waiting for it; None at the end of the file. For the child."""
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    kind, number, length = HEADER.unpack(header)
    payload = file.read(length)
    return None if len(payload) < length else (Kind(kind), number, payload)


def restricted(classes: Sequence[type]) -> Callable[[bytes], Any]:
    """A function that unpickles plain values and instances of `classes` only; `UnsafeAnswerError` for anything else."""
    allowed = {(cls.__module__, cls.__qualname__): cls for cls in classes}

    class Restricted(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            try:
                return allowed[module, name]
            except KeyError:
                raise UnsafeAnswerError(f"{module}.{name} is not allowed in an answer") from None

    def load(payload: bytes) -> Any:
        try:
            return Restricted(io.BytesIO(payload)).load()
        except UnsafeAnswerError:
            raise
        # Bytes from a child that may be under a stranger's control can break unpickling in any way.
        except Exception as error:
            raise UnsafeAnswerError(f"the answer cannot be read: {error!r:.200}") from None

    return load
