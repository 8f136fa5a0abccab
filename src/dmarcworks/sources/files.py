"""Files, mails, folders, mbox and Maildir as a stream of members, in the order given and by name inside a folder.

In: paths. Out: `SourceFile` values, each with the path as it was given. Refused with `UsageError`: a path that does
not exist. A member that cannot be read (permissions, too large) carries its error, so that its neighbours are read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmarcworks.errors import UsageError
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import Problem, Reading
from dmarcworks.reports.read import read_bytes, read_mail
from dmarcworks.reports.sniff import like_mail

# A report on its own may be larger than a mail: it was compressed inside it.
LARGEST = 512 * 1024 * 1024
_MBOX_START = re.compile(rb"From [^\r\n]{1,998}\r?\n[!-9;-~]{1,100}:")
_MBOX_FROM = re.compile(rb"^From [^\r\n]*\d{4}[^\r\n]*\r?$")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file or one mail of a mailbox; `error` is the reason why `data` is empty."""

    path: str
    data: bytes
    error: str = ""


def members(paths: Iterable[str]) -> Iterator[SourceFile]:
    """Every file and mail under the paths; a folder with `cur` and `new` is a Maildir."""
    for path in paths:
        if stat.S_ISDIR(_kind(path)):
            for name in _inside(Path(path)):
                yield from _file(name)
        else:
            yield from _file(path)


def count(paths: Sequence[str]) -> int:
    """How many files there are, for a progress bar; a mailbox is one. `UsageError` for a path that is not there."""
    for path in paths:
        _kind(path)
    return sum(len(_inside(Path(path))) if os.path.isdir(path) else 1 for path in paths)


def _kind(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def is_mbox(data: bytes) -> bool:
    """Whether the bytes are a mailbox file: a `From ` line and then a header field (RFC 4155)."""
    return _MBOX_START.match(data) is not None


def read(member: SourceFile, bounds: Bounds | None = None) -> Reading:
    """A member's reports: a mail when it begins like one, else a report file."""
    bounds = bounds or Bounds()
    if member.error:
        return Reading((), (Problem("unreadable_file", member.path, member.error),))
    if like_mail(member.data):
        return read_mail(member.data, bounds)
    return read_bytes(member.data, os.path.basename(member.path), bounds)


def _inside(folder: Path) -> list[str]:
    if (folder / "cur").is_dir() and (folder / "new").is_dir():
        entries = [entry for name in ("new", "cur") for entry in sorted((folder / name).iterdir())]
        return [str(entry) for entry in entries if entry.is_file()]
    names: list[str] = []
    for root, folders, files in os.walk(folder):
        folders.sort()
        names.extend(os.path.join(root, name) for name in sorted(files))
    return [name for name in names if os.path.isfile(name)]


def _file(path: str) -> Iterator[SourceFile]:
    try:
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            head = file.read(2048)
            if is_mbox(head):
                file.seek(0)
                yield from _numbered(path, _mails(file))
            elif size > LARGEST:
                yield SourceFile(path, b"", f"larger than {LARGEST} bytes")
            else:
                yield SourceFile(path, head + file.read())
    except OSError as error:
        yield SourceFile(path, b"", error.strerror or str(error))


def _numbered(path: str, mails: Iterator[bytes]) -> Iterator[SourceFile]:
    """A mailbox's mails by number; a single one is just a mail that was saved with its From line."""
    first = next(mails, b"")
    second = next(mails, None)
    if second is None:
        yield SourceFile(path, first)
        return
    yield SourceFile(f"{path}#1", first)
    yield SourceFile(f"{path}#2", second)
    for number, mail in enumerate(mails, start=3):
        yield SourceFile(f"{path}#{number}", mail)


def _mails(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The mails of an mbox, one at a time; `>From ` is unquoted as mboxrd defines it."""
    mail: list[bytes] = []
    blank = True
    begun = False
    for line in lines:
        if blank and line.startswith(b"From ") and _MBOX_FROM.match(line.rstrip(b"\n")):
            if begun:
                yield _unquoted(mail)
            mail, begun = [], True
        else:
            mail.append(line)
        blank = line in (b"\n", b"\r\n")
    if begun:
        yield _unquoted(mail)


def _unquoted(mail: list[bytes]) -> bytes:
    return _QUOTED_FROM.sub(rb"\1", b"".join(mail))
