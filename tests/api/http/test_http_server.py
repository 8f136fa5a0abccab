"""The HTTP server's run: it leaves signals alone, ends with `stop`, and does not outlive what accepts connections."""

from __future__ import annotations

import asyncio
import signal

import httpx
import pytest
from starlette.responses import PlainTextResponse

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
