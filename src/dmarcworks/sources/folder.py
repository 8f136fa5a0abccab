"""The source of a folder of this machine: report files and mails as files, or a Maildir.

A writer puts a file there in one step: under a name that begins with a dot or ends with .tmp or .part, or outside the
folder, then by renaming it. What was changed within the last seconds waits for the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from dmarcworks.catalogue.mailbox_state import FolderMark
from dmarcworks.reports.sniff import like_mail
from dmarcworks.sources.contract import (
    DELETE,
    HEAD_BYTES,
    MOVE,
    SEEN,
    FetchedMail,
    FolderCount,
    MailboxError,
    MailboxLook,
    MailListing,
    SettleRule,
    WaitingMail,
)
from dmarcworks.sources.name_progress import NameProgress

__all__ = ["FolderSource"]

_Result = TypeVar("_Result")
_UNFINISHED = (".tmp", ".part", ".crdownload")
# How long a file must not have changed, and how often the folder is looked at.
_QUIET_SECONDS, _LOOK_SECONDS = 1.0, 0.5
_GROUP_BYTES = 4 << 20


class FolderSource:
    """A folder; `settle` moves to a folder next to its files (in a Maildir: to another Maildir below it)."""

    def __init__(self, path: str, rule: SettleRule) -> None:
        self._path, self._rule = Path(path), rule
        self._progress: NameProgress | None = None
        self._woken = asyncio.Event()
        self._seen: frozenset[str] = frozenset()

    async def list_new(self, marks: Mapping[str, FolderMark]) -> MailListing:
        """Newest first by the time of change."""
        files = await self._call(self._files)
        names = [name for name, _ in sorted(files.items(), key=lambda entry: (-entry[1][1], entry[0]))]
        self._seen = frozenset(names)
        self._progress = NameProgress(str(self._path), marks.get(str(self._path)), names)
        return MailListing(self._progress.new(names), self._progress.unsettled())

    async def fetch(self, mails: Sequence[WaitingMail], most: int) -> AsyncIterator[Sequence[FetchedMail]]:
        """A few at a time."""
        files = await self._call(self._files)
        group: list[FetchedMail] = []
        held = 0
        for mail in mails:
            fetched = await self._call(partial(_read, mail, files.get(mail.key), most))
            group.append(fetched)
            held += len(fetched.raw or b"")
            if held >= _GROUP_BYTES:
                yield group
                group, held = [], 0
        if group:
            yield group

    async def settle(self, mails: Sequence[WaitingMail]) -> None:
        """Move or delete the files; in a Maildir also mark them as seen."""

        def work() -> None:
            files = self._files()
            for mail in mails:
                if mail.key in files:
                    self._settle(files[mail.key][0])

        await self._call(work)

    def note(self, mails: Sequence[WaitingMail], *, settled: bool) -> Mapping[str, FolderMark]:
        """Done, or accepted and to be settled."""
        assert self._progress is not None
        return {str(self._path): self._progress.note([mail.key for mail in mails], settled=settled)}

    async def wait(self, seconds: float) -> bool:
        """Look for new names."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._woken.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), _LOOK_SECONDS)
            if frozenset(await self._call(self._files)) - self._seen:
                break
        self._woken.clear()
        return True

    def wake(self) -> None:
        """End a wait."""
        self._woken.set()

    async def look(self, marks: Mapping[str, FolderMark]) -> MailboxLook:
        """Count the files, and whether they may be changed where that is needed."""
        files = await self._call(self._files)
        progress = NameProgress(str(self._path), marks.get(str(self._path)), list(files))
        error = ""
        if self._rule.action in (SEEN, MOVE, DELETE) and not os.access(self._path, os.W_OK):
            error = f"The folder {self._path} cannot be written, so that {self._rule.action} cannot be done."
        notes = [f"{self._path} is a {'Maildir' if self._maildir else 'folder of files'}."]
        return MailboxLook([FolderCount(str(self._path), len(files), len(progress.new(files)), error)], notes)

    async def close(self, *, abort: bool = False) -> None:
        """Nothing is open."""

    @property
    def _maildir(self) -> bool:
        return (self._path / "cur").is_dir() and (self._path / "new").is_dir()

    def _files(self) -> dict[str, tuple[Path, float]]:
        """By name (in a Maildir without its flags): where it is, and when it was changed."""
        files: dict[str, tuple[Path, float]] = {}
        quiet = time.time() - (0.0 if self._maildir else _QUIET_SECONDS)
        for folder in (self._path / "new", self._path / "cur") if self._maildir else (self._path,):
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith(".") or name.endswith(_UNFINISHED) or not entry.is_file(follow_symlinks=False):
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        changed = entry.stat().st_mtime
                        if changed <= quiet or self._maildir:
                            key = name.partition(":")[0] if self._maildir else name
                            files[key] = (Path(entry.path), changed)
        return files

    def _settle(self, path: Path) -> None:
        if self._rule.action == DELETE:
            path.unlink(missing_ok=True)
        elif self._rule.action == MOVE and self._maildir:
            target = self._path / f".{self._rule.folder}"
            for name in ("tmp", "new", "cur"):
                (target / name).mkdir(parents=True, exist_ok=True)
            os.replace(path, target / "cur" / (path.name if ":" in path.name else f"{path.name}:2,"))
        elif self._rule.action == MOVE:
            target = self._path / self._rule.folder
            target.mkdir(exist_ok=True)
            os.replace(path, target / path.name)
        elif self._rule.action == SEEN and self._maildir:
            base, _, flags = path.name.partition(":2,")
            flags = "".join(sorted({*flags, "S"}))
            os.replace(path, self._path / "cur" / f"{base}:2,{flags}")

    async def _call(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await asyncio.to_thread(work)
        except FileNotFoundError:
            raise MailboxError("folder", f"There is no folder {self._path}; check its name.") from None
        except PermissionError as error:
            text = f"{error.filename} cannot be read or changed: {error.strerror}; give the server's user the right."
            raise MailboxError("permission", text) from None
        except OSError as error:
            code = "quota" if error.errno in (28, 122) else "folder"
            raise MailboxError(code, f"{self._path}: {error.strerror}.") from None


def _read(mail: WaitingMail, entry: tuple[Path, float] | None, most: int) -> FetchedMail:
    if entry is None:
        return FetchedMail(mail, None)
    try:
        with entry[0].open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                return FetchedMail(mail, file.read(HEAD_BYTES), size, cut=True)
            raw = file.read(most + 1)
    except FileNotFoundError:
        return FetchedMail(mail, None)
    return FetchedMail(mail, raw, len(raw), name="" if like_mail(raw) else mail.key)
