"""The certificate that STARTTLS and TLS listeners show, from two PEM files; TLS 1.2 and newer.

The files are looked at when a handshake begins: changed ones are loaded at once, so a renewed certificate needs no
restart. Bad files are a `SettingsError` at the start; later they are a warning, and the old certificate stays.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import structlog

from dmarcworks.errors import SettingsError

log = structlog.get_logger("dmarcworks.smtp")

_Signature = tuple[tuple[int, int, int], ...]


class Certificate:
    """A certificate (with its chain) and its key."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._loaded = self._signature()
        self._context = self._load()

    @property
    def context(self) -> ssl.SSLContext:
        """The context for a new handshake, made of what the files hold now."""
        try:
            now = self._signature()
            if now != self._loaded:
                self._loaded = now  # once per change: a bad file is not read again for every connection
                self._context = self._load()
                log.info("certificate loaded", file=str(self._certificate))
        except SettingsError as error:
            log.warning("certificate not loaded, the old one stays", error=str(error))
        return self._context

    def _signature(self) -> _Signature:
        found = []
        for path in (self._certificate, self._key):
            try:
                stat = os.stat(path)
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(found)

    def _load(self) -> ssl.SSLContext:
        where = f"DMARCWORKS_SMTP_TLS_CERT={self._certificate}, DMARCWORKS_SMTP_TLS_KEY={self._key}"
        for path in (self._certificate, self._key):
            try:
                path.read_bytes()
            except OSError as error:
                raise SettingsError(f"{where}: {path} cannot be read: {error.strerror}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            # A key with a password would have the library ask at a terminal.
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except (ssl.SSLError, ValueError, OSError) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise SettingsError(f"{where}: not a certificate and its key in PEM form: {reason}") from None
        return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; a server cannot type a password")
