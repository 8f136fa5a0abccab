"""Writing objects to a folder in groups: all that wait share the syncs, and each is whole and on disk, or not there.

In: puts. Each file is written to `.tmp/` and synced, then linked (create-only) or renamed (replace) to its name; the
folders that name something new are synced at the end. Several are synced by one call (`syncing.py`), or each once. One
put's failure is its own. Everything here blocks and belongs to one thread at a time.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dmarcworks.bindings import object_keys
from dmarcworks.process import failpoints
from dmarcworks.process.syncfs import file_system_sync

__all__ = ["FOLDER", "Put", "Writer"]

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_REMEMBERED = 1024
_SYNCERS = 8
# Handles from which on the whole file system is synced at once.
_WORTH = 3
_T = TypeVar("_T")
_Path = tuple[str, ...]


@dataclass(slots=True, eq=False)
class Put:
    """Bytes for a key. Then `failed` is what went wrong, or `stored` is true (False: the key had other bytes)."""

    path: Sequence[str]
    data: bytes
    create_only: bool
    stored: bool | None = None
    failed: Exception | None = None
    temporary: str = ""
    file: int = -1


class Writer:
    """Puts into the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Folders whose name is known to be on disk; only a cache, so it may forget.
        self._known: dict[_Path, None] = {}
        self._temporary = -1
        self._threads = ThreadPoolExecutor(_SYNCERS, thread_name_prefix="objects-sync")
        self._sync = file_system_sync()

    def write(self, puts: Sequence[Put]) -> None:
        """Store them; every put has its own outcome."""
        self._write(puts)
        # Somebody removed a folder that we remember.
        again = [put for put in puts if isinstance(put.failed, FileNotFoundError)]
        if again:
            self.forget()
            for put in again:
                put.failed, put.stored = None, None
            self._write(again)

    def probe(self, data: bytes) -> None:
        """Write and sync a file, and take it away; `OSError` if that cannot be done."""
        for again in (True, False):
            put = Put((), data, True)
            try:
                self._file(put)
                os.fsync(put.file)
                return
            except FileNotFoundError:
                if not again:
                    raise
                self.forget()
            finally:
                self._close(put)

    def close(self) -> None:
        """Give back threads and handles."""
        self._threads.shutdown()
        self.forget()

    def forget(self) -> None:
        """Forget the known folders, so that the next write looks at the disk."""
        self._known.clear()
        if self._temporary >= 0:
            os.close(self._temporary)
            self._temporary = -1

    def sweep(self) -> None:
        """Take away what a dead writer left; nothing while another one lives."""
        folder = os.open(self.root / object_keys.RESERVED, FOLDER)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for name in os.listdir(folder):
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)

    def _write(self, puts: Sequence[Put]) -> None:
        folders = _Folders(self.root, self._known)
        try:
            _each(puts, lambda put: folders.open(put.path[:-1]))
            _each(puts, self._file)
            if not self._together([put.file for put in puts if put.failed is None]):
                self._apart(lambda some: _each(some, lambda put: os.fsync(put.file)), puts)
            _each(puts, lambda put: self._name(put, folders))
            if self._together(list(folders.dirty.values())):
                folders.synced()
            unsynced = folders.sync(self._apart)
            for put in puts:
                error = next((unsynced[at] for at in _with_parents(put.path[:-1]) if at in unsynced), None)
                put.failed = put.failed or error
        except OSError as error:
            for put in puts:
                put.failed = put.failed or error
        finally:
            for put in puts:
                self._close(put)
            folders.close()
        if len(self._known) > _REMEMBERED:
            self._known.clear()

    def _together(self, handles: Sequence[int]) -> bool:
        """Sync them all by one call; False when each must be synced by itself. All are on one file system, because
        otherwise the rename would have failed."""
        return len(handles) >= _WORTH and self._sync is not None and self._sync(handles[0])

    def _apart(self, sync: Callable[[Sequence[_T]], None], things: Sequence[_T]) -> None:
        """Sync in several threads: a disk takes many syncs at once, and some file systems none together."""
        shares = min(_SYNCERS, len(things))
        if shares < 2:
            sync(things)
            return
        for done in [self._threads.submit(sync, things[share::shares]) for share in range(shares)]:
            done.result()

    def _file(self, put: Put) -> None:
        """The bytes under a temporary name."""
        if self._temporary < 0:
            self._temporary = self._own()
        put.temporary = secrets.token_hex(16)
        put.file = os.open(put.temporary, _NEW, 0o600, dir_fd=self._temporary)
        left = memoryview(put.data)
        while left:
            left = left[os.write(put.file, left) :]

    def _own(self) -> int:
        """The folder of temporary files, shared with other writers: no sweep while we hold it."""
        path = self.root / object_keys.RESERVED
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = os.open(path, FOLDER)
        fcntl.flock(folder, fcntl.LOCK_SH)
        return folder

    def _name(self, put: Put, folders: _Folders) -> None:
        failpoints.hit("objects.written")
        here, name = tuple(put.path[:-1]), put.path[-1]
        folder = folders.open(here)
        folders.dirty[here] = folder
        stored = True
        if put.create_only:
            try:
                os.link(put.temporary, name, src_dir_fd=self._temporary, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise
                # The file exists, and any writer may have made it; its name is synced with ours.
                stored = False
        else:
            os.rename(put.temporary, name, src_dir_fd=self._temporary, dst_dir_fd=folder)
            put.temporary = ""
        failpoints.hit("objects.named")
        put.stored = stored

    def _close(self, put: Put) -> None:
        if put.file >= 0:
            os.close(put.file)
            put.file = -1
        if put.temporary:
            with suppress(OSError):
                os.unlink(put.temporary, dir_fd=self._temporary)
            put.temporary = ""


class _Folders:
    """Handles of folders below the root while a group is written; `dirty` ones hold names that are not synced."""

    def __init__(self, root: Path, known: dict[_Path, None]) -> None:
        self.dirty: dict[_Path, int] = {}
        self._root = root
        self._known = known
        self._made: list[_Path] = []
        self._synced: set[_Path] = set()
        self._open: dict[_Path, int] = {}

    def open(self, path: Sequence[str]) -> int:
        """The folder's handle; made where it is missing. Links are not followed."""
        here = tuple(path)
        descriptor = self._open.get(here)
        if descriptor is not None:
            return descriptor
        if not here:
            return self._root_handle()
        above, name = here[:-1], here[-1]
        parent = self.open(above)
        if here not in self._known:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
            # Made by us or by another process just now: its name may not be on disk yet.
            self.dirty[above] = parent
            self._made.append(here)
        self._open[here] = handle = os.open(name, FOLDER, dir_fd=parent)
        return handle

    def _root_handle(self) -> int:
        if () not in self._known:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            above = os.open(self._root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(above)
            finally:
                os.close(above)
            self._known[()] = None
        self._open[()] = handle = os.open(self._root, FOLDER & ~os.O_NOFOLLOW)
        return handle

    def sync(self, apart: Callable[[Callable[[Sequence[_Path]], None], Sequence[_Path]], None]) -> dict[_Path, OSError]:
        """Sync every dirty folder once; those that could not be."""
        failed: dict[_Path, OSError] = {}

        def some(paths: Sequence[_Path]) -> None:
            for path in paths:
                try:
                    os.fsync(self.dirty[path])
                except OSError as error:
                    failed[path] = error

        apart(some, [path for path in self.dirty if path not in self._synced])
        for path in self._made:
            if path[:-1] not in failed:
                self._known[path] = None
        return failed

    def synced(self) -> None:
        """What is dirty now is on disk."""
        self._synced.update(self.dirty)

    def close(self) -> None:
        """Give the handles back."""
        for handle in self._open.values():
            os.close(handle)


def _each(puts: Iterable[Put], step: Callable[[Put], object]) -> None:
    """The step for every put that has not failed."""
    for put in puts:
        if put.failed is None:
            try:
                step(put)
            # Whatever the error is, only this put fails and its neighbours continue.
            except Exception as error:
                put.failed = error


def _with_parents(path: Sequence[str]) -> list[_Path]:
    return [tuple(path[:depth]) for depth in range(len(path) + 1)]
