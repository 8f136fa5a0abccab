"""One address cannot take what belongs to all: connections, rates, errors and memory are bounded, each by its code."""

from __future__ import annotations

import asyncio

import pytest

from dmarcworks.errors import SettingsError
from dmarcworks.routing.smtp import Listener, parse_listeners, parse_networks
from dmarcworks.routing.smtp.limits import group_of, plain_address
from tests.support.smtp_client import RUA, Client, Connect, SmtpBackend, Start

MAIL = b"Subject: report\r\n\r\nHello\r\n"


async def test_new_connections_a_minute(start: Start, connect: Connect) -> None:
    """One more than the rate allows hears 421 4.7.0, even when the others have left."""
    server = await start(connections_per_minute=3)
    for _ in range(3):
        assert (await (await connect(server)).say("QUIT"))[:3] == "221"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    assert await Client(reader, writer).reply() == "421 4.7.0 Too many connections in a minute, try again later"
    writer.close()


async def test_mails_a_minute(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """The mail over the rate hears 450 4.7.1 at MAIL, on a new connection too; what was taken stays taken."""
    server = await start(mails_per_minute=2)
    client = await connect(server)
    for _ in range(2):
        await client.up_to_data()
        await client.send(MAIL + b".\r\n")
        assert await client.reply() == "250 2.0.0 Accepted"
    for visitor in (client, await connect(server)):
        await visitor.say("EHLO mail.example")
        assert await visitor.say("MAIL FROM:<a@mail.example>") == (
            "450 4.7.1 Too many mails in a minute, try again later"
        )
    assert len(backend.accepted) == 2


@pytest.mark.parametrize(
    ("address", "plain", "group"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::1", "fe80::"),
        ("not an address", "", ""),
    ],
)
def test_what_an_address_counts_as(address: str, plain: str, group: str) -> None:
    """IPv6 by its /64, IPv4 inside IPv6 as IPv4."""
    assert plain_address(address) == plain
    assert group_of(plain) == group


async def test_commands_that_lead_nowhere_end_the_connection(start: Start, connect: Connect) -> None:
    """Who guesses addresses hears 421 4.7.0 after the bound, at once and without any delay."""
    client = await connect(await start(errors=20))
    await client.say("EHLO mail.example")
    await client.say("MAIL FROM:<a@mail.example>")
    replies = [await client.say(f"RCPT TO:<guess{number}@reports.example.net>") for number in range(20)]
    assert replies == ["550 5.1.1 No such recipient here"] * 19 + ["421 4.7.0 Too many commands that lead to no mail"]
    assert await client.closed()


async def test_a_mail_makes_up_for_errors(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """A long-lived connection that does send mail is not cut off for a few refusals in between."""
    client = await connect(await start(errors=10))
    for _ in range(10):
        assert await client.say("RSET") == "250 2.0.0 OK"
        await client.up_to_data()
        await client.send(MAIL + b".\r\n")
        assert await client.reply() == "250 2.0.0 Accepted"
    assert len(backend.accepted) == 10


async def test_mails_in_transfer_share_a_bound(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """When all mails on their way in would take too much memory, the one that grows hears 452, the others come in."""
    server = await start(transfer_bytes=1_100_000)
    small, large = await connect(server), await connect(server)
    await small.up_to_data()
    await small.send(MAIL)
    await large.up_to_data()
    await large.send((b"x" * 98 + b"\r\n") * 20_000 + b".\r\n")
    assert await large.reply() == "452 4.3.1 Too much mail in transfer, try again later"
    await small.send(b".\r\n")
    assert await small.reply() == "250 2.0.0 Accepted"
    assert [raw for _, _, raw, _ in backend.accepted] == [MAIL]
    assert server.transfer == 0


async def test_a_transfer_has_its_time(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """A mail that comes steadily but without end is ended by 421 4.4.2."""
    client = await connect(await start(transfer_seconds=1.0))
    await client.up_to_data()
    for _ in range(40):
        await client.send(b"x\r\n")
        await asyncio.sleep(0.05)  # the slow peer that this test is about
        if client.reader._buffer:  # type: ignore[attr-defined]
            break
    assert await client.reply() == "421 4.4.2 The transfer takes too long"
    assert backend.accepted == []


async def test_dripping_a_command_is_silence(start: Start, connect: Connect) -> None:
    """A byte now and then is no sign of life until a whole command is there."""
    client = await connect(await start(idle_seconds=1))
    for byte in b"EHLO mail.example" * 4:
        await client.send(bytes([byte]))
        await asyncio.sleep(0.05)  # the slow peer that this test is about
        if client.reader._buffer:  # type: ignore[attr-defined]
            break
    assert await client.reply() == "421 4.4.2 Idle for too long"


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT mail.example:25 HTTP/1.1"])
async def test_a_web_client_is_sent_away(
    start: Start, connect: Connect, backend: SmtpBackend, request_line: str
) -> None:
    """A browser that somebody lured here cannot send mail in a request's body."""
    client = await connect(await start())
    body = f"EHLO x\r\nMAIL FROM:<a@mail.example>\r\nRCPT TO:<{RUA}>\r\nDATA\r\nforged\r\n.\r\n"
    await client.send(f"{request_line}\r\nHost: x\r\n\r\n{body}")
    assert await client.reply() == "421 4.7.0 This is a mail server"
    assert backend.accepted == []


def test_a_list_of_listeners() -> None:
    """IPv4, IPv6, names, options in any order, and Unix sockets."""
    assert parse_listeners(
        "0.0.0.0:25, [::]:25  mail.example:465/tls 127.0.0.1:24/lmtp,[::1]:0/proxy/tls unix:/run/d.sock"
    ) == [
        Listener("0.0.0.0", 25),
        Listener("::", 25),
        Listener("mail.example", 465, tls=True),
        Listener("127.0.0.1", 24, lmtp=True),
        Listener("::1", 0, tls=True, proxy=True),
        Listener(path="/run/d.sock", lmtp=True),
    ]
    assert parse_listeners("") == []
    assert str(parse_listeners("[::1]:465/proxy/tls")[0]) == "[::1]:465/tls/proxy"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.0.0.0", "not host:port"),
        ("::1:25", "not host:port"),
        ("0.0.0.0:70000", "not host:port"),
        ("0.0.0.0:25/ssl", "/ssl is not one of"),
        ("127.0.0.1:25/lmtp", "RFC 2033"),
        ("unix:relative", "absolute path"),
        ("127.0.0.1:25 127.0.0.1:25/tls", "twice"),
    ],
)
def test_a_list_that_is_none_says_why(text: str, reason: str) -> None:
    """The setting is named."""
    with pytest.raises(SettingsError, match=f"DMARCWORKS_SMTP_LISTEN.*{reason}"):
        parse_listeners(text)
    with pytest.raises(SettingsError, match="DMARCWORKS_X"):
        parse_networks("192.0.2.1/24", "DMARCWORKS_X")


async def test_several_listeners_serve_at_once(start: Start, backend: SmtpBackend) -> None:
    """IPv4 and IPv6, SMTP and LMTP, each with its own banner."""
    server = await start(Listener("127.0.0.1"), Listener("::1"), Listener("localhost", lmtp=True))
    banners = []
    for listener in server.listening:
        reader, writer = await asyncio.open_connection(listener.host, listener.port)
        banners.append(await Client(reader, writer).reply())
        writer.close()
    assert banners[:2] == ["220 reports.example.net ESMTP"] * 2
    assert set(banners[2:]) == {"220 reports.example.net LMTP"}


async def test_an_address_that_cannot_be_had_is_said(start: Start) -> None:
    """The error names the address, the reason and the setting, and what was opened before is closed again."""
    server = await start()
    with pytest.raises(SettingsError, match=rf"127.0.0.1:{server.port}: Address already in use.*DMARCWORKS_SMTP_PORT"):
        await start(Listener("127.0.0.1"), Listener("127.0.0.1", server.port))
