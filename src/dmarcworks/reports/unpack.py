"""A part's bytes → the files in it, by content and never by name: gzip, bzip2, xz, zstd, zip, tar, winmail.dat, any of
them inside another, or none.

Out: `Leaf` values, small ones whole, large ones as a stream that can be opened again. Refused by name: what hits a
bound (inflated bytes are counted while inflating), damaged, truncated and encrypted archives; neighbours are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dmarcworks.reports import archive, compression, containers
from dmarcworks.reports.notes import Notes, Refused, Work

# Up to here a file is taken as a whole; larger ones are streamed.
WHOLE = 4 * 1024 * 1024
# Nearly every report is one small file in one archive: inflated in one step up to here.
_SMALL = 256 * 1024
# Past so many bytes of a file its whole length is measured before more of it is read: a bomb of plausible records is
# then refused at the speed of inflating, not of reading.
_MEASURED = 32 * 1024 * 1024
_LABEL = 200
_MAGIC = (archive.GZIP, b"PK", *compression.MAGIC, containers.TNEF)


@dataclass(slots=True)
class Leaf:
    """A file that is no archive: its head, all of it as chunks (as often as wanted), and what was odd on the way."""

    name: str
    where: str
    head: bytes
    whole: bool
    open: Callable[[], Iterator[bytes]]
    notes: Notes
    packed: bool


def label(name: str) -> str:
    """A name in a form that is safe inside a sentence: last path element, printable, bounded."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    last = last[:_LABEL]
    if not last.isprintable():
        last = "".join(c if c.isprintable() else "�" for c in last)
    return last or "unnamed"


def single(data: bytes, name: str, where: str, work: Work, depth: int) -> Leaf | None:
    """The one file of a small archive without anything odd, as `leaves` gives it; None leaves it to `leaves`."""
    members = 0
    if archive.is_gzip(data):
        content, place = archive.small_gzip(data, _SMALL), where
    elif archive.is_zip(data):
        content, inside = archive.small_zip(data, _SMALL)
        if _metadata_file(inside):
            return None
        place = f"{where} > {label(inside)}"
        members = 1
    else:
        return None
    # Content that does not begin with "<" may be another archive, and content over a bound must be reported: `leaves`
    # handles both.
    if content is None or not content.startswith(b"<") or depth >= work.bounds.nesting:
        return None
    if work.inflated + len(content) > work.bounds.inflated_bytes or work.members + members > work.bounds.members:
        return None
    work.inflated += len(content)
    work.members += members
    return Leaf(name, place, content, True, lambda: iter((content,)), Notes(), True)


def leaves(
    data: bytes, name: str, where: str, work: Work, depth: int = 0, inside: Notes | None = None
) -> Iterator[Leaf]:
    """Every file in the bytes; what is not read is noted in `work`. `inside` are the notes of the archive around it."""
    notes = inside or Notes()
    # A line break before the magic bytes comes from careless transfer encodings.
    trimmed = data[:64].lstrip(b"\r\n\t ") + data[64:] if data[:1].isspace() else data
    if not trimmed.startswith(_MAGIC) and 0 not in trimmed[100:512]:
        # Neither compressed nor an archive, as nearly every text: a tar archive has NULs in its header.
        yield Leaf(name, where, data, True, lambda: iter((data,)), notes, inside is not None)
    elif archive.is_gzip(trimmed):
        inner = name[:-3] if name.lower().endswith(".gz") else ""
        place = f"{where} > {label(inner)}" if inner and inside else where
        yield from _opened(lambda seen: archive.gunzip(trimmed, where, seen), inner, place, work, depth + 1, notes)
    elif archive.is_document(trimmed):
        yield Leaf(name, where, trimmed, True, lambda: iter((trimmed,)), notes, inside is not None)
    elif archive.is_zip(trimmed):
        yield from _zip(trimmed, where, work, depth + 1, notes)
    elif (opener := compression.opener(trimmed)) is not None:
        suffix, inflate = opener
        inner = name[: -len(suffix)] if name.lower().endswith(suffix) else ""
        place = f"{where} > {label(inner)}" if inner and inside else where
        yield from _opened(lambda _: inflate(trimmed), inner, place, work, depth + 1, notes)
    elif containers.is_tar(trimmed):
        yield from _files(containers.tar_files(trimmed), "tar_empty", where, work, depth + 1, notes)
    elif containers.is_tnef(trimmed):
        yield from _files(containers.tnef_files(trimmed), "tnef_empty", where, work, depth + 1, notes)
    else:
        yield Leaf(name, where, data, True, lambda: iter((data,)), notes, inside is not None)


def _zip(data: bytes, where: str, work: Work, depth: int, notes: Notes) -> Iterator[Leaf]:
    files = 0
    whole = archive.has_directory(data)
    if not whole:
        work.problem(
            "zip_corrupt", where, "The zip archive has no directory at its end; what could be found in it was read."
        )
    try:
        for member in archive.members(data):
            work.member()
            if _metadata_file(member.name):
                continue
            files += 1
            place = f"{where} > {label(member.name)}"
            own = Notes()
            own.extend(notes)
            yield from _opened(_reader(data, member), member.name, place, work, depth, own)
    except Refused as refused:
        work.problem(refused.reason, where, refused.detail)
        return
    if not files and whole:
        work.problem("zip_empty", where, "The zip archive holds no file.")


_EMPTY = {
    "tar_empty": "The tar archive holds no file.",
    "tnef_empty": "The part is a winmail.dat (TNEF) of Outlook and holds no file.",
}


def _files(
    files: Iterator[tuple[str, bytes]], empty: str, where: str, work: Work, depth: int, notes: Notes
) -> Iterator[Leaf]:
    """The files of a container that stores them uncompressed; archives among them are opened too."""
    members = 0
    try:
        work.nest(depth)
        for name, content in files:
            members += 1
            work.member()
            if _metadata_file(name):
                continue
            work.inflate(len(content))
            own = Notes()
            own.extend(notes)
            yield from leaves(content, name, f"{where} > {label(name)}", work, depth, own)
    except Refused as refused:
        work.problem(refused.reason, where, refused.detail)
        return
    if not members:
        work.problem(empty, where, _EMPTY[empty])


def packs(data: bytes) -> bool:
    """Whether the bytes are an archive or compressed in a way that is read."""
    if archive.is_gzip(data) or archive.is_zip(data) or containers.is_tnef(data):
        return True
    return compression.opener(data) is not None or containers.is_tar(data)


def _reader(data: bytes, member: archive.ArchiveMember) -> Callable[[Notes], Iterator[bytes]]:
    return lambda _: archive.read_member(data, member)


def _metadata_file(name: str) -> bool:
    """Whether the name is a folder or metadata that macOS adds to an archive."""
    return name.endswith(("/", "\\")) or name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1].startswith("._")


def _opened(
    start: Callable[[Notes], Iterator[bytes]], name: str, where: str, work: Work, depth: int, notes: Notes
) -> Iterator[Leaf]:
    own = Notes()
    try:
        work.nest(depth)
        stream = start(own)
        chunks: list[bytes] = []
        size = 0
        for chunk in stream:
            work.inflate(len(chunk))
            chunks.append(chunk)
            size += len(chunk)
            if size > WHOLE:
                break
        else:
            notes.extend(own)
            yield from leaves(b"".join(chunks), name, where, work, depth, notes)
            return
        head = b"".join(chunks)
        source = _Source(start, head, stream, own, notes, work)
        if packs(head):
            yield from leaves(_rest(source, work), name, where, work, depth, notes)
            return
        yield Leaf(name, where, head, False, source.open, notes, True)
    except Refused as refused:
        work.problem(refused.reason, where, refused.detail)


def _rest(source: _Source, work: Work) -> bytes:
    """An archive inside an archive is needed whole; it may be as large as a mail."""
    chunks: list[bytes] = []
    size = 0
    for chunk in source.open():
        size += len(chunk)
        if size > work.bounds.mail_bytes:
            raise Refused(
                "mail_bytes", f"The archive inside is larger than the bound {work.bounds.named('mail_bytes')}."
            )
        chunks.append(chunk)
    return b"".join(chunks)


class _Source:
    """A large file's stream: what was begun at first, from the start thereafter; each byte and note counts once."""

    def __init__(
        self,
        start: Callable[[Notes], Iterator[bytes]],
        head: bytes,
        stream: Iterator[bytes],
        own: Notes,
        notes: Notes,
        work: Work,
    ) -> None:
        self._start = start
        self._begun: tuple[bytes, Iterator[bytes], Notes] | None = (head, stream, own)
        self._counted = len(head)
        self._notes = notes
        self._noted = False
        self._work = work

    def open(self) -> Iterator[bytes]:
        """All of it in chunks."""
        own = Notes()
        head, stream = b"", self._start(own)
        if self._begun is not None:
            (head, stream, own), self._begun = self._begun, None
            yield head
        position = len(head)
        for chunk in stream:
            position += len(chunk)
            if position > self._counted:
                self._charge(self._length() if position > _MEASURED else position)
            yield chunk
        if not self._noted:
            self._noted = True
            self._notes.extend(own)

    def _length(self) -> int:
        """How long the file is; past the bound only that."""
        length = 0
        for chunk in self._start(Notes()):
            length += len(chunk)
            if length - self._counted > self._work.bounds.inflated_bytes - self._work.inflated:
                break
        return length

    def _charge(self, position: int) -> None:
        self._work.inflate(position - self._counted)
        self._counted = position
