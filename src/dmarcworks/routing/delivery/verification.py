"""The mail with the link that verifies a destination of forwarded mail."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from dmarcworks.catalogue.destinations import Destination
from dmarcworks.ingest.own_mail import Address, new_mail, one_line
from dmarcworks.routing.router import Router

__all__ = ["link_sender"]


def link_sender(router: Router | None, public_url: str) -> Callable[[Destination, str], Awaitable[None]] | None:
    """What mails a destination's link; None when no mail can leave."""
    if router is None or router.outgoing_mail is None:
        return None
    outgoing_mail, hostname = router.outgoing_mail, router.hostname

    async def send(destination: Destination, secret: str) -> None:
        mail = new_mail(
            Address("dmarcworks", "postmaster", hostname),
            destination.email,
            "May mail be forwarded to you?",
            datetime.now(UTC),
        )
        mail["Message-ID"] = f"<{secrets.token_hex(16)}@{hostname}>"
        mail["Auto-Submitted"] = "auto-generated"
        email = one_line(destination.email)
        text = (
            f"Somebody who runs a domain at {hostname} wants to forward its mail to {email}.\n"
            f"If that is what you want, open this page within a day and press the button:\n\n"
            f"  {public_url}/routing/verify/{secret}\n\nIf not, do nothing: no mail is forwarded then.\n"
        )
        # Not quoted-printable, which would break the link over two lines.
        mail.set_content(text, cte="7bit" if text.isascii() else "8bit")
        await outgoing_mail.send(destination.account_id, destination.email, mail.as_bytes())

    return send
