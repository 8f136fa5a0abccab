"""An error of a connection or a mail server → a `MailboxError` in plain words: what is wrong, and what to do. Pure."""

from __future__ import annotations

import re
import socket
import ssl

from dmarcworks.sources.contract import MailboxError

__all__ = ["explained", "refusal", "server_words"]

_SHOWN = 200
# OpenSSL's numbers for why a certificate is not trusted (X509_V_ERR_…).
_NOT_YET, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64
_CODE = re.compile(r"\[([A-Z0-9-]+)")
# Response codes of RFC 9051 section 7.1, RFC 5530 and RFC 3206, and what they mean for us.
_CODES = {
    "AUTHENTICATIONFAILED": "login",
    "AUTHORIZATIONFAILED": "login",
    "EXPIRED": "login",
    "PRIVACYREQUIRED": "login",
    "AUTH": "login",
    "NOPERM": "permission",
    "READ-ONLY": "permission",
    "NONEXISTENT": "folder",
    "TRYCREATE": "folder",
    "OVERQUOTA": "quota",
    "UNAVAILABLE": "connection",
    "INUSE": "connection",
    "IN-USE": "connection",
    "LIMIT": "connection",
    "SERVERBUG": "connection",
}


def explained(error: BaseException, server: str, scheme: str, secret: str = "") -> MailboxError:
    """The error in plain words; `server` is host and port, `secret` never appears in it."""
    # A server may repeat in its refusal what it was sent.
    code, text = (error.code, str(error)) if isinstance(error, MailboxError) else _words(error, server, scheme)
    return MailboxError(code, text.replace(secret, "***") if len(secret) > 2 else text)


def _words(error: BaseException, server: str, scheme: str) -> tuple[str, str]:
    host = server.rpartition(":")[0]
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate", _certificate(error, server, host)
    if isinstance(error, ssl.SSLError):
        if "WRONG_VERSION_NUMBER" in str(error) or "UNKNOWN_PROTOCOL" in str(error):
            other = f"try imap+starttls: or another port than {scheme} uses" if scheme == "imaps" else "check the port"
            return "tls", f"{server} does not begin with TLS; {other}."
        return "tls", f"TLS with {server} failed: {getattr(error, 'reason', None) or error}."
    if isinstance(error, socket.gaierror):
        return "address", f"The host name {host} has no address ({error.strerror}); check its spelling, and DNS."
    if isinstance(error, TimeoutError):
        text = f"{server} did not answer in time; check host, port and firewall"
        return "timeout", f"{text} (DMARCWORKS_MAILBOX_TIMEOUT_SECONDS)."
    if isinstance(error, ConnectionRefusedError):
        return "connection", f"{server} refuses connections; check the port, and that the server runs."
    if isinstance(error, OSError) and error.strerror:
        return "connection", f"The connection to {server} failed: {error.strerror}."
    return "connection", f"The connection to {server} was lost: {server_words(error)}."


def _certificate(error: ssl.SSLCertVerificationError, server: str, host: str) -> str:
    if error.verify_code == _EXPIRED:
        return f"The certificate of {server} has expired; its operator must replace it."
    if error.verify_code == _NOT_YET:
        return f"The certificate of {server} is not valid yet; check the clocks of both machines."
    if error.verify_code in (_HOST, _ADDRESS):
        return f"The certificate of {server} is for other names than {host}; use the name that it was issued for."
    reason = error.verify_message or str(error)
    return (
        f"The certificate of {server} is not trusted ({reason}); if the server has a certificate of an authority of"
        " your own, name its file with DMARCWORKS_MAILBOX_CA_FILE."
    )


def refusal(words: str, doing: str, server: str, default: str = "protocol") -> MailboxError:
    """The server's NO or BAD to a command: `doing` completes "could not …"."""
    match = _CODE.search(words)
    code = _CODES.get(match[1], default) if match else default
    if code == default == "protocol" and re.search(r"quota|mailbox.{0,20}full", words, re.IGNORECASE):
        code = "quota"
    hint = {
        "login": "check user name and password; some providers need a password made for this purpose, and IMAP enabled",
        "folder": "check the folder's name; it may have been renamed",
        "permission": "the user has no right to do that",
        "quota": "the mailbox is full; delete mail or raise its quota",
    }.get(code)
    text = f"{server} could not {doing}: {_shown(words)}"
    return MailboxError(code, f"{text}; {hint}." if hint else f"{text}.")


def server_words(error: BaseException) -> str:
    """The words of a library's error on one line."""
    return _shown(str(error) or type(error).__name__)


def _shown(text: str) -> str:
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean.strip().rstrip(".")[:_SHOWN] or "no reason was given"
