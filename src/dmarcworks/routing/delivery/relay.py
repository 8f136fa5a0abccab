"""The next mail server: one mail to one recipient through the relay that the settings name.

`smtp://[user:password@]host[:port]` with `?starttls=auto|always|never`, or `smtps://…`. The relay's refusal of sender,
recipient or content is a `RefusedError` with its reply; a relay that cannot be reached, or that does not let us in, is
a `StoreError`: temporary, and none of the sender's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from dmarcworks.errors import RefusedError, SettingsError, StoreError
from dmarcworks.routing.smtp.grammar import mail_address

_REFUSALS = (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError)
_HOST = re.compile(r"[0-9A-Za-z_.-]{1,253}|[0-9A-Fa-f:.]{2,45}(?:%[0-9A-Za-z._-]+)?")
_BARE = re.compile(rb"\r\n|\r|\n")
_STARTTLS = {"auto": None, "always": True, "never": False}


@dataclass(frozen=True, slots=True)
class Relay:
    """Where mail leaves; `seconds` for each step of the conversation, `hostname` is what we call ourselves."""

    host: str
    port: int
    tls: bool
    starttls: bool | None
    user: str
    password: str
    hostname: str
    seconds: float = 20.0

    async def send(self, sender: str, recipient: str, raw: bytes) -> None:
        """Give the mail to the relay; it has it when this returns.

        With a password the conversation is encrypted before it is sent, unless the URL has `starttls=never`.
        """
        _proper(sender, recipient)
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls,
            # Left to itself the library would log in without TLS when the server offers none, or an attacker hid it.
            start_tls=True if self.starttls is None and self.password else self.starttls,
            username=self.user or None,
            password=self.password or None,
            local_hostname=self.hostname,
            timeout=self.seconds,
        )
        try:
            async with client:
                options = ["BODY=8BITMIME"] if client.supports_extension("8bitmime") else []
                await client.sendmail(sender, [recipient], whole_lines(raw), mail_options=options)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused(error.recipients[0]) from None
        except _REFUSALS as error:
            raise _refused(error) from None
        except aiosmtplib.SMTPException as error:
            hint = ""
            if self.password and self.starttls is None and "STARTTLS" in str(error).upper():
                hint = "; the password is not sent without TLS: use smtps://, or starttls=never on a trusted network"
            raise StoreError(f"relay {self.host}:{self.port}: {error or type(error).__name__}{hint}") from None
        except (TimeoutError, OSError, ValueError) as error:
            raise StoreError(f"relay {self.host}:{self.port}: {error or type(error).__name__}") from None


def whole_lines(raw: bytes) -> bytes:
    """The mail with CRLF for every bare CR and LF, which the next server might take for its end (smuggling).

    Done before a mail is signed; a mail that is as RFC 5321 wants it stays as it is.
    """
    return _BARE.sub(b"\r\n", raw)


def _proper(sender: str, recipient: str) -> None:
    """`RefusedError` for an envelope that no SMTP command can carry: now, not by a server of later."""
    for address, refusal in ((sender, "553 5.1.7 Bad sender address"), (recipient, "553 5.1.3 Bad recipient address")):
        if address and (mail_address(address) is None or not address.isascii()):
            raise RefusedError(refusal)


def parse_relay(url: str, hostname: str) -> Relay | None:
    """The relay that a URL names; None for ""; `SettingsError` names what is wrong, without the password."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        user, password = unquote(parts.username or "", errors="strict"), unquote(parts.password or "", errors="strict")
    except ValueError:  # the error's own words may hold a part of the password
        raise _wrong(
            "it is not a URL (an IPv6 address needs brackets, an @ or / in a password is %40 or %2F)"
        ) from None
    try:
        port = parts.port
    except ValueError:
        raise _wrong("its port is not a number from 1 to 65535 (a / in a password is %2F)") from None
    starttls = query.pop("starttls", ["auto"])[-1]
    if parts.scheme not in ("smtp", "smtps"):
        raise _wrong("it does not begin with smtp:// or smtps://")
    if not parts.hostname or not _HOST.fullmatch(parts.hostname):
        raise _wrong("it names no host")
    if port == 0:
        raise _wrong("its port is not a number from 1 to 65535")
    if query or starttls not in _STARTTLS or parts.path not in ("", "/") or parts.fragment:
        raise _wrong("only ?starttls=auto, always or never may follow the host")
    if bool(user) != bool(password):
        raise _wrong("user and password belong together")
    tls = parts.scheme == "smtps"
    return Relay(
        host=parts.hostname,
        port=port or (465 if tls else 25),
        tls=tls,
        starttls=False if tls else _STARTTLS[starttls],
        user=user,
        password=password,
        hostname=hostname,
    )


def _wrong(why: str) -> SettingsError:
    return SettingsError(
        f"DMARCWORKS_RELAY_URL: {why}; write smtp://[user:password@]host[:port][?starttls=auto|always|never] or smtps://…"
    )


def _refused(error: aiosmtplib.SMTPResponseException) -> RefusedError:
    words = " ".join(str(error.message).split())[:300]
    text = "".join(char if " " <= char <= "~" else "?" for char in words)
    code = error.code if 400 <= error.code <= 599 else 451
    return RefusedError(f"{code} {text or 'Refused by the next server'}")
