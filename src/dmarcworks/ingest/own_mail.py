"""Mail that we write ourselves (a verification link, a wrapped report file, the demo's reports), by `email.message`.

The library encodes, quotes and folds (RFC 2047, 2231, 5322). Text from strangers never adds a line, a field or the end
of the header: what could is replaced here, before the library would refuse it. Forwarded mail is not made here: it
keeps its bytes (`header_fields.py`). Pure.
"""

from __future__ import annotations

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

__all__ = ["Address", "EmailMessage", "new_mail", "one_line"]

_LONGEST_ADDRESS, _LONGEST_LINE = 320, 900
# What has a meaning of its own in an address (RFC 5322 §3.2.3), but for the @.
_SPECIALS = frozenset('()<>[]:;,\\"')


def new_mail(sender: Address | None, to: str, subject: str, date: datetime) -> EmailMessage:
    """A mail without content, its lines ended by CRLF; without a sender it comes from `<>`."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = "<>" if sender is None else sender
    # An address in brackets that is none, and what is in it stays one word.
    mail["To"] = f"<{_address(to)}>"
    mail["Subject"] = one_line(subject)
    mail["Date"] = date
    mail["MIME-Version"] = "1.0"
    return mail


def one_line(text: str) -> str:
    """The text on one line of at most 900 characters: control characters, line breaks and lone surrogates replaced."""
    clean = "".join(char if char.isprintable() else _instead(char) for char in text)
    return " ".join(clean.split())[:_LONGEST_LINE]


def _address(text: str) -> str:
    kept = (char for char in text if "!" <= char <= "~" and char not in _SPECIALS)
    return "".join(kept)[:_LONGEST_ADDRESS]


def _instead(char: str) -> str:
    return "\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else " "
