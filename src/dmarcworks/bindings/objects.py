"""Objects in a folder: durable when `put` returns, never seen half-written, never outside the folder.

An object is written to `.tmp/`, fsynced, then linked (create-only) or renamed (replace) to its name, and the folders
that name it are fsynced. Paths are walked one folder handle at a time and links are not followed, so neither a key
nor a symbolic link leads out. Leftovers of a crash stay in `.tmp/` and go at the next open.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from dmarcworks import failpoints
from dmarcworks.bindings import keys
from dmarcworks.bindings.contracts import ObjectInfo
from dmarcworks.errors import BoundError, ConflictError, StoreError

__all__ = ["FolderObjects"]

_T = TypeVar("_T")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_THREADS = 8
_REMEMBERED = 1024
_PROBE = b"\0" * 4096


class FolderObjects:
    """The Objects contract on a folder. Files are made for their owner's eyes only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="objects")
        # Folders whose name is known to be on disk; only a cache, so it may forget.
        self._known: dict[tuple[str, ...], None] = {}
        with suppress(OSError):  # a store that is away now may be back at the first put
            self._sweep()

    async def put(self, key: str, data: bytes, *, create_only: bool = False) -> bool:
        """Store the bytes whole or not at all. With `create_only`, False when the key exists (and nothing changes)."""
        path = keys.segments(key)
        return await self._run(key, lambda: self._put(path, data, create_only))

    async def get(self, key: str) -> bytes | None:
        """The bytes, or None when absent."""
        path = keys.segments(key)
        return await self._run(key, lambda: self._get(path))

    async def head(self, key: str) -> ObjectInfo | None:
        """What is known of the object, or None when absent."""
        path = keys.segments(key)
        return await self._run(key, lambda: self._head(path))

    async def delete(self, key: str) -> None:
        """Remove the object; no error if it is absent."""
        path = keys.segments(key)
        await self._run(key, lambda: self._delete(path))

    async def list(self, *, prefix: str = "", limit: int = 1000, start_after: str = "") -> Sequence[ObjectInfo]:
        """Objects with the prefix in key order (by UTF-8 bytes), after `start_after`."""
        keys.check(prefix, "prefix")
        keys.check(start_after, "key")
        if limit < 1:
            raise BoundError(f"a listing of objects has at least one, not {limit}")
        return await self._run(prefix or "(all)", lambda: self._list(prefix, limit, start_after))

    async def ping(self) -> None:
        """Prove that the store can be written now; `StoreError` if not."""
        await self._run("(probe)", self._probe)

    async def close(self) -> None:
        """Wait for what is being written, then give back the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    async def _run(self, key: str, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            text = "a symbolic link is not followed" if error.errno == errno.ELOOP else error.strerror
            raise StoreError(f"objects {self.root}: {key}: {text}") from error

    def _put(self, path: Sequence[str], data: bytes, create_only: bool) -> bool:
        for again in (True, False):
            try:
                return self._put_once(path, data, create_only)
            except FileNotFoundError:
                # Somebody removed a folder that we remember.
                if not again:
                    raise
                self._known.clear()
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise ConflictError(f"objects {self.root}: {'/'.join(path)}: a folder and an object meet") from None
        raise AssertionError("unreachable")

    def _put_once(self, path: Sequence[str], data: bytes, create_only: bool) -> bool:
        name = path[-1]
        with self._folder(path[:-1], create=True) as folder:
            if create_only and _taken(folder, name):
                return False
            with self._written(data) as (temporary, parent):
                failpoints.hit("objects.written")
                if create_only:
                    try:
                        os.link(temporary, name, src_dir_fd=parent, dst_dir_fd=folder, follow_symlinks=False)
                    except FileExistsError:
                        return not _taken(folder, name)
                    os.unlink(temporary, dir_fd=parent)
                else:
                    os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=folder)
            failpoints.hit("objects.named")
            os.fsync(folder)
        return True

    @contextmanager
    def _written(self, data: bytes) -> Iterator[tuple[str, int]]:
        """A temporary file with the bytes on disk: its name and its folder's handle. Gone if the block fails."""
        with self._folder([keys.RESERVED], create=True) as parent:
            name, file = self._temporary(parent)
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(file, left) :]
                os.fsync(file)
                yield name, parent
            except BaseException:
                with suppress(OSError):
                    os.unlink(name, dir_fd=parent)
                raise
            finally:
                os.close(file)

    def _temporary(self, parent: int) -> tuple[str, int]:
        while True:
            name = secrets.token_hex(16)
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
            # Locked while we live: a sweep of another process that starts now leaves it alone.
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file).st_nlink:
                return name, file
            os.close(file)

    @contextmanager
    def _folder(self, path: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """The handle of a folder below the root; with `create`, made and on disk up to the root."""
        if create and () not in self._known:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sync(self.root.parent)
            self._remember(())
        handle = os.open(self.root, _FOLDER & ~os.O_NOFOLLOW)
        try:
            for depth, name in enumerate(path, 1):
                here = tuple(path[:depth])
                if create and here not in self._known:
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=handle)
                    os.fsync(handle)
                    self._remember(here)
                below = os.open(name, _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def _remember(self, folder: tuple[str, ...]) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[folder] = None

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
                found = os.stat(path[-1], dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _info("/".join(path), found) if stat.S_ISREG(found.st_mode) else None

    def _delete(self, path: Sequence[str]) -> None:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError), self._folder(path[:-1]) as folder:
            if stat.S_ISREG(os.stat(path[-1], dir_fd=folder, follow_symlinks=False).st_mode):
                os.unlink(path[-1], dir_fd=folder)

    def _list(self, prefix: str, limit: int, start_after: str) -> Sequence[ObjectInfo]:
        found = []
        with suppress(FileNotFoundError), self._folder([]) as root:
            for info in _walk(root, "", prefix.encode(), start_after.encode()):
                found.append(info)
                if len(found) == limit:
                    break
        return found

    def _probe(self) -> None:
        with self._written(_PROBE) as (name, parent):
            os.unlink(name, dir_fd=parent)

    def _sweep(self) -> None:
        with self._folder([keys.RESERVED]) as folder:
            for name in os.listdir(folder):
                with suppress(OSError):
                    file = os.open(name, _FILE, dir_fd=folder)
                    try:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        os.unlink(name, dir_fd=folder)
                    finally:
                        os.close(file)


def _taken(folder: int, name: str) -> bool:
    """Whether an object has the name; then the name is on disk too, whoever wrote it."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise FileExistsError(errno.EEXIST, "not an object", name)
    os.fsync(folder)
    return True


def _walk(folder: int, path: str, prefix: bytes, after: bytes) -> Iterator[ObjectInfo]:
    """Objects below the folder in key order; whole folders that cannot hold one are not entered."""
    with os.scandir(folder) as scan:
        entries = sorted((_sort_key(path, entry), entry.is_dir(follow_symlinks=False)) for entry in scan)
    for key, is_folder in entries:
        if is_folder:
            beside = not key.startswith(prefix) and not prefix.startswith(key)
            if beside or (key < after and not after.startswith(key)) or key == keys.RESERVED.encode() + b"/":
                continue
            with suppress(FileNotFoundError):
                below = os.open(os.fsdecode(key[len(path.encode()) : -1]), _FOLDER, dir_fd=folder)
                try:
                    yield from _walk(below, key.decode(), prefix, after)
                finally:
                    os.close(below)
        elif key.startswith(prefix) and key > after:
            with suppress(FileNotFoundError):
                found = os.stat(os.fsdecode(key[len(path.encode()) :]), dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    yield _info(key.decode(), found)


def _sort_key(path: str, entry: os.DirEntry[str]) -> bytes:
    # "a/b" sorts after "a.b": a folder counts with its slash.
    return path.encode() + os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b"")


def _info(key: str, found: os.stat_result) -> ObjectInfo:
    uploaded = datetime.fromtimestamp(found.st_mtime, UTC)
    return ObjectInfo(key, found.st_size, uploaded, f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
