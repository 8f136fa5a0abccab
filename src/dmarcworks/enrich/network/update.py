"""A new IP data file: downloaded or copied within bounds, unpacked, opened and checked, then put in place at once.

The file in use is replaced by a rename, after the new one has answered: a reader sees the old or the new one.
"""

from __future__ import annotations

import contextlib
import gzip
import ipaddress
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx

from dmarcworks.enrich.network.ip_file import FILE_BYTES, IpDataError, IpFile, opened_file
from dmarcworks.errors import BoundError, ConflictError, UsageError

__all__ = ["DOWNLOAD_BYTES", "download", "put_in_place"]

DOWNLOAD_BYTES = 2 << 30
_PIECE = 1 << 20
_REDIRECTS = 5
_SECONDS = httpx.Timeout(30.0)


def put_in_place(source: Path, folder: Path) -> IpFile:
    """Unpack the file, check it and make it the folder's file of its kind; `IpDataError` when it cannot be used."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as target, _unpacked(source) as content:
            _copy(content, target, FILE_BYTES, f"{source} unpacked")
            target.flush()
            os.fsync(target.fileno())
        try:
            file = opened_file(new)
        except IpDataError as error:
            raise IpDataError(str(error).replace(name, str(source))) from None
        if file.check() == 0:
            raise IpDataError(
                f"{source} has no data for any of the sampled addresses: it is not a database of the whole internet"
            )
        place = folder / f"{file.layout.name}.mmdb"
        _not_older(file, place)
        new.chmod(0o644)
        _note(folder / f"{file.layout.name}.NOTICE.txt", file)
        new.replace(place)
        _synced(folder)
    finally:
        new.unlink(missing_ok=True)
    return opened_file(place)


@contextmanager
def download(url: str) -> Iterator[Path]:
    """The content of the URL in a temporary file; https only, plain http from this machine alone."""
    with tempfile.TemporaryDirectory(prefix="dmarcworks-ipdata-") as folder:
        path = Path(folder) / "download"
        try:
            _fetch(httpx.URL(url), path)
        except httpx.InvalidURL as error:
            raise UsageError(f"the address of the IP data file is not a valid URL: {error}") from None
        except httpx.HTTPError as error:
            # The host alone: a URL may contain a token.
            reason = str(error).replace(url, "the address") or type(error).__name__
            raise IpDataError(f"downloading from {httpx.URL(url).host} failed: {reason}") from None
        yield path


def _fetch(url: httpx.URL, path: Path) -> None:
    here = url
    with httpx.Client(timeout=_SECONDS) as client:
        for _ in range(_REDIRECTS):
            _allowed(here)
            with client.stream("GET", here) as response:
                if response.has_redirect_location:
                    here = here.join(response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise IpDataError(f"{here.host} answered with status {response.status_code}; check the address")
                size = 0
                with path.open("wb") as target:
                    for piece in response.iter_bytes(_PIECE):
                        size += len(piece)
                        if size > DOWNLOAD_BYTES:
                            raise BoundError(f"the download from {here.host} exceeds {DOWNLOAD_BYTES} bytes")
                        target.write(piece)
                return
    raise IpDataError(f"{here.host} redirects more than {_REDIRECTS} times")


def _allowed(url: httpx.URL) -> None:
    if url.scheme == "https" and url.host:
        return
    with contextlib.suppress(ValueError):
        if url.scheme == "http" and (url.host == "localhost" or ipaddress.ip_address(url.host).is_loopback):
            return
    raise UsageError(f"the address of an IP data file must begin with https:// (here {url.scheme}://{url.host})")


@contextmanager
def _unpacked(source: Path) -> Iterator[IO[bytes]]:
    """The database in the file, which may be compressed by gzip or be a tar archive of it."""
    try:
        with source.open("rb") as plain:
            head = plain.read(2)
            plain.seek(0)
            if head != b"\x1f\x8b":
                yield plain
                return
            with gzip.open(plain) as inflated:
                if not _is_archive(source):
                    yield inflated  # type: ignore[misc]  # a file of bytes
                    return
            plain.seek(0)
            with tarfile.open(fileobj=plain, mode="r|gz") as archive:
                for member in archive:
                    if member.isfile() and member.name.endswith(".mmdb") and (content := archive.extractfile(member)):
                        yield content
                        return
            raise IpDataError(f"{source} is an archive without an .mmdb file")
    except OSError as error:
        raise IpDataError(f"{source} cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error, tarfile.TarError) as error:
        raise IpDataError(f"{source} cannot be unpacked: {error}") from None


def _is_archive(source: Path) -> bool:
    with gzip.open(source) as inflated:
        return inflated.read(262)[257:] == b"ustar"


def _copy(source: IO[bytes], target: IO[bytes], most: int, what: str) -> None:
    size = 0
    while piece := source.read(_PIECE):
        size += len(piece)
        if size > most:
            raise BoundError(f"{what} exceeds {most} bytes")
        target.write(piece)


def _not_older(file: IpFile, place: Path) -> None:
    """A file that was built earlier would replace newer facts by older ones."""
    with contextlib.suppress(IpDataError):
        now = opened_file(place)
        if now.built > file.built:
            raise ConflictError(
                f"the new file was built on {file.built}, the one in use on {now.built}; to use the older one, remove"
                f" {place} first"
            )


def _note(path: Path, file: IpFile) -> None:
    new = path.with_suffix(".new")
    new.write_text(file.layout.attribution.notice)
    shutil.move(new, path)


def _synced(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
