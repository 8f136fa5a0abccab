"""The format of a backup folder: names, whole files, hashes.

    backup.json              what it is, when, of which version, and the SHA-256 of every other file but the objects
    catalogue/<table>.jsonl.gz   every table's rows as JSON lines (bytes as {"b64": …}), from one snapshot
    objects/<key>            every object as it is in the store
    objects.jsonl.gz         their keys, sizes and SHA-256
    rows/<table>-<n>.parquet the figures that the archive can no longer give, and a day's data points of workers

A file is there whole or not at all. `UsageError` for a folder that is no backup, or not a whole one.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import structlog

from dmarcworks.bindings import object_keys
from dmarcworks.bindings.private import make_private, tighten
from dmarcworks.errors import StoreError, UsageError

__all__ = ["FORMAT", "BackupFolder"]

log = structlog.get_logger("dmarcworks.upkeep")

FORMAT = 1
HEAD, LISTING, PARTIAL = "backup.json", "objects.jsonl.gz", "objects.partial.jsonl"


class BackupFolder:
    """A backup's folder. Every method blocks; `StoreError` when the disk fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folder, or use one that is a backup already; any other folder that is not empty is refused."""
        try:
            make_private(self.folder)
            names = {entry.name for entry in self.folder.iterdir()}
        except OSError as error:
            raise StoreError(f"backup {self.folder}: {error.strerror}") from error
        if names and not names & {HEAD, PARTIAL}:
            raise UsageError(f"{self.folder} is neither empty nor a backup; name another folder")
        if open_to_others := tighten(self.folder, (HEAD, PARTIAL)):
            log.warning("backup folder is open to others", reason=open_to_others)
        # From here on it is not a whole backup until its head is written again.
        (self.folder / PARTIAL).touch(mode=0o600)

    def write(self, name: str, data: bytes) -> str:
        """Write a file whole; its SHA-256."""
        path = self.folder / name
        try:
            make_private(path.parent, below=self.folder)
            partial = path.with_name(path.name + ".new")
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)
            os.replace(partial, path)
        except OSError as error:
            raise StoreError(f"backup {path}: {error.strerror}") from error
        return hashlib.sha256(data).hexdigest()

    def lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> str:
        """Write rows as compressed JSON lines; the file's SHA-256."""
        text = "".join(json.dumps(row, default=_packed, separators=(",", ":")) + "\n" for row in rows)
        return self.write(name, gzip.compress(text.encode(), 6, mtime=0))

    def read(self, name: str, sha256: str) -> bytes:
        """A file's bytes; `UsageError` when they are not the ones that were written."""
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise UsageError(f"backup {self.folder / name} cannot be read: {error.strerror}") from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise UsageError(f"backup {self.folder / name} is damaged: its SHA-256 is not the one that was noted")
        return data

    def rows(self, name: str, sha256: str) -> Iterator[dict[str, Any]]:
        """The rows of compressed JSON lines."""
        for line in gzip.decompress(self.read(name, sha256)).splitlines():
            yield {column: _unpacked(value) for column, value in json.loads(line).items()}

    def head(self) -> dict[str, Any]:
        """What the backup is; `UsageError` when it is none, or was not finished."""
        if (self.folder / PARTIAL).exists():
            raise UsageError(f"the backup in {self.folder} was not finished: run `dmarcworks backup` on it again")
        try:
            head: dict[str, Any] = json.loads((self.folder / HEAD).read_bytes())
        except (OSError, ValueError):
            raise UsageError(f"{self.folder} holds no backup") from None
        if head.get("format") != FORMAT:
            raise UsageError(f"the backup in {self.folder} is of another form, {head.get('format')!r}")
        return head

    def known(self) -> dict[str, dict[str, Any]]:
        """The objects that are copied already, by key: from the last backup, and from an interrupted one."""
        entries: dict[str, dict[str, Any]] = {}
        listing = self.folder / LISTING
        if listing.exists():
            for line in gzip.decompress(listing.read_bytes()).splitlines():
                entry = json.loads(line)
                entries[entry["key"]] = entry
        for noted in (self.folder / PARTIAL).read_text().splitlines():
            try:
                entry = json.loads(noted)
            except ValueError:  # the last line of an interrupted run
                continue
            entries[entry["key"]] = entry
        return entries

    def copied(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Note objects that are copied now, in case this run is interrupted."""
        with open(self.folder / PARTIAL, "a") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in entries)

    def object(self, key: str) -> Path:
        """The path of the object's copy."""
        return self.folder.joinpath("objects", *object_keys.segments(key))

    def finish(self, head: Mapping[str, Any], listed: set[str]) -> None:
        """Everything is on disk: write the head, and delete what is no longer part of this backup."""
        for folder in ("objects", "rows", "catalogue"):
            for path in (self.folder / folder).rglob("*"):
                name = str(path.relative_to(self.folder))
                if path.is_file() and name not in listed:
                    path.unlink()
        os.sync()
        self.write(HEAD, json.dumps(head, indent=2).encode())
        (self.folder / PARTIAL).unlink(missing_ok=True)
        os.sync()


def _packed(value: object) -> object:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"no column holds a {type(value).__name__}")


def _unpacked(value: Any) -> Any:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value
