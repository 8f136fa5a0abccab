"""Signatures on mail that leaves: a DKIM signature (RFC 6376) and, on forwarded mail, an ARC seal (RFC 8617).

Fields are put in front of the mail. What claims to be this host's Authentication-Results and came with the mail is
removed (RFC 8601 §5): a stranger must not have us seal their words. A mail that cannot be sealed (a broken
chain, no results to seal) leaves with the signature alone.
"""

from __future__ import annotations

import re
import time

import dkim
import structlog

from dmarcworks.errors import SettingsError

log = structlog.get_logger("dmarcworks.signing")

_RESULTS = re.compile(rb"(?im)^authentication-results[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)")
_BLANKS = re.compile(rb"[\t ]+")
_FIELDS = (b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to", b"references")
_BROKEN = (dkim.DKIMException, ValueError, KeyError, IndexError, AttributeError, TypeError)


class Signer:
    """Signs as `selector._domainkey.domain` with a PEM key (RSA); `SettingsError` when it is none."""

    def __init__(self, key: str, selector: str, domain: str, hostname: str) -> None:
        self._key = key.encode()
        self._selector = selector.encode()
        self._domain = domain.encode()
        self._hostname = hostname
        try:
            self.sign(b"From: a@b.example\r\n\r\nx\r\n")
        except _BROKEN as error:
            name = "DMARCWORKS_DKIM_KEY (or what DMARCWORKS_DKIM_KEY_FILE names)"
            raise SettingsError(f"{name} is no RSA key in PEM form: {error}") from None

    def sign(self, raw: bytes) -> bytes:
        """The mail with a signature in front."""
        present = {line.partition(b":")[0].strip().lower() for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n")}
        fields = [name for name in _FIELDS if name in present]
        signature: bytes = dkim.sign(raw, self._selector, self._domain, self._key, include_headers=fields)
        return signature + raw

    def seal(self, raw: bytes, results: str) -> bytes:
        """The mail with these Authentication-Results, an ARC set and a signature in front."""
        told = f"Authentication-Results: {self._hostname};\r\n {results}\r\n".encode()
        told += without_results(raw, self._hostname)
        try:
            chain = dkim.ARC(_relaxed(told))
            arc = b"".join(
                chain.sign(self._selector, self._domain, self._key, self._hostname.encode(), timestamp=int(time.time()))
            )
        except _BROKEN as error:
            log.info("a mail could not be sealed", error=repr(error))
            arc = b""
        try:
            return self.sign(arc + told)
        except _BROKEN as error:
            log.info("a mail could not be signed", error=repr(error))
            return arc + told


def _relaxed(raw: bytes) -> bytes:
    """The mail with its body's white space already relaxed (RFC 6376 §3.4.4), which leaves the body's hash as it is.

    The library's own pattern takes quadratic time over a run of blanks; both of these take linear time.
    """
    head, end, body = raw.partition(b"\r\n\r\n")
    return head + end + _BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n")


def without_results(raw: bytes, hostname: str) -> bytes:
    """The mail without Authentication-Results fields that say to be this host's."""
    ours = re.compile(rb"(?i)(?<![\w.-])" + re.escape(hostname.encode()) + rb"(?![\w.-])")
    head, end, body = raw.partition(b"\r\n\r\n")
    lines = head if head.endswith(b"\r\n") else head + b"\r\n"
    kept = _RESULTS.sub(lambda field: b"" if ours.search(field[1].partition(b";")[0]) else field[0], lines)
    return kept + (end[2:] + body if end else b"")
