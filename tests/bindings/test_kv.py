"""Promise of KV: what was put is what is got, in byte order, inside its bounds, and not after it has expired."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.bindings.contracts import KV, Database
from dmarcworks.bindings.open import open_kv
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.errors import BoundError, StoreError, UsageError
from tests.support.postgres import Clock
from tests.support.queues import new_kv


@pytest.fixture
def kv(any_database: Database, clock: Clock) -> KV:
    return new_kv(any_database, clock)


async def test_a_value_comes_back_as_it_was_put(kv: KV) -> None:
    """Text of any kind survives, with its metadata; the last write wins."""
    assert isinstance(kv, KV)
    assert await kv.get("dmarc:a@b") is None
    assert await kv.get_with_metadata("dmarc:a@b") == (None, None)
    await kv.put("dmarc:a@b", "one", metadata={"n": 1, "s": "ü"})
    await kv.put("empty", "")
    await kv.put("odd \0'\"%_\n😀", "a\0'\"\n😀")
    assert await kv.get_with_metadata("dmarc:a@b") == ("one", {"n": 1, "s": "ü"})
    assert await kv.get("empty") == ""
    assert await kv.get("odd \0'\"%_\n😀") == "a\0'\"\n😀"
    await kv.put("dmarc:a@b", "two")
    assert await kv.get_with_metadata("dmarc:a@b") == ("two", None)


async def test_delete_removes_and_forgives(kv: KV) -> None:
    """A deleted key is absent; deleting an absent one is no error."""
    await kv.put("a", "1")
    await kv.delete("a")
    await kv.delete("a")
    assert await kv.get("a") is None


async def test_an_expired_key_is_not_seen(kv: KV, clock: Clock) -> None:
    """At its expiration a key is gone from get and list; a put without ttl makes it stay."""
    await kv.put("a", "1", ttl=60)
    await kv.put("b", "1", ttl=61)
    await kv.put("c", "1", ttl=60)
    await kv.put("c", "2")
    assert [(key.name, key.expiration) for key in (await kv.list()).keys] == [
        ("a", 1_795_000_060),
        ("b", 1_795_000_061),
        ("c", None),
    ]
    clock.now += 60
    assert [await kv.get(name) for name in "abc"] == [None, "1", "2"]
    assert [key.name for key in (await kv.list()).keys] == ["b", "c"]


async def test_create_only_never_changes_what_is_there(any_database: Database, kv: KV, clock: Clock) -> None:
    """The first of many writers wins, whatever they race with; an expired value is none."""
    assert await kv.put("k", "old", ttl=60)
    assert not await kv.put("k", "new", create_only=True, metadata={"n": 1})
    assert await kv.get_with_metadata("k") == ("old", None)
    clock.now += 61
    assert await kv.put("k", "new", create_only=True, metadata={"n": 1})
    assert await kv.get_with_metadata("k") == ("new", {"n": 1})
    others = [new_kv(any_database, clock) for _ in range(5)]
    won = await asyncio.gather(
        *(other.put("race", str(number), create_only=True) for number, other in enumerate(others))
    )
    assert sum(won) == 1
    assert await kv.get("race") == str(won.index(True))


async def test_a_listing_is_in_byte_order_by_pages(kv: KV) -> None:
    """Pages follow each other without gap or double, in UTF-8 byte order; the cursor ends with the last one."""
    names = ["p:\uffff", "p:😀", "p:a", "p:B", "p:ab", "p:%", "p:_", "q", "o", "p"]
    for name in names:
        await kv.put(name, "x")
    wanted = sorted((name for name in names if name.startswith("p:")), key=str.encode)
    seen, cursor = [], None
    while True:
        page = await kv.list(prefix="p:", limit=2, cursor=cursor)
        seen += [key.name for key in page.keys]
        assert page.complete == (page.cursor is None)
        if page.complete:
            break
        cursor = page.cursor
    assert seen == wanted
    assert [key.name for key in (await kv.list()).keys] == sorted(names, key=str.encode)


@pytest.mark.parametrize("key", ["", ".", "..", "ü" * 257, "a" * 513, "\ud800"])
async def test_a_key_outside_the_bounds_is_refused(kv: KV, key: str) -> None:
    """1 to 512 bytes of UTF-8, not "." or ".."."""
    with pytest.raises(BoundError):
        await kv.put(key, "x")
    with pytest.raises(BoundError):
        await kv.get(key)


async def test_the_largest_key_value_and_metadata_are_taken(kv: KV) -> None:
    """Bounds are inclusive: 512, 25 MiB, 1,024; one byte more is refused."""
    await kv.put("a" * 512, "v" * (25 << 20), metadata={"m": "x" * (1024 - 8)})
    assert len(await kv.get("a" * 512) or "") == 25 << 20
    with pytest.raises(BoundError, match="26214400"):
        await kv.put("a", "v" * ((25 << 20) + 1))
    with pytest.raises(BoundError, match="1024"):
        await kv.put("a", "v", metadata={"m": "x" * (1025 - 8)})
    with pytest.raises(BoundError, match="60"):
        await kv.put("a", "v", ttl=59)
    with pytest.raises(BoundError):
        await kv.list(limit=1001)
    with pytest.raises(UsageError):
        await kv.list(cursor="not ours!")


async def test_many_at_once_each_hear_their_own(any_database: Database, clock: Clock) -> None:
    """Look-ups that run together do not mix: present, absent and expired keys, a put in between, one cancelled."""
    kv = new_kv(any_database, clock)
    for number in range(50):
        await kv.put(f"k{number}", str(number), metadata={"n": number})
    asked = [asyncio.create_task(kv.get_with_metadata(f"k{number}")) for number in range(60)]
    await asyncio.sleep(0)
    asked[7].cancel()
    await kv.put("k59", "late")
    late = await kv.get("k59")
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert late == "late"
    assert isinstance(answers[7], asyncio.CancelledError)
    for number, answer in enumerate(answers[:50]):
        if number != 7:
            assert answer == (str(number), {"n": number})
    assert answers[50:59] == [(None, None)] * 9


async def test_many_puts_at_once_share_a_transaction(
    any_database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each hears its own answer, and the last of a key is what stays."""
    kv = new_kv(any_database, clock)
    await kv.put("k5", "old", ttl=60)
    writes = 0
    write = any_database.write

    def counted() -> Any:
        nonlocal writes
        writes += 1
        return write()

    monkeypatch.setattr(any_database, "write", counted)
    puts = [
        kv.put(f"k{number % 30}", str(number), ttl=None if number % 2 else 120, create_only=number % 30 == 5)
        for number in range(60)
    ]
    answers = await asyncio.gather(*puts)
    assert writes == 1
    assert answers == [number % 30 != 5 for number in range(60)]
    assert await kv.get("k5") == "old"
    assert [await kv.get(f"k{number}") for number in range(30) if number != 5] == [
        str(number + 30) for number in range(30) if number != 5
    ]
    clock.now += 121
    assert await kv.get("k4") is None
    assert await kv.get("k7") == "37"


async def test_an_absent_database_fails_every_look_up(tmp_path: Path) -> None:
    """All that wait hear that the store is away, and those after it are answered once it is back."""
    database = SqliteDatabase(tmp_path / "away" / "test.db")
    kv = open_kv(database)
    answers = await asyncio.gather(*(kv.get(f"k{number}") for number in range(20)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreError] * 20
    (tmp_path / "away").mkdir()
    await database.migrate()
    assert await kv.get("k1") is None
    await database.close()
