"""What `POST /cdn-cgi/handler/email` needs of the mail router, as callables: the API imports nothing that receives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dmarcworks.catalogue.accounts import Token

__all__ = ["InjectionResult", "MailInjection"]


class InjectionResult(Protocol):
    """The outcome of an injected mail: the whole SMTP reply, the reason when it is not 250, and the mail sent."""

    @property
    def reply(self) -> str:
        """The whole SMTP reply."""

    @property
    def error(self) -> str:
        """The reason of a refusal; empty for 250."""

    @property
    def sent(self) -> Sequence[Any]:
        """The mail that was sent, as `workers.message.Sent`."""


@dataclass(frozen=True, slots=True)
class MailInjection:
    """`inject` routes a mail: sender, recipient, raw bytes and the client's address → the outcome.

    `owns` decides whether a token may inject mail for an address. `parse_address` returns an envelope address by the
    grammar of SMTP, empty for <>, and None for a text that is not an address.
    """

    inject: Callable[[str, str, bytes, str], Awaitable[InjectionResult]]
    owns: Callable[[Token, str], Awaitable[bool]]
    parse_address: Callable[[str], str | None]
