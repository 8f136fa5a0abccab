"""Connections are bounded in number and in silence, and a shutdown loses nothing that is on its way."""

from __future__ import annotations

import asyncio

import pytest

from dmarcworks.routing.smtp import SmtpServer
from tests.support.smtp_client import Client, Connect, SmtpBackend, Start
from tests.support.waiting import wait_until

MAIL = b"Subject: report\r\n\r\nHello\r\n"
OVER = "421 4.7.0 Too many connections, try again later"


async def refused(server: SmtpServer) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        client = Client(reader, writer)
        reply = await client.reply()
        assert await client.closed()
        return reply
    finally:
        writer.close()


@pytest.mark.parametrize("bound", ["connections", "connections_per_address"])
async def test_connections_over_the_bound_get_421(start: Start, connect: Connect, bound: str) -> None:
    """One too many hears 421 and is closed; when one leaves, the next is welcome."""
    server = await start(**{bound: 3})
    clients = [await connect(server) for _ in range(3)]
    assert await refused(server) == OVER
    assert await clients[0].say("QUIT") == "221 2.0.0 Bye"
    assert await clients[0].closed()
    await wait_until(lambda: len(server.connections) == 2, "one connection closed")
    assert (await (await connect(server)).say("EHLO mail.example")).startswith("250-")


@pytest.mark.parametrize("where", ["greeting", "command", "data"])
async def test_silence_ends_a_connection(start: Start, connect: Connect, backend: SmtpBackend, where: str) -> None:
    """Who says nothing for the idle time hears 421 4.4.2 and is closed, in the middle of DATA too."""
    client = await connect(await start(idle_seconds=1))
    if where == "command":
        await client.say("EHLO mail.example")
    elif where == "data":
        await client.up_to_data()
        await client.send(b"Subject: half\r\n")
    assert await client.reply() == "421 4.4.2 Idle for too long"
    assert await client.closed()
    assert backend.accepted == []


async def test_a_slow_but_steady_transfer_is_not_silence(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """A transfer that lasts longer than the idle time goes through while bytes keep coming."""
    client = await connect(await start(idle_seconds=1))
    await client.up_to_data()
    for _ in range(8):
        await client.send(b"line\r\n")
        await asyncio.sleep(0.3)  # the slow peer that this test is about: 2.4 seconds in all
    await client.send(b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert backend.accepted[0][2] == b"line\r\n" * 8


async def test_a_slow_store_is_not_the_clients_silence(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """While we keep the mail, the client waits rightly: no idle time runs."""
    backend.gate = asyncio.Event()
    client = await connect(await start(idle_seconds=1))
    await client.up_to_data()
    await client.send(MAIL + b".\r\n")
    await asyncio.sleep(2.5)  # the slow store that this test is about: more than twice the idle time
    backend.gate.set()
    assert await client.reply() == "250 2.0.0 Accepted"


async def test_stop_lets_a_transfer_finish_and_dismisses_the_idle(
    start: Start, connect: Connect, backend: SmtpBackend
) -> None:
    """On shutdown the idle hear 421 4.3.2 at once, a mail in transfer ends with its 250, and nobody new comes in."""
    server = await start()
    idle, sending = await connect(server), await connect(server)
    await idle.say("EHLO mail.example")
    await sending.up_to_data()
    await sending.send(b"Subject: late\r\n")
    stopping = asyncio.create_task(server.stop(grace=5))
    assert await idle.reply() == "421 4.3.2 Shutting down, try again later"
    assert await idle.closed()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", server.port)
    await sending.send(b"\r\nbody\r\n.\r\n")
    assert await sending.reply() == "250 2.0.0 Accepted"
    assert await sending.reply() == "421 4.3.2 Shutting down, try again later"
    assert await sending.closed()
    await asyncio.wait_for(stopping, 2)
    assert backend.accepted[0][2] == b"Subject: late\r\n\r\nbody\r\n"


async def test_stop_does_not_wait_for_ever(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """A transfer that does not end within the grace hears 421, not 250: its sender keeps it."""
    server = await start()
    client = await connect(server)
    await client.up_to_data()
    await client.send(b"Subject: never\r\n")
    await asyncio.wait_for(server.stop(grace=0.3), 2)
    assert await client.reply() == "421 4.3.2 Shutting down, try again later"
    assert await client.closed()
    assert backend.accepted == []
