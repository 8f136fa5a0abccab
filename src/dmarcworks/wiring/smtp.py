"""The front door put together: settings and stores → what the worker sees, and the SMTP server before the router.

Apart from `app`, so that a process that only takes mail, and a command that delivers one, start without the web and
analytics libraries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import SettingsError
from dmarcworks.ingest.backpressure import FULL, Backpressure, never_full
from dmarcworks.process import failpoints
from dmarcworks.process.metrics import Metrics
from dmarcworks.reports.bounds import Bounds
from dmarcworks.routing.router import Router
from dmarcworks.routing.smtp import (
    Certificate,
    Listener,
    SmtpBounds,
    SmtpServer,
    parse_listeners,
    parse_networks,
)
from dmarcworks.routing.smtp.processes import Processes
from dmarcworks.settings import Settings
from dmarcworks.workers import runtime
from dmarcworks.workers.reading import Isolated, Reader


def inbox(settings: Settings, stores: Stores) -> Backpressure:
    """The inbox's bounds; only a store in a folder has a disk of ours."""
    folders = {
        name: Path(url[len(start) :])
        for name, url, start in (
            ("objects", settings.objects, "file://"),
            ("database", settings.database, "sqlite:///"),
        )
        if url.startswith(start)
    }
    return Backpressure(stores.queue, folders, items=settings.inbox_items, free_share=settings.inbox_free_share)


def reading_bounds(settings: Settings) -> Bounds:
    """What one mail may take to be read."""
    return Bounds(
        mail_bytes=settings.mail_bytes,
        inflated_bytes=settings.inflated_bytes,
        members=settings.members,
        nesting=settings.nesting,
        mime_depth=settings.mime_depth,
        header_bytes=settings.header_bytes,
        header_fields=settings.header_fields,
        header_parameters=settings.header_parameters,
        encoded_words=settings.encoded_words,
        xml_depth=settings.xml_depth,
        records=settings.records,
    )


def isolated_reader(settings: Settings, metrics: Metrics | None = None) -> Isolated:
    """What reads mails in processes of its own; whoever made it closes it."""
    return Isolated(
        reading_bounds(settings),
        settings.failure_originals,
        processes=settings.read_processes,
        cpu_seconds=settings.read_cpu_seconds,
        memory_bytes=settings.read_memory_bytes,
        killed=None if metrics is None else metrics.killed,
    )


def environment(
    settings: Settings,
    stores: Stores,
    analytics: Analytics,
    metrics: Metrics | None = None,
    prove: runtime.Prove | None = None,
    reader: Reader | None = None,
) -> runtime.Env:
    """What the worker sees; without a `reader` mails are read in threads of this process."""
    return runtime.Env(
        kv=stores.kv,
        objects=stores.objects,
        queue=stores.queue,
        analytics=analytics,
        arrivals=stores.arrivals,
        problems=stores.problems,
        bounds=reading_bounds(settings),
        now=lambda: datetime.fromtimestamp(failpoints.clock(), UTC),
        failure_originals=settings.failure_originals,
        metrics=metrics,
        prove=prove,
        full=inbox(settings, stores).full,
        isolated=reader,
        leases=stores.leases,
    )


def smtp_server(
    settings: Settings,
    router: Router,
    full: Callable[[], Awaitable[str]] = never_full,
    shown: Certificate | None = None,
) -> SmtpServer:
    """The SMTP and LMTP front door of one process, before the router; `full` says why no more mail is taken now.

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


def front(
    settings: Settings,
    router: Router,
    full: Callable[[], Awaitable[str]] = never_full,
    shown: Certificate | None = None,
    counters: Path | None = None,
) -> SmtpServer | Processes:
    """The front door: in this process, or in as many as the settings ask for, which count in `counters`."""
    if settings.smtp_processes == 1:
        return smtp_server(settings, router, full, shown)
    smtp_server(settings, router, full, shown)  # says here and now what is wrong with the settings
    told = settings.model_dump(mode="json")
    return Processes("dmarcworks.wiring.smtp_process", settings.smtp_processes, listeners(settings), told, counters)


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
