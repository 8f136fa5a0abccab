"""One IP data file in MaxMind's format, opened for look-ups.

The file is copied first, and the copy is opened and unlinked: a program that overwrites the file in place cannot pull
the mapped bytes from under a running look-up. No content makes a look-up fail: what cannot be decoded is nothing.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING

import maxminddb
import structlog

from dmarcworks.enrich.network.layouts import NOTHING, IpRecord, Layout, layout_of
from dmarcworks.errors import DmarcworksError

if TYPE_CHECKING:
    from dmarcworks.enrich.network.ip_tree import IpTree

__all__ = ["FILE_BYTES", "IpDataError", "IpFile", "Version", "opened_file"]

log = structlog.get_logger("dmarcworks.enrich.network")

# The largest file that is opened; paid files are around 1 GB.
FILE_BYTES = 4 << 30
_SAMPLES = 8


class IpDataError(DmarcworksError):
    """A file that is no usable IP data; the text names the file and the reason."""


@dataclass(frozen=True, slots=True)
class Version:
    """What changes when a file is replaced."""

    inode: int
    modified: int
    size: int

    @classmethod
    def of(cls, path: Path) -> Version:
        """The version of the file that is there now; `OSError` when there is none."""
        state = path.stat()
        return cls(state.st_ino, state.st_mtime_ns, state.st_size)


class IpFile:
    """An open file: `name` and build date show which data served an answer."""

    def __init__(
        self, path: Path, version: Version, layout: Layout, reader: maxminddb.Reader, tree: mmap.mmap | None = None
    ) -> None:
        self.path, self.version, self.layout = path, version, layout
        self._reader, self._tree_bytes = reader, tree
        self._trees: list[IpTree | None] = []
        self._v4_only = reader.metadata().ip_version == 4
        self.built = _day(reader.metadata().build_epoch)
        # As in the column `ip_data`: the layout and the day when the file was built.
        self.name = f"{layout.name} {self.built:%Y-%m-%d}"
        self._warned = False

    def lookup(self, address: str) -> IpRecord:
        """What the file states about the address, which is one in its usual form."""
        if self._v4_only and ":" in address:
            return NOTHING
        try:
            record = self._reader.get(address)
        # A damaged file may fail in any way that its decoder does: the address has no record in it then.
        except Exception as error:
            if not self._warned:
                self._warned = True
                log.warning("IP data file is damaged", file=str(self.path), error=f"{type(error).__name__}: {error}")
            return NOTHING
        return NOTHING if record is None else self.layout.read(record)

    @property
    def tree(self) -> IpTree | None:
        """The tree for many addresses at once; None when the file's cannot be used. Prepared when it is first used."""
        if not self._trees:
            from dmarcworks.enrich.network.ip_tree import IpTree

            data, of = self._tree_bytes, self._reader.metadata()
            tree = None if data is None else IpTree.opened(data, of.node_count, of.record_size, of.ip_version)
            self._trees.append(tree)
        return self._trees[0]

    def check(self) -> int:
        """Look up addresses all over the file; how many have a record. `IpDataError` when one cannot be decoded."""
        answers = 0
        for address in _samples(self._v4_only):
            try:
                record = self._reader.get(str(address))
            except Exception as error:
                raise IpDataError(f"{self.path} is damaged: {type(error).__name__}: {error}") from None
            answers += record is not None and self.layout.read(record) != NOTHING
        return answers


def opened_file(path: Path) -> IpFile:
    """The file, opened and checked; `IpDataError` names what is wrong with it."""
    try:
        version = Version.of(path)
        if version.size > FILE_BYTES:
            raise IpDataError(f"{path} is larger than {FILE_BYTES} bytes")
        reader, tree = _reader(path)
    except OSError as error:
        raise IpDataError(f"{path} cannot be read: {error.strerror or error}") from None
    # The decoder meets bytes of a stranger here, and fails in more ways than its own error.
    except IpDataError:
        raise
    except Exception as error:
        raise IpDataError(f"{path} is not a file in MaxMind's format: {str(error) or type(error).__name__}") from None
    kind = reader.metadata().database_type
    layout = layout_of(kind) if isinstance(kind, str) else None
    if layout is None:
        raise IpDataError(
            f"{path} has the database type {str(kind)[:80]!r}; supported are IPinfo Lite, GeoLite2 (ASN, Country, City)"
            " and DB-IP Lite (ASN, Country, City)"
        )
    file = IpFile(path, version, layout, reader, tree)
    file.check()
    return file


def _reader(path: Path) -> tuple[maxminddb.Reader, mmap.mmap | None]:
    handle, name = tempfile.mkstemp(prefix="dmarcworks-ipdata-", suffix=".mmdb")
    try:
        with os.fdopen(handle, "wb") as copy, path.open("rb") as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        reader = maxminddb.open_database(name)
        return reader, _mapped(name, reader)
    finally:
        os.unlink(name)


def _mapped(name: str, reader: maxminddb.Reader) -> mmap.mmap | None:
    """The tree at the beginning of the file; None when the file has not all of it."""
    size = reader.metadata().node_count * reader.metadata().record_size // 4
    with open(name, "rb") as file:
        if not 0 < size <= os.fstat(file.fileno()).st_size:
            return None
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)


def _samples(v4_only: bool) -> Iterator[IPv4Address | IPv6Address]:
    for number in range(256 * _SAMPLES):
        yield IPv4Address((number * (2**32 // (256 * _SAMPLES))) + 0x00010808)
    for number in range(0 if v4_only else 1024):
        yield IPv6Address((0x2000 << 112) + (number << 114) // 1024 + (0x0808 << 64))


def _day(epoch: object) -> date:
    """The day of the build; 1970 for a time out of all reason."""
    seconds = epoch if isinstance(epoch, int) and 0 <= epoch < 2**33 else 0
    return datetime.fromtimestamp(seconds, UTC).date()
