"""The HTTP server's run: it leaves signals alone, ends with `stop`, and does not outlive what accepts connections."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from dmarcworks.api.http import HttpBounds, Web
from dmarcworks.api.http.listener import HttpListener


@pytest.fixture
def web() -> Web:
    return Web("127.0.0.1", 0, "x", HttpBounds())


async def test_signals_stay_those_of_the_process(web: Web) -> None:
    """uvicorn would install handlers of its own and end the process with the signal instead of status 0."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    serving = asyncio.create_task(web.serve(PlainTextResponse("fine")))
    async with httpx.AsyncClient() as client:
        assert (await client.get(web.url)).text == "fine"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    await web.stop()
    await asyncio.wait_for(serving, 10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(web.url)


async def test_a_request_in_progress_is_answered_before_the_end(web: Web) -> None:
    """`stop` while a handler works: the answer still arrives, then `serve` returns."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(scope: object, receive: object, send: object) -> None:
        begun.set()
        await go.wait()
        await PlainTextResponse("late")(scope, receive, send)  # type: ignore[arg-type]

    serving = asyncio.create_task(web.serve(slow))
    async with httpx.AsyncClient() as client:
        answer = asyncio.create_task(client.get(web.url))
        await begun.wait()
        await web.stop()
        go.set()
        assert (await asyncio.wait_for(answer, 10)).text == "late"
    await asyncio.wait_for(serving, 10)


async def test_serving_fails_when_accepting_does(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts nothing any more must not look as if it ran."""

    async def broken(self: HttpListener, listener: object, make: object) -> None:
        raise RuntimeError("accepting broke")

    monkeypatch.setattr(HttpListener, "_accept", broken)
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(web.serve(PlainTextResponse("fine")), 10)
    assert raised.value.subgroup(RuntimeError) is not None


async def exchange(web: Web, request: bytes) -> bytes:
    """Everything that comes back until the server closes the connection."""
    host, _, port = web.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (b"Content-Length: 4\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", b"0\r\n\r\n"),
        (b"Transfer-Encoding: CHUNKED\r\nContent-Length: 0", b"1\r\na\r\n0\r\n\r\n"),
        (b"Transfer-Encoding : chunked\r\nContent-Length: 4", b"abcd"),
        (b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 4", b"abcd"),
        (b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"0\r\n\r\n"),
        (b"Content-Length: 4\r\nContent-Length: 5", b"abcd"),
        (b"Content-Length: +4", b"abcd"),
        (b"Content-Length: " + b"9" * 5000, b"abcd"),
        (b"Transfer-Encoding: chunked", b"f" * 30 + b"\r\n"),
    ],
)
async def test_a_request_whose_end_is_in_doubt_ends_the_connection(web: Web, fields: bytes, body: bytes) -> None:
    """What follows it may be another client's, through a proxy that reads the end elsewhere (RFC 9112 §6.1)."""
    paths: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await PlainTextResponse("fine")(scope, receive, send)

    serving = asyncio.create_task(web.serve(app))
    answer = await exchange(web, b"POST /first HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n\r\n" + body + SMUGGLED)
    await web.stop()
    await asyncio.wait_for(serving, 10)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert (answer.count(b"HTTP/1.1 "), "/smuggled" in paths) == (1, False)
