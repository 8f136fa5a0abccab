"""The PROXY protocol, versions 1 and 2: a load balancer's header that names the real client.

`parse_v1` and `parse_v2` are pure: header → the client's address, or "" when the balancer speaks for itself (LOCAL,
UNKNOWN, an unknown family). `read_header` takes exactly the header from a socket and not a byte more, so that what
follows (a TLS handshake, or SMTP) is whole. Refused with `ProxyError`: everything that is no header.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct

from dmarcworks.errors import DmarcworksError

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_BYTES = 107
_V2_BYTES = 4096


class ProxyError(DmarcworksError):
    """What came is no PROXY header."""


def parse_v1(line: bytes) -> str:
    """`PROXY TCP4 source destination port port` with its CRLF."""
    if not line.endswith(b"\r\n") or len(line) > _V1_BYTES:
        raise ProxyError("a PROXY line ends with CRLF within 107 bytes")
    words = line[:-2].split(b" ")
    if words[:2] == [b"PROXY", b"UNKNOWN"]:
        return ""
    if len(words) != 6 or words[0] != b"PROXY" or words[1] not in (b"TCP4", b"TCP6"):
        raise ProxyError("not a PROXY line")
    version = 4 if words[1] == b"TCP4" else 6
    try:
        source, destination = (ipaddress.ip_address(word.decode("ascii")) for word in words[2:4])
        ports = [int(word) for word in words[4:] if word.isdigit()]
    except ValueError:
        raise ProxyError("a PROXY line with a malformed address") from None
    if {source.version, destination.version} != {version} or len(ports) != 2 or max(ports) > 65_535:
        raise ProxyError("a PROXY line with a malformed address or port")
    return str(source)


def parse_v2(head: bytes, rest: bytes) -> str:
    """The 16 bytes of the head, and the bytes that it announced."""
    if head[:12] != _SIGNATURE or head[12] >> 4 != 2 or len(rest) != struct.unpack("!H", head[14:16])[0]:
        raise ProxyError("not a PROXY header of version 2")
    command, family = head[12] & 0x0F, head[13]
    if command == 0:
        return ""
    if command != 1:
        raise ProxyError("a PROXY header with an unknown command")
    size = {0x11: 4, 0x21: 16}.get(family)  # TCP over IPv4, TCP over IPv6
    if size is None:
        return ""
    if len(rest) < 2 * size + 4:
        raise ProxyError("a PROXY header that is too short")
    return str(ipaddress.ip_address(rest[:size]))


async def read_header(connection: socket.socket) -> str:
    """The client's address from the header in front of a connection ("": the balancer itself)."""
    start = await _exactly(connection, len(_SIGNATURE))
    if start == _SIGNATURE:
        head = start + await _exactly(connection, 4)
        length = struct.unpack("!H", head[14:16])[0]
        if length > _V2_BYTES:
            raise ProxyError("a PROXY header that is too long")
        return parse_v2(head, await _exactly(connection, length))
    if not start.startswith(b"PROXY "):
        raise ProxyError("no PROXY header")
    line = start
    while not line.endswith(b"\n") and len(line) <= _V1_BYTES:
        line += await _exactly(connection, 1)
    return parse_v1(line)


async def _exactly(connection: socket.socket, number: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < number:
        more = await loop.sock_recv(connection, number - len(data))
        if not more:
            raise ProxyError("the connection ended within its PROXY header")
        data += more
    return data
