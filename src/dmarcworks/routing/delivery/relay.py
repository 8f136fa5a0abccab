"""The next mail server: one mail to one recipient through the relay that the settings name.

`smtp://[user:password@]host[:port]` with `?starttls=auto|always|never`, or `smtps://…`. What the relay says to sender,
recipient or content is a `RefusedError` with its reply; a relay that cannot be reached, or that does not let us in, is
a `StoreError`: temporary, and none of the sender's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from dmarcworks.errors import RefusedError, SettingsError, StoreError

_REFUSALS = (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError)
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
        """Give the mail to the relay; it has it when this returns."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.tls,
            start_tls=self.starttls,
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
        except (TimeoutError, aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise StoreError(f"relay {self.host}:{self.port}: {error or type(error).__name__}") from None


def whole_lines(raw: bytes) -> bytes:
    """The mail with CRLF for every bare CR and LF, which the next server might take for its end (smuggling).

    Done before a mail is signed; a mail that is as RFC 5321 wants it stays as it is.
    """
    return _BARE.sub(b"\r\n", raw)


def parse_relay(url: str, hostname: str) -> Relay | None:
    """The relay that a URL names; None for ""; `SettingsError` says what is wrong, without the password."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port, asked = parts.port, parse_qs(parts.query)
    except ValueError as error:
        raise SettingsError(f"DMARCWORKS_RELAY_URL is no URL: {error}") from None
    starttls = asked.pop("starttls", ["auto"])[-1]
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or asked or starttls not in _STARTTLS:
        raise SettingsError(
            "DMARCWORKS_RELAY_URL is smtp://[user:password@]host[:port][?starttls=auto|always|never] or smtps://…"
        )
    tls = parts.scheme == "smtps"
    return Relay(
        host=parts.hostname,
        port=port or (465 if tls else 25),
        tls=tls,
        starttls=False if tls else _STARTTLS[starttls],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        hostname=hostname,
    )


def _refused(error: aiosmtplib.SMTPResponseException) -> RefusedError:
    words = " ".join(str(error.message).split())[:300]
    text = "".join(char if " " <= char <= "~" else "?" for char in words)
    code = error.code if 400 <= error.code <= 599 else 451
    return RefusedError(f"{code} {text or 'Refused by the next server'}")
