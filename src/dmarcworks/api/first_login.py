"""The first log-in link in a file of the data directory, for a server that was not started in a terminal.

What a server prints ends in a journal that other people read; the link is a password until it is used. The file is
readable by its owner only, is never written through a symbolic link, and is removed once the link is used or expired.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["FILE", "FirstLogin"]

FILE = "first-login"
_BYTES = 4096


class FirstLogin:
    """The file; none of its methods raises when there is none."""

    def __init__(self, data_directory: Path) -> None:
        self.path = data_directory.resolve() / FILE

    def write(self, link: str) -> bool:
        """Make the file; False when it cannot be made (another one is in its place, the disk is full)."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(self.path, flags, 0o600), "w") as file:
                file.write(link + "\n")
        except OSError:
            return False
        return True

    def secret(self) -> str:
        """The secret of the link, empty when there is no such file of ours."""
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    return ""
                return file.read(_BYTES).strip().rpartition("/login/")[2]
        except (OSError, ValueError):
            return ""

    def age(self) -> float:
        """Seconds since the file was made."""
        try:
            return max(0.0, time.time() - self.path.lstat().st_mtime)
        except OSError:
            return 0.0

    def move(self, public_url: str) -> None:
        """Let the link begin with the dashboard's address of now, which may have changed since the file was made."""
        secret = self.secret()
        with suppress(OSError):
            made = self.path.lstat().st_mtime
            self.remove()
            if self.write(f"{public_url}/login/{secret}"):
                # Its age counts from when the link was made.
                os.utime(self.path, (made, made), follow_symlinks=False)

    def remove(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self.path.unlink()

    def redeemed(self, secret: str) -> None:
        """A link was used: when it is this one, remove the file."""
        if secret and self.secret() == secret:
            self.remove()
