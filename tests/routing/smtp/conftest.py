"""The real SMTP server on a free port, and a client that says exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
import uvloop

from dmarcworks.routing.smtp import Certificate, Listener, SmtpServer
from tests.support.smtp_client import BOUNDS, Client, Connect, SmtpBackend, Start


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[..., object]]:
    """The loop that the server runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def backend() -> SmtpBackend:
    return SmtpBackend()


@pytest.fixture
async def start(backend: SmtpBackend) -> AsyncIterator[Start]:
    servers: list[SmtpServer] = []

    async def start(
        *listeners: Listener, certificate: Certificate | None = None, proxies: Sequence[str] = (), **bounds: float
    ) -> SmtpServer:
        server = SmtpServer(
            listeners=listeners or [Listener("127.0.0.1")],
            certificate=certificate,
            proxies=[ipaddress.ip_network(network) for network in proxies],
            hostname="reports.example.net",
            bounds=dataclasses.replace(BOUNDS, **bounds),
            recipient=backend.recipient,
            deliver=backend.deliver,
        )
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop(grace=0.1)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    writers: list[asyncio.StreamWriter] = []

    async def connect(server: SmtpServer) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writers.append(writer)
        client = Client(reader, writer)
        assert (await client.reply()) == "220 reports.example.net ESMTP"
        return client

    yield connect
    for writer in writers:
        writer.close()
