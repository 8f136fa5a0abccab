"""Passwords of mailboxes, encrypted at rest with keys from a file apart from the database and its backups.

The file has one key a line (Fernet: AES-128-CBC with HMAC-SHA256): the first encrypts, all decrypt. It is made when the
first secret is stored, readable by its owner only. It is read at every use, so that a rotation needs no restart.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dmarcworks.bindings.private import make_private
from dmarcworks.errors import SettingsError

__all__ = ["SecretKeys"]

_SETTING = "DMARCWORKS_SECRET_KEY_FILE"


class SecretKeys:
    """Encrypts and decrypts; the file is named by the setting, default `secret.key` in the data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the file with a new key unless it is there."""
        if self.path.exists():
            return
        from cryptography.fernet import Fernet

        try:
            make_private(self.path.parent)
            self._write([Fernet.generate_key().decode()], replace=False)
        except OSError as error:
            raise SettingsError(f"{_SETTING}={self.path} cannot be made: {error.strerror}") from None

    def encrypt(self, owner: str, secret: str) -> str:
        """The secret of `owner` (an id) as text for the database; it decrypts for the same owner only."""
        from cryptography.fernet import Fernet

        self.make()
        return Fernet(self._keys()[0]).encrypt(json.dumps([owner, secret]).encode()).decode()

    def decrypt(self, owner: str, text: str) -> str:
        """The secret; `SettingsError` when no key of the file made it."""
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet

        keys = MultiFernet([Fernet(key) for key in self._keys()])
        try:
            name, secret = json.loads(keys.decrypt(text.encode()))
        except InvalidToken:
            name, secret = "", ""
        if name != owner:
            raise SettingsError(
                f"the stored password cannot be decrypted with the keys in {self.path}: put back the key file that it"
                " was encrypted with, or set the password again"
            )
        return str(secret)

    def add(self) -> None:
        """Put a new key before the others: from now on it encrypts."""
        from cryptography.fernet import Fernet

        self.make()
        self._write([Fernet.generate_key().decode(), *self._keys()])

    def keep_first(self) -> None:
        """Remove all keys but the first, after everything was encrypted with it."""
        self._write(self._keys()[:1])

    def _keys(self) -> Sequence[str]:
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
            keys = self.path.read_text().split()
        except OSError as error:
            raise SettingsError(
                f"{_SETTING}={self.path} cannot be read: {error.strerror}; without it stored passwords cannot be used"
            ) from None
        if mode & 0o077:
            raise SettingsError(f"{self.path} is open to others (mode {mode:04o}); its owner should set mode 0600")
        if not keys or any(len(key) != 44 for key in keys):
            raise SettingsError(f"{self.path} holds no key: a key is 44 characters of base64, one a line")
        return keys

    def _write(self, keys: Sequence[str], *, replace: bool = True) -> None:
        number, name = tempfile.mkstemp(dir=self.path.parent, prefix=".secret-")
        try:
            with os.fdopen(number, "w") as file:
                file.write("".join(f"{key}\n" for key in keys))
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(name, self.path)
                return
            with contextlib.suppress(FileExistsError):  # another process made it at the same time
                os.link(name, self.path)
            os.unlink(name)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        finally:
            folder = os.open(self.path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
