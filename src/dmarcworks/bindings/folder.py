"""Objects in a folder: durable when `put` returns, never seen half-written, never outside the folder.

Puts that come while others are written share the next group and its syncs (`writing.py`). Paths are walked one folder
handle at a time and links are not followed, so neither a key nor a symbolic link leads out. Leftovers of a crash stay
in `.tmp/` and go at the next open.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from dmarcworks.bindings import object_keys
from dmarcworks.bindings.contracts import ObjectInfo
from dmarcworks.bindings.folder_writer import FOLDER, Put, Writer
from dmarcworks.bindings.groups import GroupedCalls
from dmarcworks.errors import BoundError, ConflictError, DmarcworksError, StoreError

__all__ = ["FolderObjects"]

_T = TypeVar("_T")
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_READERS = 4
# Reads that are worth a thread more.
_SHARE = 32
_LANES = 3
# What a group of puts may hold: file handles, and the time that the first waits for the last.
_GROUP = 64
_GROUP_BYTES = 8 << 20
_PROBE = b"\0" * 4096


class _Lane:
    """One of the writers: a group at a time, while others write theirs; a disk takes their syncs together."""

    def __init__(self, root: Path) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="objects-writer")
        self.writer = Writer(root)
        self.task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        return self.task is None or self.task.done()


class FolderObjects:
    """The Objects contract on a folder. Files are made for their owner's eyes only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="objects")
        self._lanes = [_Lane(root) for _ in range(_LANES)]
        self._waiting: list[tuple[Put, asyncio.Future[None]]] = []
        self._getting: GroupedCalls[list[str], bytes | OSError | None] = GroupedCalls(
            self._get_all, "reading of objects"
        )
        with suppress(OSError):  # an unavailable store may be back at the first put
            self._lanes[0].writer.sweep()

    async def put(self, key: str, data: bytes, *, create_only: bool = False) -> bool:
        """Store the bytes whole or not at all. With `create_only`, False when the key exists (and nothing changes)."""
        put = Put(object_keys.segments(key), data, create_only)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((put, future))
        lane = next((lane for lane in self._lanes if lane.idle), None)
        if lane is not None:
            # A task of its own: a caller that is cancelled must not take the others of its group with it.
            lane.task = asyncio.create_task(self._write(lane), name="objects")
        await future
        if put.failed is not None:
            raise self._refusal(key, put.failed) from put.failed
        if put.stored is None:
            raise StoreError(f"objects {self.root}: {key}: not written")
        return put.stored

    async def _write(self, lane: _Lane) -> None:
        while self._waiting:
            group = self._group()
            puts = [put for put, _ in group]
            try:
                await asyncio.get_running_loop().run_in_executor(lane.thread, lane.writer.write, puts)
            finally:
                # A put that was interrupted was not confirmed: it is not stored.
                for _, future in group:
                    if not future.done():
                        future.set_result(None)

    def _group(self) -> list[tuple[Put, asyncio.Future[None]]]:
        """What waits, up to a bound of puts and bytes; at least one."""
        count = size = 0
        for put, _ in self._waiting[:_GROUP]:
            size += len(put.data)
            if count and size > _GROUP_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None when absent."""
        content = await self._getting.call(object_keys.segments(key))
        if isinstance(content, OSError):
            raise self._refusal(key, content) from content
        return content

    async def _get_all(self, paths: list[list[str]]) -> list[bytes | OSError | None]:
        """In a few threads, each with its share: a small file is read in less than a thread takes to begin."""
        shares = min(_READERS, -(-len(paths) // _SHARE))
        run = asyncio.get_running_loop().run_in_executor
        parts = [paths[share::shares] for share in range(shares)]
        done = await asyncio.gather(*(run(self._readers, self._get_some, part) for part in parts))
        return [done[index % shares][index // shares] for index in range(len(paths))]

    def _get_some(self, paths: Sequence[Sequence[str]]) -> list[bytes | OSError | None]:
        contents: list[bytes | OSError | None] = []
        for path in paths:
            try:
                contents.append(self._get(path))
            except OSError as error:  # one object's failure is its own
                contents.append(error)
        return contents

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, or None when absent."""
        path = object_keys.segments(key)
        return await self._run(key, lambda: self._head(path))

    async def delete(self, key: str) -> None:
        """Remove the object; no error if it is absent."""
        path = object_keys.segments(key)
        await self._run(key, lambda: self._delete(path))

    async def list(self, *, prefix: str = "", limit: int = 1000, start_after: str = "") -> Sequence[ObjectInfo]:
        """Objects with the prefix in key order (by UTF-8 bytes), after `start_after`."""
        object_keys.check(prefix, "prefix")
        object_keys.check(start_after, "key")
        if limit < 1:
            raise BoundError(f"a listing of objects has at least one, not {limit}")
        return await self._run(prefix or "(all)", lambda: self._list(prefix, limit, start_after))

    async def ping(self) -> None:
        """Prove that the store can be written now; `StoreError` if not."""
        lane = self._lanes[0]
        await self._run("(probe)", lambda: lane.writer.probe(_PROBE), lane.thread)

    async def close(self) -> None:
        """Wait for what is being written, then give back the threads."""
        for lane in self._lanes:
            if lane.task is not None:
                await asyncio.wait([lane.task])
            lane.thread.submit(lane.writer.close)
            await asyncio.to_thread(lane.thread.shutdown)
        await asyncio.to_thread(self._readers.shutdown)

    async def _run(self, key: str, work: Callable[[], _T], thread: ThreadPoolExecutor | None = None) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread or self._readers, work)
        except OSError as error:
            raise self._refusal(key, error) from error

    def _refusal(self, key: str, error: Exception) -> DmarcworksError:
        """Our error for the error of the disk."""
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            return ConflictError(f"objects {self.root}: {key}: a folder and an object meet")
        if isinstance(error, OSError):
            text = "a symbolic link is not followed" if error.errno == errno.ELOOP else error.strerror
            return StoreError(f"objects {self.root}: {key}: {text}")
        return StoreError(f"objects {self.root}: {key}: {error}")

    @contextmanager
    def _folder(self, path: Sequence[str]) -> Iterator[int]:
        """The handle of a folder below the root."""
        handle = os.open(self.root, FOLDER & ~os.O_NOFOLLOW)
        try:
            for name in path:
                below = os.open(name, FOLDER, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def _get(self, path: Sequence[str]) -> bytes | None:
        try:
            with self._folder(path[:-1]) as folder:
                file = os.open(path[-1], _FILE, dir_fd=folder)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return None
            with open(file, "rb", closefd=False) as opened:
                return opened.read()
        finally:
            os.close(file)

    def _head(self, path: Sequence[str]) -> ObjectInfo | None:
        try:
            with self._folder(path[:-1]) as folder:
                status = os.stat(path[-1], dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _info("/".join(path), status) if stat.S_ISREG(status.st_mode) else None

    def _delete(self, path: Sequence[str]) -> None:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError), self._folder(path[:-1]) as folder:
            if stat.S_ISREG(os.stat(path[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(path[-1], dir_fd=folder)

    def _list(self, prefix: str, limit: int, start_after: str) -> Sequence[ObjectInfo]:
        infos = []
        with suppress(FileNotFoundError), self._folder([]) as root:
            for info in _walk(root, "", prefix.encode(), start_after.encode()):
                infos.append(info)
                if len(infos) == limit:
                    break
        return infos


def _walk(folder: int, path: str, prefix: bytes, after: bytes) -> Iterator[ObjectInfo]:
    """Objects below the folder in key order; whole folders that cannot hold one are not entered."""
    with os.scandir(folder) as scan:
        entries = sorted((_sort_key(path, entry), entry.is_dir(follow_symlinks=False)) for entry in scan)
    for key, is_folder in entries:
        if is_folder:
            unrelated = not key.startswith(prefix) and not prefix.startswith(key)
            if unrelated or (key < after and not after.startswith(key)) or key == object_keys.RESERVED.encode() + b"/":
                continue
            with suppress(FileNotFoundError):
                below = os.open(os.fsdecode(key[len(path.encode()) : -1]), FOLDER, dir_fd=folder)
                try:
                    yield from _walk(below, key.decode(), prefix, after)
                finally:
                    os.close(below)
        elif key.startswith(prefix) and key > after:
            with suppress(FileNotFoundError):
                status = os.stat(os.fsdecode(key[len(path.encode()) :]), dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    yield _info(key.decode(), status)


def _sort_key(path: str, entry: os.DirEntry[str]) -> bytes:
    # "a/b" sorts after "a.b": a folder counts with its slash.
    return path.encode() + os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b"")


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    uploaded = datetime.fromtimestamp(status.st_mtime, UTC)
    return ObjectInfo(key, status.st_size, uploaded, f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}")
