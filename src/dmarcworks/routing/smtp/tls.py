"""The certificate that STARTTLS and TLS listeners show, from two PEM files; TLS 1.2 and newer.

The files are looked at when a handshake begins: changed ones are loaded at once, so a renewed certificate needs no
restart. Bad files are a `SettingsError` at the start; later they are a warning, and the old certificate stays. One that
ends within three weeks, or has ended, is a warning when it is loaded and once a day from then on.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import structlog

from dmarcworks.errors import SettingsError

log = structlog.get_logger("dmarcworks.smtp")

_Signature = tuple[tuple[int, int, int], ...]


SOON_DAYS = 21
_DAY = 86_400.0


class Certificate:
    """A certificate (with its chain) and its key; `clock` returns the unix second."""

    def __init__(self, certificate: Path, key: Path, clock: Callable[[], float] = time.time) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._loaded = self._signature()
        self._context, self._until = self._load()
        self._warned = float("-inf")
        self._warn()

    @property
    def context(self) -> ssl.SSLContext:
        """The context for a new handshake, made of what the files hold now."""
        self._look()
        return self._context

    @property
    def left(self) -> float:
        """Seconds until the certificate of now ends; below 0 it has ended."""
        self._look()
        return self._until.timestamp() - self._clock()

    def status(self) -> dict[str, object]:
        """The state that `/readyz` shows: state (ok, ends soon, expired), the last second, and the days until then."""
        left = self.left
        return {"state": _state(left) or "ok", "until": self._until.isoformat(), "days": round(left / _DAY, 1)}

    def _look(self) -> None:
        try:
            now = self._signature()
            if now != self._loaded:
                self._loaded = now  # once per change: a bad file is not reloaded for every connection
                self._context, self._until = self._load()
                self._warned = float("-inf")
                log.info("certificate loaded", file=str(self._certificate), until=self._until.isoformat())
        except SettingsError as error:
            log.warning("certificate not loaded, the old one stays", error=str(error))
        self._warn()

    def _warn(self) -> None:
        now = self._clock()
        if now - self._warned < _DAY:
            return
        left = self._until.timestamp() - now
        if state := _state(left):
            self._warned = now
            when = {"until": self._until.isoformat(), "days": round(left / _DAY, 1)}
            log.warning(f"certificate {state}", file=str(self._certificate), **when)

    def _signature(self) -> _Signature:
        states = []
        for path in (self._certificate, self._key):
            try:
                stat = os.stat(path)
            except OSError:
                states.append((0, 0, 0))
            else:
                states.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
        return tuple(states)

    def _load(self) -> tuple[ssl.SSLContext, datetime]:
        cert, key = f"DMARCWORKS_SMTP_TLS_CERT={self._certificate}", f"DMARCWORKS_SMTP_TLS_KEY={self._key}"
        try:
            ends = _until(_read(self._certificate, cert))
        except ValueError:
            raise SettingsError(f"{cert}: there is no certificate in PEM form") from None
        if b"PRIVATE KEY-----" not in _read(self._key, key):
            raise SettingsError(f"{key}: there is no key in PEM form")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            # A key with a password would make the library prompt at a terminal.
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
            return context, ends
        except (ssl.SSLError, ValueError, OSError) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            raise SettingsError(f"{cert}, {key}: not a certificate and its key in PEM form: {reason}") from None


def _state(left: float) -> str:
    """What is wrong with so many seconds left, or ""."""
    return "expired" if left <= 0 else "ends soon" if left < SOON_DAYS * _DAY else ""


def _until(pem: bytes) -> datetime:
    """The last second of the file's first certificate, the one that is shown; `ValueError` when there is none."""
    # Loaded here: a server without a certificate does without its 20 MB.
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting} cannot be read: {error.strerror}") from None


def _no_password() -> str:
    raise ValueError("the key is encrypted; a server cannot type a password")
