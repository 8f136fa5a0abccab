"""Connections are counted in all and per address; this machine's own are let in while strangers hold all others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from dmarcworks.api.http import Admission, HttpBounds, Web
from dmarcworks.api.http.admission import is_loopback
from dmarcworks.errors import SettingsError
from dmarcworks.process.descriptors import LEAST, shared
from tests.support.waiting import wait_until

STRANGER = "127.0.0.2"


@pytest_asyncio.fixture
async def web() -> AsyncIterator[Web]:
    """A server of 8 connections, 3 per address, at which every address but 127.0.0.1 is a stranger's."""
    admission = Admission(8, 3, exempt=lambda address: address == "127.0.0.1")
    running = Web("127.0.0.1", 0, "x", HttpBounds(connections=8), admission=admission)
    serving = asyncio.create_task(running.serve(PlainTextResponse("fine")))
    yield running
    await running.stop()
    await asyncio.wait_for(serving, 10)


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(web: Web, source: str = STRANGER) -> Ends:
    port = int(web.url.rpartition(":")[2])
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))


async def ask(ends: Ends) -> bytes:
    """A request on the connection, and the answer's first line, "" when it was closed."""
    ends[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    return await ends[0].readline()


async def test_an_address_has_a_share_of_its_own(web: Web) -> None:
    held = [await connect(web) for _ in range(3)]
    assert [await ask(ends) for ends in held] == [b"HTTP/1.1 200 OK\r\n"] * 3
    refused = await connect(web)
    answer = await refused[0].read()
    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nretry-after: 5\r\nconnection: close\r\n" in answer
    assert await ask(await connect(web, "127.0.0.3")) == b"HTTP/1.1 200 OK\r\n"
    held[0][1].close()
    await wait_until(lambda: web.connections <= 3, "the closed connection forgotten")
    assert await ask(await connect(web)) == b"HTTP/1.1 200 OK\r\n"


async def test_this_machine_is_let_in_while_strangers_hold_all_they_may(web: Web) -> None:
    """Two of eight are kept; those that this machine has count to the total all the same."""
    strangers = [await connect(web, f"127.0.0.{last}") for last in (2, 2, 3, 3, 4, 4)]
    refused = await connect(web, "127.0.0.5")
    assert (await refused[0].readline()) == b"HTTP/1.1 503 Service Unavailable\r\n"
    own = [await connect(web, "127.0.0.1") for _ in range(2)]
    assert [await ask(ends) for ends in own] == [b"HTTP/1.1 200 OK\r\n"] * 2
    assert web.connections == 8
    over = await connect(web, "127.0.0.1")
    assert (await over[0].readline()) == b"HTTP/1.1 503 Service Unavailable\r\n"
    assert [await ask(ends) for ends in strangers] == [b"HTTP/1.1 200 OK\r\n"] * 6


async def test_who_is_idle_makes_way_for_another(web: Web) -> None:
    """A second later the one that is idle longest is closed for a newcomer."""
    idle = [await connect(web, f"127.0.0.{last}") for last in (2, 2, 3, 3, 4, 4)]
    first = asyncio.create_task(idle[0][0].read())

    async def admitted() -> bool:
        ends = await connect(web, "127.0.0.5")
        if (await ask(ends)).startswith(b"HTTP/1.1 200"):
            return True
        ends[1].close()
        return False

    await wait_until(admitted, "a newcomer admitted")
    assert await first == b""
    assert web.connections <= 8


async def test_a_client_that_does_not_wait_for_its_answer_is_forgotten(web: Web) -> None:
    """Connections that are reset at once, a hundred of them: none is counted in the end."""
    port = int(web.url.rpartition(":")[2])

    def reset() -> None:
        for _ in range(100):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    await asyncio.to_thread(reset)

    # Those in the backlog may still be counted for a moment.
    async def admitted() -> Ends | None:
        ends = await connect(web)
        return ends if await ask(ends) == b"HTTP/1.1 200 OK\r\n" else None

    ends = await wait_until(admitted, "a newcomer admitted")
    await wait_until(lambda: web.connections <= 1, "every reset connection forgotten")
    ends[1].close()


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["127.0.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"]))))
def test_the_count_never_passes_its_bounds(steps: list[tuple[bool, str]]) -> None:
    admission, inside = Admission(8, 3), list[str]()
    for comes, address in steps:
        if comes and admission.enter(address) is None:
            inside.append(address)
        elif not comes and address in inside:
            inside.remove(address)
            admission.leave(address)
        assert admission.total == len(inside) <= 8
        assert len([one for one in inside if not is_loopback(one)]) <= 6
        assert all(inside.count(one) <= 3 for one in inside if not is_loopback(one))


@pytest.mark.parametrize(
    ("limit", "smtp", "http", "found"),
    [
        (1 << 20, 1000, 512, (1024, 1000, 512)),
        (4096, 1000, 512, (1024, 1000, 512)),
        (2048, 1000, 512, (1024, 992, 32)),
        (1024, 1000, 512, (512, 480, 32)),
        (1024, 100, 512, (512, 100, 412)),
        (512, 1000, 512, (256, 224, 32)),
        (LEAST, 1000, 512, (256, 32, 32)),
        (1024, 0, 512, (512, 0, 512)),
        (1024, 1000, 0, (512, 512, 0)),
    ],
)
def test_descriptors_are_shared_out(limit: int, smtp: int, http: int, found: tuple[int, int, int]) -> None:
    shares = shared(limit, smtp, http)
    assert (shares.reserve, shares.smtp, shares.http) == found
    assert shares.reserve + shares.smtp + shares.http <= limit


def test_too_few_descriptors_are_a_sentence() -> None:
    with pytest.raises(SettingsError, match=f"may open only {LEAST - 1} files, and {LEAST} are the least"):
        shared(LEAST - 1, 1000, 512)
