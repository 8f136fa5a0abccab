"""The mail with the link that verifies a destination of forwarded mail."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

from dmarcworks.catalogue.destinations import Destination
from dmarcworks.ingest.header_fields import header
from dmarcworks.routing.router import Router

__all__ = ["link_sender"]


def link_sender(router: Router | None, public_url: str) -> Callable[[Destination, str], Awaitable[None]] | None:
    """What mails a destination's link; None when no mail can leave."""
    if router is None or router.way is None:
        return None
    way, hostname = router.way, router.hostname

    async def send(destination: Destination, secret: str) -> None:
        head = header(
            [
                ("From", f"dmarcworks <postmaster@{hostname}>"),
                ("To", f"<{destination.email}>"),
                ("Subject", "May mail be forwarded to you?"),
                ("Date", format_datetime(datetime.now(UTC))),
                ("Message-ID", f"<{secrets.token_hex(16)}@{hostname}>"),
                ("Auto-Submitted", "auto-generated"),
                ("MIME-Version", "1.0"),
                ("Content-Type", "text/plain; charset=utf-8"),
            ]
        )
        text = (
            f"Somebody who runs a domain at {hostname} wants to forward its mail to {destination.email}.\r\n"
            f"If that is what you want, open this page within a day and press the button:\r\n\r\n"
            f"  {public_url}/routing/verify/{secret}\r\n\r\nIf not, do nothing: no mail is forwarded then.\r\n"
        )
        await way.send(destination.account_id, destination.email, head + b"\r\n" + text.encode("utf-8", "replace"))

    return send
