"""LMTP (RFC 2033): behind another mail server, one reply for each recipient, on a port or a Unix socket."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from dmarcworks.errors import SettingsError
from dmarcworks.routing.smtp import Listener, SmtpServer
from tests.support.smtp_client import RUA, Client, SmtpBackend, Start

MAIL = b"Subject: report\r\n\r\nHello\r\n"
OTHER = "f" * 32 + "@reports.example.net"
LMTP = Listener("127.0.0.1", lmtp=True)


async def lmtp(server: SmtpServer) -> Client:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    client = Client(reader, writer)
    assert await client.reply() == "220 reports.example.net LMTP"
    return client


async def test_each_recipient_has_its_own_reply(start: Start, backend: SmtpBackend) -> None:
    """Two of three are kept, one is away for now: the sender tries only that one again."""
    backend.addresses |= {OTHER, "away@reports.example.net"}
    server = await start(LMTP)
    taken = server.deliver

    async def deliver(sender: str, to: str, *rest: object) -> str:
        return "451 4.3.0 Not now" if to.startswith("away") else await taken(sender, to, *rest)  # type: ignore[arg-type]

    server.deliver = deliver
    client = await lmtp(server)
    assert (await client.say("LHLO relay.example")).split("\n")[0] == "250-reports.example.net"
    assert await client.say("MAIL FROM:<a@mail.example>") == "250 2.1.0 OK"
    for to, reply in ((RUA, "250"), ("away@reports.example.net", "250"), ("nobody@x.example", "550"), (OTHER, "250")):
        assert (await client.say(f"RCPT TO:<{to}>"))[:3] == reply
    assert (await client.say("DATA"))[:3] == "354"
    await client.send(MAIL + b".\r\nNOOP\r\n")
    assert [await client.reply() for _ in range(4)] == [
        "250 2.0.0 Accepted",
        "451 4.3.0 Not now",
        "250 2.0.0 Accepted",
        "250 2.0.0 OK",
    ]
    assert [(to, raw, peer.protocol) for _, to, raw, peer in backend.accepted] == [
        (RUA, MAIL, "LMTP"),
        (OTHER, MAIL, "LMTP"),
    ]


async def test_a_recipient_named_twice_has_two_replies_and_one_mail(start: Start, backend: SmtpBackend) -> None:
    """As many replies as accepted RCPTs, or the sender would wait for ever."""
    client = await lmtp(await start(LMTP))
    await client.say("LHLO relay.example")
    await client.say("MAIL FROM:<>")
    for _ in range(2):
        assert await client.say(f"RCPT TO:<{RUA}>") == "250 2.1.5 OK"
    await client.say("DATA")
    await client.send(MAIL + b".\r\n")
    assert [await client.reply(), await client.reply()] == ["250 2.0.0 Accepted"] * 2
    assert len(backend.accepted) == 1


async def test_a_mail_too_large_is_refused_for_each(start: Start, backend: SmtpBackend) -> None:
    """The bound's reply comes once for every recipient, and the conversation goes on in step."""
    backend.addresses.add(OTHER)
    client = await lmtp(await start(LMTP, mail_bytes=2000))
    await client.say("LHLO relay.example")
    await client.say("MAIL FROM:<a@mail.example>")
    await client.say(f"RCPT TO:<{RUA}>")
    await client.say(f"RCPT TO:<{OTHER}>")
    await client.say("DATA")
    await client.send((b"x" * 98 + b"\r\n") * 30 + b".\r\nNOOP\r\n")
    replies = [await client.reply() for _ in range(3)]
    assert replies == ["552 5.3.4 Message larger than 2000 bytes"] * 2 + ["250 2.0.0 OK"]


async def test_greetings_are_not_mixed_up(start: Start) -> None:
    """EHLO is refused here and LHLO on an SMTP door; DATA without a recipient is 503 (RFC 2033 §4.2)."""
    client = await lmtp(await start(LMTP))
    assert await client.say("EHLO relay.example") == "500 5.5.1 This is LMTP: send LHLO"
    assert await client.say("HELO relay.example") == "500 5.5.1 This is LMTP: send LHLO"
    assert await client.say("MAIL FROM:<a@mail.example>") == "503 5.5.1 LHLO comes first"
    assert (await client.say("LHLO relay.example"))[:3] == "250"
    await client.say("MAIL FROM:<a@mail.example>")
    assert await client.say("DATA") == "503 5.5.1 RCPT comes first"


async def test_a_unix_socket(start: Start, backend: SmtpBackend, tmp_path: Path) -> None:
    """Owner and group may write it; it goes with the server, and one that a crash left is taken over."""
    path = tmp_path / "lmtp.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    server = await start(Listener(path=str(path), lmtp=True), connections_per_address=1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    clients = []
    for _ in range(3):  # who has no address is not counted per address
        reader, writer = await asyncio.open_unix_connection(str(path))
        clients.append(Client(reader, writer))
        assert await clients[-1].reply() == "220 reports.example.net LMTP"
    client = clients[0]
    await client.say("LHLO relay.example")
    await client.say("MAIL FROM:<a@mail.example>")
    await client.say(f"RCPT TO:<{RUA}>")
    await client.say("DATA")
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert backend.accepted[0][3].address == ""
    with pytest.raises(SettingsError, match="another process serves this socket"):
        await start(Listener(path=str(path), lmtp=True))
    assert path.exists()
    for each in clients:
        each.writer.close()
    await server.stop(grace=0.1)
    assert not path.exists()


async def test_a_file_in_the_sockets_place_is_left_alone(start: Start, tmp_path: Path) -> None:
    """Nothing but a dead socket is ever removed."""
    path = tmp_path / "precious"
    path.write_text("keep")
    with pytest.raises(SettingsError, match="no socket"):
        await start(Listener(path=str(path), lmtp=True))
    assert path.read_text() == "keep"
