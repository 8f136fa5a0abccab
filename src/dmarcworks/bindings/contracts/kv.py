"""The binding KV: small values by key, which many readers look up and few writers change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

__all__ = [
    "KV",
    "KV_KEY_BYTES",
    "KV_LIST_LIMIT",
    "KV_METADATA_BYTES",
    "KV_MINIMUM_TTL",
    "KV_VALUE_BYTES",
    "KVKey",
    "KVPage",
]

KV_KEY_BYTES = 512
KV_VALUE_BYTES = 25 * 1024 * 1024
KV_METADATA_BYTES = 1024
KV_MINIMUM_TTL = 60
KV_LIST_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class KVKey:
    """A key in a listing; `expiration` in unix seconds, or None for ever."""

    name: str
    expiration: int | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class KVPage:
    """A page of keys in UTF-8 byte order; `cursor` is None when `complete`."""

    keys: tuple[KVKey, ...]
    complete: bool
    cursor: str | None = None


@runtime_checkable
class KV(Protocol):
    """Small values by key. Keys: 1 to 512 UTF-8 bytes, not "." or ".."; values up to 25 MiB (else `BoundError`)."""

    async def get(self, key: str) -> str | None:
        """The value, or None when absent or expired."""

    async def get_with_metadata(self, key: str) -> tuple[str | None, Mapping[str, Any] | None]:
        """The value and the metadata it was put with."""

    async def put(
        self,
        key: str,
        value: str,
        *,
        ttl: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        create_only: bool = False,
    ) -> bool:
        """Set the value; last write wins. `ttl` in seconds, at least 60; metadata at most 1,024 bytes of JSON.

        With `create_only`, False when the key has a value (and nothing changes).
        """

    async def delete(self, key: str) -> None:
        """Remove the key; no error if it is absent."""

    async def list(self, *, prefix: str = "", limit: int = KV_LIST_LIMIT, cursor: str | None = None) -> KVPage:
        """Keys with the prefix, at most 1,000 a page."""
