"""Promise: the relay's URL is right or one sentence says what is wrong, and a password never leaves in clear."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from dmarcworks.errors import RefusedError, SettingsError, StoreError
from dmarcworks.process.settings_table import describe, shown_url
from dmarcworks.routing.delivery.relay import parse_relay
from dmarcworks.settings import load

WRONG = [
    "smtp://[::1",
    "smtp://::1]:25",
    "smtp://[nonsense]:25",
    "smtp://mail.example:port",
    "smtp://mail.example:70000",
    "smtp://mail.example:0",
    "smtp://mail.example:-1",
    "smtp://",
    "smtp://:25",
    "smtp://user:secret@:25",
    "smtp:mail.example",
    "mail.example:25",
    "http://mail.example",
    "smtp://mail example:25",
    "smtp://mail.example/secret",
    "smtp://mail.example?starttls",
    "smtp://mail.example?starttls=maybe",
    "smtp://mail.example?tls=always",
    "smtp://mail.example#secret",
    "smtp://user@mail.example",
    "smtp://user:se/cret@mail.example",
    "smtp://user:%ff@mail.example",
    "smtp://user:secret@[::1",
    "\0",
]


@pytest.mark.parametrize("url", WRONG)
def test_a_malformed_url_is_one_sentence(url: str) -> None:
    """It names the setting and the form, and never the password; so does the list of settings."""
    with pytest.raises(SettingsError) as refused:
        parse_relay(url, "here.example")
    said = str(refused.value)
    assert said.startswith("DMARCWORKS_RELAY_URL: ")
    assert "write smtp://[user:password@]host[:port]" in said
    assert "secret" not in said
    assert "\n" not in said
    settings, sources = load({"DMARCWORKS_RELAY_URL": url})
    (shown,) = (row.value for row in describe(settings, sources) if row.name == "relay_url")
    assert "secret@" not in shown
    assert "cret@" not in shown


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password"),
    [
        ("smtp://mail.example", "mail.example", 25, "", ""),
        ("smtps://u:p%40ss@[2001:db8::1]:465", "2001:db8::1", 465, "u", "p@ss"),
        ("smtp://u:p@127.0.0.1:2525/?starttls=always", "127.0.0.1", 2525, "u", "p"),
    ],
)
def test_a_good_url(url: str, host: str, port: int, user: str, password: str) -> None:
    """Its parts."""
    relay = parse_relay(url, "here.example")
    assert relay is not None
    assert (relay.host, relay.port, relay.user, relay.password) == (host, port, user, password)


def test_a_stores_url_is_shown_without_its_password() -> None:
    """And a path with an @ in it is shown."""
    assert shown_url("postgresql://me:secret@db.example/x") == "postgresql://me:***@db.example/x"
    assert shown_url("sqlite:////tmp/a@b/x.db") == "sqlite:////tmp/a@b/x.db"


@asynccontextmanager
async def listening(
    *offers: str, starttls: str = "454 4.7.0 TLS is not available"
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that offers these and notes every line that it reads."""
    heard: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 there ESMTP\r\n")
        while line := await reader.readline():
            heard.append(line)
            word = line[:4].upper()
            if word == b"EHLO":
                writer.write(("\r\n".join(f"250-{one}" for one in ("there", *offers)) + "\r\n250 HELP\r\n").encode())
            elif word == b"STAR":
                writer.write(starttls.encode() + b"\r\n")
            elif word == b"DATA":
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 2.0.0 taken\r\n")
            elif word == b"AUTH":
                writer.write(b"235 2.7.0 welcome\r\n")
            else:
                writer.write(b"250 2.0.0 fine\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1)


@pytest.mark.parametrize(
    ("offers", "starttls"),
    [
        (("AUTH PLAIN LOGIN",), ""),
        (("STARTTLS", "AUTH PLAIN LOGIN"), "454 4.7.0 TLS is not available"),
        (("STARTTLS", "AUTH PLAIN LOGIN"), "502 5.5.1 Not known"),
    ],
)
@pytest.mark.parametrize("mode", ["", "?starttls=auto", "?starttls=always"])
async def test_a_password_never_goes_in_clear(mode: str, offers: tuple[str, ...], starttls: str) -> None:
    """No STARTTLS, or one that fails: a temporary error that says so; neither AUTH nor MAIL was sent."""
    async with listening(*offers, starttls=starttls) as (address, heard):
        relay = parse_relay(f"smtp://user:secret@{address}{mode}", "here.example")
        assert relay is not None
        with pytest.raises(StoreError, match=r"relay 127\.0\.0\.1"):
            await relay.send("a@b.example", "c@d.example", b"Subject: x\r\n\r\nx\r\n")
        assert not [line for line in heard if line[:4].upper() in (b"AUTH", b"MAIL")]


async def test_the_error_says_how_to_go_on() -> None:
    """With the two ways that there are."""
    async with listening("AUTH PLAIN") as (address, _):
        relay = parse_relay(f"smtp://user:secret@{address}", "here.example")
        assert relay is not None
        with pytest.raises(StoreError, match="not sent without TLS: use smtps://, or starttls=never"):
            await relay.send("a@b.example", "c@d.example", b"Subject: x\r\n\r\nx\r\n")


async def test_without_a_password_auto_goes_on_in_clear() -> None:
    """And with `never` the operator has asked for it."""
    for who, mode in (("", ""), ("user:secret@", "?starttls=never")):
        async with listening("AUTH PLAIN") as (address, heard):
            relay = parse_relay(f"smtp://{who}{address}{mode}", "here.example")
            assert relay is not None
            await relay.send("a@b.example", "c@d.example", b"Subject: x\r\n\r\nx\r\n")
            assert [line[:4] for line in heard if line[:4] == b"AUTH"] == ([b"AUTH"] if who else [])


@pytest.mark.parametrize(
    ("sender", "recipient", "code"),
    [
        ("a b@c.example", "x@y.example", "553 5.1.7"),
        ("a@b.example\r\nRCPT TO:<z@evil.example>", "x@y.example", "553 5.1.7"),
        ("é@b.example", "x@y.example", "553 5.1.7"),
        ("a@b.example", "x y@y.example", "553 5.1.3"),
        ("a@b.example", "x@y.example>\n<z@evil.example", "553 5.1.3"),
    ],
)
async def test_an_envelope_that_smtp_cannot_carry_is_refused(sender: str, recipient: str, code: str) -> None:
    """At once and for good, before the relay is asked."""
    relay = parse_relay("smtp://127.0.0.1:9", "here.example")
    assert relay is not None
    with pytest.raises(RefusedError, match=code):
        await relay.send(sender, recipient, b"x")
