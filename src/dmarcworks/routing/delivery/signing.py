"""Signatures on mail that leaves: a DKIM signature (RFC 6376) and, on forwarded mail, an ARC seal (RFC 8617).

Fields are put in front of the mail. What claims to be this host's Authentication-Results and came with the mail is
removed (RFC 8601 §5): a stranger must not have us seal their words. A mail that cannot be sealed (a broken
chain, no results to seal) leaves with the signature alone; all of it takes time in proportion to the mail's size.
"""

from __future__ import annotations

import re
import time

import structlog

from dmarcworks.enrich.dkim.message import CanonicalMail, TooLargeError
from dmarcworks.enrich.dkim.signing import DkimSigner
from dmarcworks.enrich.dkim.tags import BrokenError
from dmarcworks.errors import SettingsError
from dmarcworks.ingest.header_fields import field

log = structlog.get_logger("dmarcworks.signing")

_RESULTS_NAME = "Authentication-Results"

_RESULTS = re.compile(rb"(?im)^authentication-results[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*)")
_CHAIN = re.compile(r"(?:^|; )arc=([a-z]+)")
_FIELDS = (b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to", b"references")
_SEALED = (
    *_FIELDS,
    *(b"sender", b"mime-version", b"content-type", b"content-transfer-encoding"),
    *(b"list-id", b"list-help", b"list-unsubscribe", b"list-subscribe", b"list-post", b"list-owner", b"list-archive"),
    b"dkim-signature",
)


class Signer:
    """Signs as `selector._domainkey.domain` with a PEM key (RSA); `SettingsError` when it is none."""

    def __init__(self, key: str, selector: str, domain: str, hostname: str) -> None:
        self._hostname = hostname
        try:
            self._signature = DkimSigner(key.encode(), selector, domain)
        except BrokenError as error:
            name = "DMARCWORKS_DKIM_KEY (or what DMARCWORKS_DKIM_KEY_FILE names)"
            raise SettingsError(f"{name} is no RSA key in PEM form: {error}") from None

    def sign(self, raw: bytes) -> bytes:
        """The mail with a signature in front; as it is when its header is larger than is examined."""
        try:
            return self._signature.dkim(CanonicalMail(raw), _FIELDS, int(time.time())) + raw
        except TooLargeError as error:
            log.info("a mail could not be signed", error=str(error))
            return raw

    def seal(self, raw: bytes, results: str) -> bytes:
        """The mail with these Authentication-Results, an ARC set and a signature in front."""
        rest = without_results(raw, self._hostname)
        lines = results.replace("; ", ";\n").split("\n")
        written = field(_RESULTS_NAME, f"{self._hostname};", *lines)
        # Cleaned as the field itself is: the same text goes into the set.
        results_field = written.decode("utf-8", "replace").removeprefix(f"{_RESULTS_NAME}: ").removesuffix("\r\n")
        chain = _CHAIN.search(results)
        try:
            arc = self._signature.arc(
                CanonicalMail(rest), _SEALED, results_field, chain[1] if chain else "none", int(time.time())
            )
        except (BrokenError, TooLargeError) as error:
            log.info("a mail could not be sealed", error=str(error))
            arc = b""
        return self.sign(arc + written + rest)


def without_results(raw: bytes, hostname: str) -> bytes:
    """The mail without Authentication-Results fields that claim to be this host's."""
    ours = re.compile(rb"(?i)(?<![\w.-])" + re.escape(hostname.encode()) + rb"(?![\w.-])")
    head, end, body = raw.partition(b"\r\n\r\n")
    lines = head if head.endswith(b"\r\n") else head + b"\r\n"
    kept = _RESULTS.sub(lambda field: b"" if ours.search(field[1].partition(b";")[0]) else field[0], lines)
    return kept + (end[2:] + body if end else b"")
