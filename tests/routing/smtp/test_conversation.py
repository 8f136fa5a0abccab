"""The front door speaks RFC 5321: it says what it can, takes what is ours, and refuses the rest by the right code."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.smtp_client import RUA, Connect, SmtpBackend, Start
from tests.support.waiting import wait_until

MAIL = b"From: reporter@mail.example\r\nSubject: report\r\n\r\nHello\r\n"


async def test_ehlo_names_size_and_extensions(start: Start, connect: Connect) -> None:
    """A sender learns the size bound and the extensions that we really have."""
    client = await connect(await start())
    assert (await client.say("EHLO mail.example")).split("\n") == [
        "250-reports.example.net",
        "250-SIZE 26214400",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250-ENHANCEDSTATUSCODES",
        "250 HELP",
    ]


async def test_a_mail_is_taken_byte_for_byte(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """What was sent is what is delivered: 8-bit bytes kept, dots unstuffed, envelope and peer told."""
    client = await connect(await start())
    await client.up_to_data()
    await client.send(b"Subject: \xc3\xbc\xff\r\n\r\n..a dot\r\n...\r\nend\r\n.\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    (taken,) = backend.accepted
    assert taken[:3] == ("reporter@mail.example", RUA, b"Subject: \xc3\xbc\xff\r\n\r\n.a dot\r\n..\r\nend\r\n")
    assert (taken[3].address, taken[3].helo) == ("127.0.0.1", "mail.example")
    assert await client.say("QUIT") == "221 2.0.0 Bye"
    assert await client.closed()


async def test_pipelined_commands_are_answered_in_order(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """PIPELINING is true: a whole group in one packet gets one reply each, a refused recipient harms no other."""
    client = await connect(await start())
    assert (await client.say("EHLO mail.example")).startswith("250-")
    group = (
        "MAIL FROM:<a@mail.example> BODY=8BITMIME\r\nRCPT TO:<nobody@reports.example.net>\r\n"
        f"RCPT TO:<{RUA}>\r\nDATA\r\n"
    )
    await client.send(group)
    assert [await client.reply() for _ in range(4)] == [
        "250 2.1.0 OK",
        "550 5.1.1 No such recipient here",
        "250 2.1.5 OK",
        "354 End data with <CR><LF>.<CR><LF>",
    ]
    await client.send(MAIL + b".\r\n" + group.encode() + MAIL + b".\r\nQUIT\r\n")
    replies = [await client.reply() for _ in range(7)]
    assert [reply[:3] for reply in replies] == ["250", "250", "550", "250", "354", "250", "221"]
    assert [raw for _, _, raw, _ in backend.accepted] == [MAIL, MAIL]


async def test_an_unknown_recipient_is_refused_at_rcpt(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Nobody's address is 550 5.1.1 before any data, and DATA without a recipient is refused too."""
    client = await connect(await start())
    await client.say("EHLO mail.example")
    await client.say("MAIL FROM:<a@mail.example>")
    assert await client.say("RCPT TO:<nobody@reports.example.net>") == "550 5.1.1 No such recipient here"
    assert await client.say("DATA") == "503 5.5.1 RCPT comes first"
    assert backend.accepted == []


async def test_a_mail_announced_too_large_is_refused_at_mail(start: Start, connect: Connect) -> None:
    """SIZE= over the bound is 552 5.3.4 before a byte of it is sent; at the bound it is welcome."""
    client = await connect(await start())
    await client.say("EHLO mail.example")
    assert await client.say("MAIL FROM:<a@mail.example> SIZE=26214401") == (
        "552 5.3.4 Message larger than 26214400 bytes"
    )
    assert await client.say("MAIL FROM:<a@mail.example> SIZE=26214400") == "250 2.1.0 OK"


async def test_a_mail_that_grows_too_large_is_refused_after_data(
    start: Start, connect: Connect, backend: SmtpBackend
) -> None:
    """A body over the bound is 552 5.3.4 and the conversation goes on; exactly the bound is taken."""
    client = await connect(await start(mail_bytes=2000))
    await client.up_to_data()
    await client.send(b"x" * 98 + b"\r\n" + (b"y" * 98 + b"\r\n") * 20 + b".\r\n")
    assert await client.reply() == "552 5.3.4 Message larger than 2000 bytes"
    await client.up_to_data()
    await client.send((b"y" * 98 + b"\r\n") * 20 + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert [len(raw) for _, _, raw, _ in backend.accepted] == [2000]


async def test_a_store_failure_is_451(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """A mail that cannot be kept is never answered 250; the same connection delivers once the store is back."""
    client = await connect(await start())
    backend.reply = "451 4.3.0 Cannot keep the mail now, try again later"
    await client.up_to_data()
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "451 4.3.0 Cannot keep the mail now, try again later"
    backend.reply = "250 2.0.0 Accepted"
    await client.up_to_data()
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert len(backend.accepted) == 1


async def test_a_crash_of_the_handler_is_451(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Whatever goes wrong inside is a temporary failure for the sender, never a success and never a traceback."""

    async def broken(*_: object) -> str:
        raise RuntimeError("secret detail")

    server = await start()
    server.deliver = broken
    client = await connect(server)
    await client.up_to_data()
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "451 4.3.0 Cannot keep the mail now, try again later"


async def test_the_null_sender_is_welcome(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Reports come from <> too (RFC 5321 §4.5.5)."""
    client = await connect(await start())
    await client.up_to_data(sender="")
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert backend.accepted[0][0] == ""


async def test_a_sender_that_is_no_text_is_made_text(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Stray bytes in the envelope become U+FFFD, so that every store can hold them."""
    client = await connect(await start())
    await client.say("EHLO mail.example")
    await client.send(b"MAIL FROM:<a\xff@mail.example>\r\n")
    assert await client.reply() == "250 2.1.0 OK"
    assert await client.say(f"RCPT TO:<{RUA}>") == "250 2.1.5 OK"
    await client.say("DATA")
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert backend.accepted[0][0] == "a�@mail.example"


async def test_recipients_are_bounded_and_each_gets_its_copy(
    start: Start, connect: Connect, backend: SmtpBackend
) -> None:
    """The 101st recipient is 452 4.5.3; the others get the mail, one named twice gets it once."""
    backend.addresses = {f"{number:032x}@reports.example.net" for number in range(200)}
    client = await connect(await start())
    await client.say("EHLO mail.example")
    await client.say("MAIL FROM:<a@mail.example>")
    addresses = sorted(backend.addresses)
    assert await client.say(f"RCPT TO:<{addresses[0]}>") == "250 2.1.5 OK"
    replies = [await client.say(f"RCPT TO:<{address}>") for address in addresses[:101]]
    assert replies == ["250 2.1.5 OK"] * 100 + ["452 4.5.3 More than 100 recipients"]
    await client.say("DATA")
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert [to for _, to, _, _ in backend.accepted] == addresses[:100]


async def test_one_recipient_that_cannot_be_kept_makes_the_whole_mail_temporary(
    start: Start, connect: Connect, backend: SmtpBackend
) -> None:
    """There is one reply for all recipients: if one delivery failed for now, the sender tries all again."""
    other = "f" * 32 + "@reports.example.net"
    backend.addresses.add(other)
    answers = iter(["250 2.0.0 Accepted", "451 4.3.0 Cannot keep the mail now, try again later"])

    async def deliver(*_: object) -> str:
        return next(answers)

    server = await start()
    server.deliver = deliver
    client = await connect(server)
    await client.say("EHLO mail.example")
    await client.say("MAIL FROM:<a@mail.example>")
    for address in (RUA, other):
        assert await client.say(f"RCPT TO:<{address}>") == "250 2.1.5 OK"
    await client.say("DATA")
    await client.send(MAIL + b".\r\n")
    assert await client.reply() == "451 4.3.0 Cannot keep the mail now, try again later"


async def test_a_line_too_long_is_refused_and_ends_nothing(
    start: Start, connect: Connect, backend: SmtpBackend
) -> None:
    """A text line over the bound is 500 5.5.2 after the whole mail; one of just the bound with its CRLF is taken."""
    client = await connect(await start(line_bytes=1000))
    await client.up_to_data()
    await client.send(b"a" * 999 + b"\r\n" + b"b" * 5000 + b"\r\n.\r\n")
    assert await client.reply() == "500 5.5.2 Line longer than 1000 bytes"
    assert backend.accepted == []
    await client.up_to_data()
    await client.send(b"a" * 998 + b"\r\n.\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert [len(raw) for _, _, raw, _ in backend.accepted] == [1000]


async def test_a_command_too_long_is_refused(start: Start, connect: Connect) -> None:
    """A command of any length costs one line of reply and no memory."""
    client = await connect(await start())
    assert await client.say("EHLO " + "a" * 100_000) == "500 5.5.2 Command line too long"
    assert (await client.say("EHLO mail.example")).startswith("250-")


SMUGGLED = (
    b"MAIL FROM:<forged@bank.example>\r\nRCPT TO:<" + RUA.encode() + b">\r\nDATA\r\nSubject: forged\r\n\r\nforged\r\n"
)


@pytest.mark.parametrize(
    "ending",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\r\n\x00.\r\n",
        b"\n\n.\r\r\n",
        b"\r\n.\x00\r\n",
    ],
    ids=[
        "LF.LF",
        "LF.CRLF",
        "CRLF.LF",
        "CR.CR",
        "CRLF.CR",
        "CR.CRLF",
        "CRLF NUL.CRLF",
        "LF LF.CR CRLF",
        "CRLF.NUL CRLF",
    ],
)
async def test_only_crlf_dot_crlf_ends_a_mail(
    start: Start, connect: Connect, backend: SmtpBackend, ending: bytes
) -> None:
    """SMTP smuggling (CVE-2023-51764 and its like): every odd ending stays inside the one mail."""
    client = await connect(await start())
    await client.up_to_data()
    await client.send(b"Subject: one\r\n\r\nbody" + ending + SMUGGLED + b".\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert await client.say("NOOP") == "250 2.0.0 OK"
    (taken,) = backend.accepted
    assert taken[0] == "reporter@mail.example"
    assert b"forged@bank.example" in taken[2]


async def test_an_ending_split_over_packets_ends_the_mail(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """How the bytes are cut into packets changes nothing."""
    client = await connect(await start())
    await client.up_to_data()
    for byte in b"a\r\n.b\r\n.\r\n":
        await client.send(bytes([byte]))
        await asyncio.sleep(0.005)  # a packet of its own for each byte is what this test is about
    assert await client.reply() == "250 2.0.0 Accepted"
    assert backend.accepted[0][2] == b"a\r\nb\r\n"


async def test_a_cut_connection_delivers_nothing(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """A mail whose end never came is no mail."""
    server = await start()
    client = await connect(server)
    await client.up_to_data()
    await client.send(MAIL)
    client.writer.close()
    await client.writer.wait_closed()
    await wait_until(lambda: not server.connections, "every connection closed")
    assert backend.accepted == []
    assert server.limits.per_address == {}


async def test_who_has_an_address_is_nobodys_business(start: Start, connect: Connect) -> None:
    """VRFY and EXPN tell nothing."""
    client = await connect(await start())
    await client.say("EHLO mail.example")
    assert await client.say(f"VRFY {RUA}") == "252 2.1.5 Cannot verify, send some mail"
    assert (await client.say("EXPN list")).startswith("502")


async def test_a_report_on_one_long_line_is_taken(start: Start, connect: Connect, backend: SmtpBackend) -> None:
    """Reporters mail unencoded XML on one line: by default a line of 900,000 bytes is taken whole."""
    client = await connect(await start())
    await client.up_to_data()
    await client.send(b"x" * 900_000 + b"\r\n.\r\n")
    assert await client.reply() == "250 2.0.0 Accepted"
    assert [len(raw) for _, _, raw, _ in backend.accepted] == [900_002]
