"""One mail in stays one mail: no ending but CRLF.CRLF ends a mail, however it is written or cut into packets."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.smtp_client import RUA, Connect, SmtpBackend, Start

# SEC Consult's list of December 2023 and what testers added to it: CR, LF and NUL in every place of CRLF.CRLF.
ENDINGS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r.\n",
    b"\n.\r",
    b"\n\n.\r\r\n",
    b"\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\n.\r\n",
    b"\r\n\r.\r\n",
    b"\n\r.\n\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\0\n.\r\n",
    b"\r\n.\r\0\n",
    b"\0\r\n.\0\r\n\0",
    b"\r\n\x1a.\r\n",
    b"\r\n.\x1a\r\n",
    b"\r\n. \r\n",
    b"\r\n .\r\n",
    b"\r\n\t.\r\n",
    b"\r\n.=\r\n",
    b"\r\n%2e\r\n",
    b"\r\n\xc2\xb7\r\n",
    b"\r\n\xff.\r\n",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\x85.\x85",
    b"\x0b.\x0b",
    b"\x0c.\x0c",
]
COMMANDS = (
    f"MAIL FROM:<forged@bank.example>\r\nRCPT TO:<{RUA}>\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n.\r\n"
).encode()


def shown(ending: bytes) -> str:
    return repr(ending)[2:-1]


@pytest.mark.parametrize("ending", ENDINGS, ids=shown)
async def test_a_smuggled_ending_stays_inside(
    start: Start, connect: Connect, backend: SmtpBackend, ending: bytes
) -> None:
    """The forged mail behind the odd ending is text of the one mail, wherever a packet ends."""
    server = await start(connections_per_address=1000)
    body = b"Subject: one\r\n\r\nbody"
    smuggled = body + ending + COMMANDS
    for cut in range(len(body) - 1, len(body) + len(ending) + 2):
        backend.accepted.clear()
        client = await connect(server)
        await client.up_to_data()
        await client.send(smuggled[:cut])
        await asyncio.sleep(0)
        await client.send(smuggled[cut:])
        assert await client.reply() == "250 2.0.0 Accepted"
        assert await client.say("QUIT") == "221 2.0.0 Bye"
        # Only the last five bytes were an end; a dot at a line's begin is a stuffed one (RFC 5321 §4.5.2).
        expected = smuggled[:-3].replace(b"\r\n.", b"\r\n")
        assert [(taken[0], taken[2]) for taken in backend.accepted] == [("reporter@mail.example", expected)]


async def test_the_real_ending_ends_wherever_it_is_cut(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """CRLF.CRLF cut at every place is one end, and the next command is answered."""
    server = await start(connections_per_address=1000)
    wire = b"Subject: one\r\n\r\nbody\r\n.\r\nNOOP\r\n"
    for cut in range(1, len(wire)):
        backend.accepted.clear()
        client = await connect(server)
        await client.up_to_data()
        await client.send(wire[:cut])
        await asyncio.sleep(0)
        await client.send(wire[cut:])
        assert [await client.reply(), await client.reply()] == ["250 2.0.0 Accepted", "250 2.0.0 OK"]
        assert [taken[2] for taken in backend.accepted] == [b"Subject: one\r\n\r\nbody\r\n"]
        client.writer.close()


async def test_early_commands_do_not_end_a_mail(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Commands that came in one packet with DATA, before our 354, are the mail's text and not commands."""
    client = await connect(await start())
    await client.send(
        f"EHLO mail.example\r\nMAIL FROM:<a@mail.example>\r\nRCPT TO:<{RUA}>\r\nDATA\r\nQUIT\r\nRSET\r\n.\r\nNOOP\r\n"
    )
    replies = [await client.reply() for _ in range(6)]
    assert [reply[:3] for reply in replies] == ["250", "250", "250", "354", "250", "250"]
    assert [taken[2] for taken in backend.accepted] == [b"QUIT\r\nRSET\r\n"]
