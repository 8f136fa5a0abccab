"""Folders that only their owner may enter: the data directory and backups hold password hashes and personal data."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

__all__ = ["make_private", "tighten"]

_OTHERS = 0o077


def make_private(path: Path, *, below: Path | None = None) -> None:
    """Make the folder with mode 0700 unless it is there; with `below` also every missing folder between the two."""
    if below is not None and path != below and not path.parent.exists():
        make_private(path.parent, below=below)
    path.mkdir(parents=below is None, exist_ok=True, mode=0o700)


def tighten(path: Path, ours: Collection[str]) -> str:
    """Take the access of others from a folder that is there; "" when it is private now, else why it is not.

    A folder that is plainly shared (sticky, as /tmp is, or with nothing in it that is named in `ours`) is left alone.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if not mode & _OTHERS:
            return ""
        names = {entry.name for entry in path.iterdir()}
        if mode & stat.S_ISVTX or (names and not names & set(ours)):
            return f"{path} is shared with others (mode {mode:04o}): use a folder for dmarcworks alone, of mode 0700"
        os.chmod(path, mode & ~_OTHERS)
    except OSError as error:
        return f"{path} cannot be made private: {error.strerror}; its owner should set mode 0700"
    return ""
