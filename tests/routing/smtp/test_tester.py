"""A conversation in a tester's style gets the right codes and leaves the server well for the next, honest client."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from dmarcworks.routing.smtp import SmtpServer
from tests.support.smtp_client import RUA, Client, Connect, SmtpBackend, Start
from tests.support.waiting import wait_until

MAIL = b"Subject: report\r\n\r\nHello\r\n"
FROM = "MAIL FROM:<a@mail.example>"
TO = f"RCPT TO:<{RUA}>"


async def honest(server: SmtpServer, connect: Connect, backend: SmtpBackend) -> None:
    """An ordinary client is served."""
    before = len(backend.accepted)
    client = await connect(server)
    await client.up_to_data()
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert await client.say("QUIT") == "221 2.0.0 Bye"
    assert len(backend.accepted) == before + 1


async def test_every_order_but_the_right_one_is_refused(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Each command at the wrong time is 503, wrongly written 501, unknown 500; the right order works afterwards."""
    server = await start()
    client = await connect(server)
    said = [
        (TO, "503 5.5.1 MAIL comes first"),
        ("DATA", "503 5.5.1 MAIL comes first"),
        (FROM, "503 5.5.1 HELO or EHLO comes first"),
        ("EHLO", "501 5.5.4 Syntax: EHLO name"),
        ("HELO mail.example", "250 reports.example.net"),
        ("DATA", "503 5.5.1 MAIL comes first"),
        ("MAIL", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        ("MAIL FROM:", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        ("MAIL TO:<a@mail.example>", "501 5.5.4 Syntax: MAIL FROM:<address>"),
        ("MAIL FROM:<a b@mail.example>", "553 5.1.7 Malformed sender address"),
        (f"{FROM} SIZE=abc", "501 5.5.4 SIZE is a number of bytes"),
        (f"{FROM} SIZE={'9' * 30}", "552 5.3.4 Message larger than 26214400 bytes"),
        (f"{FROM} BODY=BINARYMIME", "501 5.5.4 BODY is 7BIT or 8BITMIME"),
        (f"{FROM} RET=HDRS", "555 5.5.4 Parameter of MAIL not known"),
        (FROM, "250 2.1.0 OK"),
        (FROM, "503 5.5.1 MAIL was given already"),
        ("DATA", "503 5.5.1 RCPT comes first"),
        ("RCPT TO:<>", "553 5.1.3 Malformed recipient address"),
        ("RCPT TO:<a@b@c>", "553 5.1.3 Malformed recipient address"),
        (f"{TO} NOTIFY=NEVER", "555 5.5.4 Parameter of RCPT not known"),
        (TO, "250 2.1.5 OK"),
        ("DATA now", "501 5.5.4 This command takes no argument"),
        ("RSET now", "501 5.5.4 This command takes no argument"),
        ("RSET", "250 2.0.0 OK"),
        ("DATA", "503 5.5.1 MAIL comes first"),
        ("", "500 5.5.2 Bad syntax"),
        ("TURN", "500 5.5.1 Command not recognised"),
        ("AUTH LOGIN", "500 5.5.1 Command not recognised"),
        ("BDAT 10 LAST", "500 5.5.1 Command not recognised"),
        ("\x00\xff", "500 5.5.1 Command not recognised"),
        ("NOOP anything", "250 2.0.0 OK"),
        ("EXPN list", "502 5.5.1 EXPN is not offered"),
        ("HELP", "214 2.0.0 This host takes DMARC and TLS reports"),
    ]
    assert [(line, await client.say(line)) for line, _ in said] == said
    await client.up_to_data()
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    await honest(server, connect, backend)


async def test_early_talk_is_answered_in_order(start: Start, backend: SmtpBackend) -> None:
    """A client that says everything before the banner gets every reply, in order, and its one mail taken once."""
    server = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"EHLO x\r\n{FROM}\r\n{TO}\r\nDATA\r\n".encode() + MAIL + b".\r\nQUIT\r\n")
    writer.write_eof()
    client = Client(reader, writer)
    replies = [(await client.reply())[:3] for _ in range(7)]
    assert replies == ["220", "250", "250", "250", "354", "250", "221"]
    assert await client.closed()
    assert [raw for _, _, raw, _ in backend.accepted] == [MAIL]


@pytest.mark.parametrize("size", [513, 1001, 2_000, 100_000, 5_000_000])
async def test_long_lines(start: Start, connect: Connect, backend: SmtpBackend, size: int) -> None:
    """A command of any length is one 500, a header of any length stays text; the conversation goes on."""
    server = await start()
    client = await connect(server)
    await client.send(b"EHLO " + b"x" * size + b"\r\n")
    assert await client.reply() == "500 5.5.2 Command line too long"
    await client.send(b"x" * size + b"\r\n")
    assert (await client.reply())[:3] == "500"
    assert await client.say("NOOP") == "250 2.0.0 OK"
    await honest(server, connect, backend)


@pytest.mark.parametrize("where", ["banner", "ehlo", "mail", "rcpt", "data", "half"])
async def test_no_quit(start: Start, connect: Connect, backend: SmtpBackend, where: str) -> None:
    """A client that just goes, at whatever point, leaves nothing behind: no mail, no connection that counts."""
    server = await start()
    client = await connect(server)
    for name, line in (("ehlo", "EHLO x"), ("mail", FROM), ("rcpt", TO), ("data", "DATA")):
        if where == "banner":
            break
        await client.say(line)
        if where == name:
            break
    if where == "half":
        await client.send(b"Subject: half of a")
    client.writer.close()
    await wait_until(lambda: not server.connections, "every connection closed")
    assert (server.limits.total, server.transfer, backend.accepted) == (0, 0, [])
    await honest(server, connect, backend)


async def test_a_reset_in_the_middle_of_a_mail(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """A connection that is reset (not closed) half way through a large mail costs nothing either."""
    server = await start()
    client = await connect(server)
    await client.up_to_data()
    await client.send(b"x" * 998 + b"\r\n")
    client.writer.transport.abort()
    await wait_until(lambda: not server.connections, "every connection closed")
    assert (server.transfer, backend.accepted) == (0, [])
    await honest(server, connect, backend)


async def test_ten_thousand_recipients(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """The first hundred are taken, the rest hear 452 at once; the mail then comes to the hundred."""
    backend.addresses = {f"{number:032x}@reports.example.net" for number in range(10_000)}
    server = await start()
    client = await connect(server)
    await client.say("EHLO mail.example")
    await client.say(FROM)

    async def ask() -> None:
        for address in sorted(backend.addresses):
            await client.send(f"RCPT TO:<{address}>\r\n")

    asking = asyncio.create_task(ask())
    replies = [await client.reply() for _ in range(10_000)]
    await asking
    assert replies == ["250 2.1.5 OK"] * 100 + ["452 4.5.3 More than 100 recipients"] * 9_900
    assert (await client.say("DATA"))[:3] == "354"
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert len({to for _, to, _, _ in backend.accepted}) == 100
    backend.addresses.add(RUA)
    await honest(server, connect, backend)


async def test_ten_thousand_unknown_recipients(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Guessing ends with 421 after a hundred refusals, without a delay for anybody."""
    server = await start()
    client = await connect(server)
    await client.say("EHLO mail.example")
    await client.say(FROM)

    async def guess() -> None:
        for number in range(10_000):
            await client.send(f"RCPT TO:<guess{number}@reports.example.net>\r\n")
            await asyncio.sleep(0)

    asking = asyncio.create_task(guess())
    replies = [await client.reply() for _ in range(100)]
    assert replies == ["550 5.1.1 No such recipient here"] * 99 + ["421 4.7.0 Too many commands that lead to no mail"]
    await asyncio.gather(asking, return_exceptions=True)
    await honest(server, connect, backend)


async def test_who_does_not_read_is_not_written_to_without_end(start: Start, connect: Connect) -> None:
    """Commands without end whose replies nobody reads fill no memory: the server stops reading until they are read."""
    server = await start(errors=10_000_000, idle_seconds=1)
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    sent = 0
    with contextlib.suppress(TimeoutError, ConnectionError):
        for _ in range(2000):
            writer.write(b"HELP\r\n" * 10_000)
            sent += 60_000
            await asyncio.wait_for(writer.drain(), 3)
    assert sent < 60_000_000
    writer.close()
    await wait_until(lambda: not server.connections, "every connection closed")
