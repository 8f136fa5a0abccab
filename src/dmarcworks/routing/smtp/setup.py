"""The SMTP and LMTP server put together from the settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from dmarcworks.errors import SettingsError
from dmarcworks.ingest.backpressure import FULL, never_full
from dmarcworks.routing.router import Router
from dmarcworks.routing.smtp.listeners import Listener, parse_listeners, parse_networks
from dmarcworks.routing.smtp.server import SmtpServer
from dmarcworks.routing.smtp.session import SmtpBounds
from dmarcworks.routing.smtp.tls import Certificate
from dmarcworks.settings import Settings

__all__ = ["certificate", "listeners", "smtp_server"]


def smtp_server(
    settings: Settings,
    router: Router,
    full: Callable[[], Awaitable[str]] = never_full,
    shown: Certificate | None = None,
) -> SmtpServer:
    """The SMTP and LMTP server of one process, in front of the router; `full` returns why no more mail is accepted.

    `shown` is the settings' certificate when the caller has it already.
    """

    async def recipient(address: str) -> str | None:
        return await router.recipient(address) or (FULL if await full() else None)

    return SmtpServer(
        listeners=listeners(settings),
        hostname=settings.hostname,
        bounds=SmtpBounds(
            mail_bytes=settings.mail_bytes,
            connections=settings.smtp_connections,
            connections_per_address=settings.smtp_connections_per_address,
            recipients=settings.smtp_recipients,
            idle_seconds=settings.smtp_idle_seconds,
            line_bytes=settings.smtp_line_bytes,
            transfer_seconds=settings.smtp_transfer_seconds,
            transfer_bytes=settings.smtp_transfer_bytes,
            errors=settings.smtp_errors,
            connections_per_minute=settings.smtp_connections_per_minute,
            mails_per_minute=settings.smtp_mails_per_minute,
        ),
        recipient=recipient,
        deliver=router.deliver,
        certificate=shown or certificate(settings),
        proxies=parse_networks(settings.smtp_proxy_networks, "DMARCWORKS_SMTP_PROXY_NETWORKS"),
    )


def listeners(settings: Settings) -> list[Listener]:
    """Where mail comes in: the list, or the one address of the simple form."""
    return parse_listeners(settings.smtp_listen) or [Listener(settings.smtp_host, settings.smtp_port)]


def certificate(settings: Settings) -> Certificate | None:
    """What STARTTLS shows, or None when no files are named."""
    cert, key = settings.smtp_tls_cert, settings.smtp_tls_key
    if not cert and not key:
        return None
    if not cert or not key:
        raise SettingsError("DMARCWORKS_SMTP_TLS_CERT and DMARCWORKS_SMTP_TLS_KEY belong together: one is missing")
    return Certificate(Path(cert), Path(key))
