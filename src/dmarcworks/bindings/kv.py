"""KV on a SQL table. Keys and values are text, stored as UTF-8 bytes; what has expired is not seen and soon removed.

Look-ups that come while one runs share the next, which begins after them: many connections look up their recipients
at once, and a value that was put before the call is always seen. Puts share transactions in the same way: hundreds of
names of addresses are put within a second.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, or_, select

from dmarcworks.bindings.contracts import (
    KV_KEY_BYTES,
    KV_LIST_LIMIT,
    KV_METADATA_BYTES,
    KV_MINIMUM_TTL,
    KV_VALUE_BYTES,
    Database,
    KVKey,
    KVPage,
)
from dmarcworks.bindings.groups import GroupedCalls
from dmarcworks.bindings.tables import kv
from dmarcworks.bindings.upsert import upsert
from dmarcworks.errors import BoundError, UsageError

__all__ = ["Entry", "SqlKV", "metadata_of"]

# A value with its metadata; None for both when the key is absent or has expired.
Entry = tuple[str | None, Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class _Put:
    """A value to be set; `ttl` in seconds, None for a value that stays."""

    key: bytes
    value: bytes
    ttl: int | None
    metadata: str | None
    create_only: bool


class SqlKV:
    """The KV contract on `database`; `clock` returns the unix second."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._lookups: GroupedCalls[bytes, Entry] = GroupedCalls(self._look_up, "KV look-up")
        self._puts: GroupedCalls[_Put, bool] = GroupedCalls(self._put_all, "KV put")

    async def get(self, key: str) -> str | None:
        """The value, or None when absent or expired."""
        return (await self.get_with_metadata(key))[0]

    async def get_with_metadata(self, key: str) -> tuple[str | None, Mapping[str, Any] | None]:
        """The value and the metadata it was put with."""
        return await self._lookups.call(_key(key))

    async def _look_up(self, names: list[bytes]) -> list[Entry]:
        values = await self._values(set(names))
        return [values.get(name, (None, None)) for name in names]

    async def _values(self, names: set[bytes]) -> dict[bytes, Entry]:
        statement = select(kv.c.key, kv.c.value, kv.c.metadata).where(kv.c.key.in_(names), self._alive())
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return {row.key: (row.value.decode(), metadata_of(row.metadata)) for row in rows}

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
        name, data = _key(key), _encode(value, "a KV value")
        if len(data) > KV_VALUE_BYTES:
            raise BoundError(f"a KV value may have {KV_VALUE_BYTES} bytes, this one has {len(data)}")
        if ttl is not None and ttl < KV_MINIMUM_TTL:
            raise BoundError(f"a KV ttl is at least {KV_MINIMUM_TTL} seconds, not {ttl}")
        noted = None if metadata is None else json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
        if noted is not None and len(_encode(noted, "KV metadata")) > KV_METADATA_BYTES:
            raise BoundError(f"KV metadata may have {KV_METADATA_BYTES} bytes of JSON")
        return await self._puts.call(_Put(name, data, ttl, noted, create_only))

    async def _put_all(self, puts: list[_Put]) -> list[bool]:
        """Whether each one was set, in one transaction; of several of one key the last is set last."""
        now = int(self._clock())
        done = [False] * len(puts)
        async with self._database.write() as connection:
            await connection.execute(delete(kv).where(kv.c.expiration <= now))
            # In the order of the keys: two processes that lock rows in different orders would wait for each other.
            for place in sorted(range(len(puts)), key=lambda place: puts[place].key):
                put = puts[place]
                expiration = None if put.ttl is None else now + put.ttl
                row = {"value": put.value, "expiration": expiration, "metadata": put.metadata}
                statement = upsert(connection.dialect.name, kv).values(key=put.key, **row)
                if put.create_only:
                    statement = statement.on_conflict_do_nothing(index_elements=[kv.c.key])
                else:
                    statement = statement.on_conflict_do_update(index_elements=[kv.c.key], set_=row)
                done[place] = (await connection.execute(statement)).rowcount > 0
        return done

    async def delete(self, key: str) -> None:
        """Remove the key; no error if it is absent."""
        async with self._database.write() as connection:
            await connection.execute(delete(kv).where(kv.c.key == _key(key)))

    async def list(self, *, prefix: str = "", limit: int = KV_LIST_LIMIT, cursor: str | None = None) -> KVPage:
        """Keys with the prefix in byte order, at most 1,000 a page; `UsageError` for a cursor that is none of ours."""
        if not 1 <= limit <= KV_LIST_LIMIT:
            raise BoundError(f"a KV listing has 1 to {KV_LIST_LIMIT} keys a page, not {limit}")
        start = _encode(prefix, "a KV prefix")
        statement = select(kv.c.key, kv.c.expiration, kv.c.metadata).where(self._alive(), kv.c.key >= start)
        if (end := _after(start)) is not None:
            statement = statement.where(kv.c.key < end)
        if cursor is not None:
            statement = statement.where(kv.c.key > _position(cursor))
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(kv.c.key).limit(limit + 1))).all()
        keys = tuple(KVKey(row.key.decode(), row.expiration, metadata_of(row.metadata)) for row in rows[:limit])
        if len(rows) <= limit:
            return KVPage(keys, complete=True)
        return KVPage(keys, complete=False, cursor=base64.urlsafe_b64encode(rows[limit - 1].key).decode())

    def _alive(self) -> ColumnElement[bool]:
        return or_(kv.c.expiration.is_(None), kv.c.expiration > self._clock())


def _encode(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BoundError(f"{what} must be UTF-8 text") from None


def _key(key: str) -> bytes:
    name = _encode(key, "a KV key")
    if not 1 <= len(name) <= KV_KEY_BYTES or key in (".", ".."):
        raise BoundError(f'a KV key has 1 to {KV_KEY_BYTES} bytes and is not "." or ".."')
    return name


def metadata_of(text: str | None) -> Mapping[str, Any] | None:
    """A value's metadata, from the JSON that is stored; None when it has none."""
    if text is None:
        return None
    noted: Mapping[str, Any] = json.loads(text)
    return noted


def _after(prefix: bytes) -> bytes | None:
    """The first key after all keys with the prefix; UTF-8 has no byte 255, so the last one can always grow."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else None


def _position(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise UsageError("this KV cursor does not come from a listing") from None
