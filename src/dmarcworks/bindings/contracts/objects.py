"""The binding Objects: bytes by key, written whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["OBJECT_KEY_BYTES", "ObjectInfo", "Objects"]

OBJECT_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object without its body; `size` in bytes, `sha256` in hex when the store knows it."""

    key: str
    size: int
    uploaded: datetime
    etag: str | None = None


@runtime_checkable
class Objects(Protocol):
    """Bytes by key, durable when `put` returns. A key is a relative path of safe segments (else `BoundError`)."""

    async def put(self, key: str, data: bytes, *, create_only: bool = False) -> bool:
        """Store the bytes whole or not at all. With `create_only`, False when the key exists (and nothing changes)."""

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None when absent."""

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, or None when absent."""

    async def delete(self, key: str) -> None:
        """Remove the object; no error if it is absent."""

    async def list(self, *, prefix: str = "", limit: int = 1000, start_after: str = "") -> Sequence[ObjectInfo]:
        """Objects with the prefix in key order, after `start_after`."""

    async def ping(self) -> None:
        """Prove that the store can be written now; `StoreError` if not."""

    async def close(self) -> None:
        """Give back what the store holds."""
