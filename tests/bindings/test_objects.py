"""Promise of objects: whole and durable when put returns, first come first kept, and nothing outside the store."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dmarcworks.bindings.contracts import Objects
from dmarcworks.bindings.folder import FolderObjects
from dmarcworks.errors import BoundError, ConflictError, StoreError
from tests.support.postgres import fill

HOSTILE = [
    "",
    "/",
    "/etc/passwd",
    "a//b",
    "a/",
    ".",
    "..",
    "../x",
    "a/../../x",
    "a/./b",
    "a\\..\\b",
    "a\0b",
    "a\nb",
    "a/\x7f",
    "a/\x85",
    "\ud800",
    ".tmp/x",
    "a" * 256,
    "ü" * 128,
    "/".join(["a" * 200] * 6),
]


async def test_bytes_come_back_as_they_were_put(objects: Objects) -> None:
    """Any bytes under any safe name, with size and time; a put without create_only replaces."""
    assert isinstance(objects, Objects)
    key = "2026/11/ab/receiver!example.com!1!2.xml.gz"
    assert await objects.get(key) is None
    assert await objects.head(key) is None
    assert await objects.put(key, b"\0\xff" * 70_000) is True
    assert await objects.get(key) == b"\0\xff" * 70_000
    info = await objects.head(key)
    assert info is not None
    assert (info.key, info.size) == (key, 140_000)
    assert abs((datetime.now(UTC) - info.uploaded).total_seconds()) < 60
    assert await objects.put(key, b"") is True
    assert await objects.get(key) == b""
    names = ["a b", "<script>alert(1)<\u2215script>", "...", "-rf", "ü😀", "a" * 255, "%2e%2e", ".hidden"]
    for name in names:
        assert await objects.put(f"odd/{name}", name.encode(), create_only=True) is True
        assert await objects.get(f"odd/{name}") == name.encode()


async def test_create_only_never_changes_what_is_there(objects: Objects) -> None:
    """Of many at once exactly one wins, and what it wrote stays."""
    won = await asyncio.gather(*(objects.put("a/b", b"%d" % n, create_only=True) for n in range(20)))
    assert sorted(won) == [False] * 19 + [True]
    assert await objects.get("a/b") == b"%d" % won.index(True)
    assert await objects.put("a/b", b"other", create_only=True) is False
    assert [info.key for info in await objects.list()] == ["a/b"]


async def test_delete_removes_and_forgives(objects: Objects) -> None:
    """A deleted object is absent and may be created again; absent and half paths are no error."""
    await objects.put("a/b", b"1")
    for key in ("a/b", "a/b", "a", "x/y/z", "a/b/c"):
        await objects.delete(key)
    assert await objects.get("a/b") is None
    assert await objects.put("a/b", b"2", create_only=True) is True


async def test_a_listing_is_in_key_order_by_pages(objects: Objects) -> None:
    """Byte order of whole keys, not of folders; prefix and start_after cut it anywhere."""
    keys = ["a.b", "a/b.c", "a/b/c", "a0", "b/2026/1/x", "b/2026/11/x", "b/2026/2/x", "ü/x", "😀"]
    for key in keys:
        await objects.put(key, b"x")
    keys.sort(key=str.encode)

    async def listed(**options: str | int) -> list[str]:
        return [info.key for info in await objects.list(**options)]  # type: ignore[arg-type]

    assert await listed() == keys
    seen: list[str] = []
    while page := await listed(limit=2, start_after=seen[-1] if seen else ""):
        seen += page
    assert seen == keys
    for prefix in ("a", "a/", "a/b", "b/2026/1", "b/2026/1/", "b/2", "zz", "ü"):
        assert await listed(prefix=prefix) == [key for key in keys if key.startswith(prefix)], prefix
        for after in ("a/", "a/b.c", "b/2026/11", "b/2026/11/x"):
            wanted = [key for key in keys if key.startswith(prefix) and key.encode() > after.encode()]
            assert await listed(prefix=prefix, start_after=after) == wanted, (prefix, after)
    assert await listed(prefix="../") == []


@pytest.mark.parametrize("key", HOSTILE, ids=lambda key: ascii(key)[:40])
async def test_an_unsafe_key_is_refused_everywhere(objects: Objects, key: str) -> None:
    """No method takes a key that could mean something else to a file system, a person or another store."""
    for call in (objects.put(key, b"x"), objects.get(key), objects.head(key), objects.delete(key)):
        with pytest.raises(BoundError):
            await call


async def test_ping_leaves_nothing(objects: Objects) -> None:
    """A ping writes and takes away."""
    await objects.ping()
    assert await objects.list() == []


async def test_symbolic_links_lead_nowhere(tmp_path: Path) -> None:
    """Links inside the folder are not followed, whoever made them: not read, not written through, not listed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    root = tmp_path / "objects"
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    os.mkfifo(root / "fifo")
    objects = FolderObjects(root)
    assert await objects.get("folder/secret") is None
    assert await objects.get("fifo") is None
    with pytest.raises(StoreError, match="symbolic link"):
        await objects.get("file")
    with pytest.raises(ConflictError):
        await objects.put("folder/new", b"x")
    with pytest.raises(ConflictError):
        await objects.put("file", b"x", create_only=True)
    await objects.delete("folder/secret")
    await objects.delete("file")
    assert await objects.list() == []
    await objects.put("file", b"mine")  # a rename takes the link's place
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret": b"secret"}
    assert await objects.get("file") == b"mine"
    await objects.close()


async def test_a_folder_and_an_object_of_one_name_are_a_conflict(tmp_path: Path) -> None:
    """Neither is overwritten, and create_only does not say that the key exists."""
    objects = FolderObjects(tmp_path / "objects")
    await objects.put("a/b", b"1")
    for key in ("a", "a/b/c"):
        for create_only in (True, False):
            with pytest.raises(ConflictError, match="meet"):
                await objects.put(key, b"2", create_only=create_only)
        assert await objects.get(key) is None
    assert await objects.get("a/b") == b"1"
    assert os.listdir(tmp_path / "objects" / ".tmp") == []
    await objects.close()


async def test_a_removed_folder_is_made_again(tmp_path: Path) -> None:
    """What somebody takes away by hand while we run is made anew."""
    objects = FolderObjects(tmp_path / "objects")
    await objects.put("a/b/c", b"1")
    subprocess.run(["rm", "-r", str(tmp_path / "objects")], check=True)
    assert await objects.get("a/b/c") is None
    assert await objects.list() == []
    assert await objects.put("a/b/c", b"2", create_only=True) is True
    assert await objects.get("a/b/c") == b"2"
    await objects.close()


async def test_a_full_disk_is_a_store_error_and_passes(small_disk: Path) -> None:
    """What did not fit is not there, not even its temporary file; with room again the store works by itself."""
    objects = FolderObjects(small_disk / "objects")
    await objects.put("a/kept", b"kept")
    filler = fill(small_disk)
    for create_only in (True, False):
        with pytest.raises(StoreError, match="objects: a/b: No space left"):
            await objects.put("a/b", b"x" * 100_000, create_only=create_only)
    with pytest.raises(StoreError, match="No space left"):
        await objects.ping()
    filler.unlink()
    assert [info.key for info in await objects.list()] == ["a/kept"]
    assert os.listdir(small_disk / "objects" / ".tmp") == []
    assert await objects.put("a/b", b"x" * 100_000, create_only=True) is True
    await objects.ping()
    await objects.close()


async def test_a_read_only_disk_is_a_store_error_and_passes(small_disk: Path) -> None:
    """Reading goes on, writing is refused until the disk takes it again."""
    objects = FolderObjects(small_disk / "objects")
    await objects.put("a", b"1")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match="Read-only"):
        await objects.put("b", b"2", create_only=True)
    with pytest.raises(StoreError, match="Read-only"):
        await objects.ping()
    assert await objects.get("a") == b"1"
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert await objects.put("b", b"2", create_only=True) is True
    await objects.close()


async def test_a_crash_leaves_whole_objects_only(tmp_path: Path) -> None:
    """Killed at any moment, a writer leaves no torn object; its leftovers are not listed and go at the next open."""
    script = f"""
import asyncio
from pathlib import Path
from dmarcworks.bindings.folder import FolderObjects
async def main():
    objects = FolderObjects(Path({str(tmp_path / "objects")!r}))
    async def write(task):
        for n in range(100000):
            await objects.put(f"a/{{task}}-{{n}}", b"x" * 300_000, create_only=True)
            print(f"a/{{task}}-{{n}}", flush=True)
    await asyncio.gather(*(write(task) for task in range(8)))
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(100)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read().split()
    process.wait()
    temporary = tmp_path / "objects" / ".tmp"
    (temporary / "leftover").write_bytes(b"half")
    mine = FolderObjects(tmp_path / "objects")
    found = await mine.list(limit=1_000_000)
    assert {info.key for info in found} >= set(told)
    assert {info.size for info in found} == {300_000}
    assert os.listdir(temporary) == []
    await mine.close()


async def test_a_sweep_leaves_the_living_alone(tmp_path: Path) -> None:
    """Opening a second store on the folder while the first writes takes nothing from under it."""
    first = FolderObjects(tmp_path / "objects")
    puts = [asyncio.create_task(first.put(f"a/{n}", b"x" * 1_000_000, create_only=True)) for n in range(60)]
    until = time.monotonic() + 10
    while not all(task.done() for task in puts) and time.monotonic() < until:
        await FolderObjects(tmp_path / "objects").close()
        await asyncio.sleep(0)
    assert await asyncio.gather(*puts) == [True] * 60
    await first.close()
