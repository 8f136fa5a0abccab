"""Over a real socket: what works for a client is cancelled when the client leaves, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from fastapi import Request, Response

from dmarcworks.api import auth
from dmarcworks.api.disconnect import while_connected
from dmarcworks.api.graphql import router as graphql
from dmarcworks.api.http import HttpBounds, Web
from dmarcworks.catalogue.accounts import Token
from tests.support.http_deps import app_with
from tests.support.waiting import wait_until


class Endless:
    """A query service that answers when `go` is set; `began` and `ended` show what happened to each query."""

    def __init__(self) -> None:
        self.began, self.ended, self.go = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def query(self, *_: Any, **__: Any) -> Response:
        self.began.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended.set()
            raise
        return Response("answered")


@pytest_asyncio.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Web, Endless]]:
    service = Endless()

    async def token(*_: Any) -> Token:
        return Token("t", "a" * 32, "read", "", datetime.now(UTC), None)

    monkeypatch.setattr(auth, "token", token)
    app = app_with(graphql.routes, graphql=service)

    @app.post("/plain")
    async def plain(request: Request) -> Response:
        await request.body()
        return await while_connected(request, service.query())

    web = Web("127.0.0.1", 0, "x", HttpBounds())
    serving = asyncio.create_task(web.serve(app))
    yield web, service
    await web.stop()
    await asyncio.wait_for(serving, 10)


@pytest.mark.parametrize("path", ["/plain", graphql.PATH])
@pytest.mark.parametrize("ahead", [b"", b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n" * 100])
async def test_work_ends_when_its_client_leaves(running: tuple[Web, Endless], path: str, ahead: bytes) -> None:
    """Also when it has sent further requests ahead, on which nobody has worked yet."""
    web, service = running
    reader, writer = await asyncio.open_connection("127.0.0.1", int(web.url.rpartition(":")[2]))
    body = json.dumps({"query": "{ x }"}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    writer.write(head + body + ahead)
    await service.began.wait()
    assert not service.ended.is_set()
    writer.close()
    await asyncio.wait_for(service.ended.wait(), 10)
    await wait_until(lambda: not web.connections, "every connection closed")
    assert await reader.read() == b""


async def test_who_sends_too_much_ahead_is_cut_off(running: tuple[Web, Endless]) -> None:
    """More than 64 KiB: neither kept in memory nor left unread, where its leaving would not be noticed."""
    web, service = running
    reader, writer = await asyncio.open_connection("127.0.0.1", int(web.url.rpartition(":")[2]))
    writer.write(b"POST /plain HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    await service.began.wait()
    writer.write(b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n" * 3000)
    async with asyncio.timeout(10):
        await service.ended.wait()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""


@pytest.mark.parametrize("path", ["/plain", graphql.PATH])
async def test_work_goes_on_while_its_client_waits(running: tuple[Web, Endless], path: str) -> None:
    web, service = running
    reader, writer = await asyncio.open_connection("127.0.0.1", int(web.url.rpartition(":")[2]))
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    await service.began.wait()
    service.go.set()
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    assert not service.ended.is_set()
    writer.close()
