"""Behind a load balancer the client is the one that the PROXY header names, and only known balancers may name one."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import struct
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.errors import SettingsError
from dmarcworks.routing.smtp import Certificate, Listener, SmtpServer
from dmarcworks.routing.smtp.proxy import ProxyError, parse_v1, parse_v2
from tests.support.smtp_client import Client, SmtpBackend, Start

PROXY_LISTENER = Listener("127.0.0.1", proxy=True)
MAIL = b"Subject: report\r\n\r\nHello\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v2(source: str, *, command: int = 1, extra: bytes = b"") -> bytes:
    address = ipaddress.ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    body = address.packed * 2 + struct.pack("!HH", 40_000, 25) + extra
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


async def knock(server: SmtpServer, header: bytes, *, pieces: int = 1 << 20) -> Client:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for at in range(0, len(header), pieces):
        writer.write(header[at : at + pieces])
        # Several packets where the header comes in pieces.
        await asyncio.sleep(0.002 if pieces < 100 else 0)
    return Client(reader, writer)


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 25\r\n", "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 40000 25\r\n", "192.0.2.7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "127.0.0.1"),
        (v2("192.0.2.7"), "192.0.2.7"),
        (v2("2001:db8::7", extra=b"\x04\0\1x"), "2001:db8::7"),
        (v2("192.0.2.7", command=0), "127.0.0.1"),
        (SIGNATURE + b"\x21\x31" + struct.pack("!H", 216) + bytes(216), "127.0.0.1"),
    ],
)
@pytest.mark.parametrize("pieces", [1 << 20, 3])
async def test_the_client_is_the_one_that_the_header_names(
    start: Start, backend: SmtpBackend, header: bytes, client: str, pieces: int
) -> None:
    """Version 1 and 2, both families, cut as may be; a header without a client leaves the balancer's own address."""
    server = await start(PROXY_LISTENER, proxies=["127.0.0.0/8"])
    visitor = await knock(server, header, pieces=pieces)
    assert await visitor.reply() == "220 reports.example.net ESMTP"
    await visitor.up_to_data()
    await visitor.send(MAIL + b".\r\n")
    assert await visitor.reply() == "250 2.0.0 Accepted"
    assert backend.accepted[0][3].address == client


async def test_the_limit_per_address_counts_the_real_client(start: Start) -> None:
    """Clients behind one balancer do not share a limit."""
    server = await start(PROXY_LISTENER, proxies=["127.0.0.1"], connections_per_address=1)
    first = await knock(server, v2("192.0.2.1"))
    second = await knock(server, v2("192.0.2.2"))
    again = await knock(server, v2("192.0.2.1"))
    assert (await first.reply())[:3] == (await second.reply())[:3] == "220"
    assert await again.reply() == "421 4.7.0 Too many connections, try again later"


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n", b"EHLO mail.example\r\n"])
async def test_who_is_no_balancer_is_not_served(start: Start, backend: SmtpBackend, header: bytes) -> None:
    """Another network cannot claim to be somebody else, and cannot come in by this door at all."""
    visitor = await knock(await start(PROXY_LISTENER, proxies=["192.0.2.0/24", "2001:db8::/32"]), header)
    with pytest.raises((ConnectionError, AssertionError)):
        assert await visitor.reply() != ""


@pytest.mark.parametrize("first", [b"EHLO mail.example\r\n", b"PROXY TCP4 a b c d\r\n", b"PROXY " + b"x" * 200])
async def test_a_balancer_without_a_header_is_not_served(start: Start, first: bytes) -> None:
    """On this door a header comes first."""
    server = await start(PROXY_LISTENER, proxies=["127.0.0.1"])
    visitor = await knock(server, first)
    with pytest.raises((ConnectionError, AssertionError)):
        assert await visitor.reply() != ""
    assert (await (await knock(server, v2("192.0.2.1"))).reply())[:3] == "220"


async def test_tls_behind_a_balancer(start: Start, backend: SmtpBackend, tmp_path: Path) -> None:
    """The header comes in clear, then the handshake: not a byte of it is lost."""
    authority = trustme.CA()
    issued = authority.issue_cert("reports.example.net")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    certificate = Certificate(tmp_path / "both.pem", tmp_path / "both.pem")
    server = await start(Listener("127.0.0.1", proxy=True, tls=True), certificate=certificate, proxies=["127.0.0.1"])
    context = ssl.create_default_context()
    authority.configure_trust(context)
    visitor = await knock(server, v2("192.0.2.7"))
    await visitor.writer.start_tls(context, server_hostname="reports.example.net")
    assert await visitor.reply() == "220 reports.example.net ESMTP"
    await visitor.up_to_data()
    await visitor.send(MAIL + b".\r\n")
    assert await visitor.reply() == "250 2.0.0 Accepted"
    assert (backend.accepted[0][3].address, backend.accepted[0][3].tls) == ("192.0.2.7", "TLSv1.3")


async def test_a_proxy_listener_needs_networks(start: Start) -> None:
    """Trust is never a default."""
    with pytest.raises(SettingsError, match="DMARCWORKS_SMTP_PROXY_NETWORKS"):
        await start(PROXY_LISTENER)


@given(st.binary(max_size=130) | st.builds(lambda text: b"PROXY TCP4 " + text + b"\r\n", st.binary(max_size=90)))
def test_no_line_breaks_version_1(line: bytes) -> None:
    """Any bytes are an address, nobody, or refused."""
    try:
        client = parse_v1(line)
    except ProxyError:
        return
    assert client == "" or ipaddress.ip_address(client)


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=60))
def test_no_bytes_break_version_2(head: bytes, rest: bytes) -> None:
    """Any bytes behind the signature are an address, nobody, or refused."""
    try:
        client = parse_v2(SIGNATURE + head, rest)
    except ProxyError:
        return
    assert client == "" or ipaddress.ip_address(client)
