"""`SmtpServer.run`: watches the listeners until `stop`."""

from __future__ import annotations

import asyncio

import pytest

from dmarcworks.routing.smtp import Listener, SmtpServer
from tests.support.smtp_client import Start

PROXY = Listener("127.0.0.1", proxy=True)


async def test_run_returns_with_stop(start: Start) -> None:
    """Also where a listener has an accept loop of its own, which `stop` cancels."""
    server = await start(PROXY, proxies=["127.0.0.1/32"])
    running = asyncio.create_task(server.run())
    await asyncio.sleep(0)
    await server.stop(0.1)
    await asyncio.wait_for(running, 10)


async def test_run_raises_what_ended_a_listener(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener that accepts nothing any more must not go unnoticed."""

    async def broken(self: SmtpServer, bound: object) -> None:
        raise RuntimeError("accepting broke")

    monkeypatch.setattr(SmtpServer, "_accept", broken)
    server = await start(PROXY, proxies=["127.0.0.1/32"])
    with pytest.raises(RuntimeError, match="accepting broke"):
        await asyncio.wait_for(server.run(), 10)
