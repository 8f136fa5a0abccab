"""Who is at the other end of an HTTP request: the client's address, its scheme, and whether it is this machine.

`X-Forwarded-For` (and `-Proto`) and `Forwarded` (RFC 7239) are believed only when the direct peer is a trusted proxy
(`DMARCWORKS_TRUSTED_PROXIES`). They are then read from the right, because each proxy appends what it saw: the first
address that is no trusted proxy is the client, and an entry that is no address ends the walk at the proxy that sent it.
When both kinds of header are there and name two clients, one of them was written by the client: neither is believed.
`X-Forwarded-Host` and `Host` never name this server.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from dmarcworks.settings import Network

__all__ = ["Client", "ClientMiddleware", "client", "is_local", "resolve"]

ENTRIES = 50
CHARACTERS = 8192
_SCOPE = "dmarcworks.client"
_PORT = r"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]{1,64}))?"
_IPV4 = re.compile(rf"([0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}){_PORT}")
_IPV6 = re.compile(rf"\[([0-9A-Fa-f:.]{{2,45}})\]{_PORT}")
_PLAIN_IPV6 = re.compile(r"([0-9A-Fa-f:.]{2,45})")
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}"
_PAIR = re.compile(rf'({_WORD})=(?:({_WORD})|"([^"\\]{{0,256}})")')
_LOOPBACK_HOST = re.compile(
    r"(?:localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE
)
# Whatever header a proxy, a cache or a delivery network adds to name the client, or itself: names that contain one of
# these words, end like an address, or begin as the fields of such a product do.
_FORWARDING = re.compile(
    r".*(?:forward|proxy|surrogate|varnish|fastly|akamai|cloudfront|appengine|envoy|traefik|trace-context).*"
    r"|.*(?:client|real|remote|connecting|source|user|cluster|origin|original)-?(?:addr|address|host|url|user)"
    r"|.*ip"
    r"|(?:x-)?(?:ssl|original|rewrite|url|azure|client|remote|cf)-.*"
    r"|(?:x-)?(?:scheme|amzn-trace-id|amz-cf-id|request-start|queue-start)|x-host"
    r"|via|cdn-loop|max-forwards|front-end-https|early-data"
)


@dataclass(frozen=True, slots=True)
class Client:
    """`address`: the client's; `scheme`: http or https as a trusted proxy reports it, else empty."""

    address: str
    scheme: str = ""


def client(request: Request) -> Client:
    """The client of a request, as `ClientMiddleware` found it; the direct peer without it."""
    noted = request.scope.get(_SCOPE)
    return noted if isinstance(noted, Client) else Client(_peer(request.scope))


class ClientMiddleware:
    """Find the client once per request, for everything that calls `client`."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network] = ()) -> None:
        self._app, self._trusted = app, tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] in ("http", "websocket"):
            scope[_SCOPE] = resolve(_peer(scope), Headers(scope=scope), self._trusted)
        await self._app(scope, receive, send)


def resolve(peer: str, headers: Headers, trusted: Sequence[Network]) -> Client:
    """The client behind a direct peer; `headers` count only when the peer is in `trusted`."""
    peer = _plain(peer)
    if not _within(peer, trusted):
        return Client(peer)
    plain, standard = headers.getlist("x-forwarded-for"), headers.getlist("forwarded")
    first, _ = _walk(peer, ((_address(entry), "") for entry in _from_the_right(plain)), trusted)
    second, scheme = _walk(peer, map(_element, _from_the_right(standard)), trusted)
    scheme = scheme or _scheme(next(_from_the_right(headers.getlist("x-forwarded-proto")), ""))
    if plain and standard and first != second:
        return Client(peer, scheme)
    return Client(first if plain else second, scheme)


def is_local(request: Request) -> bool:
    """Whether the request is from a program on this machine, for itself and deliberately.

    The peer is a loopback address, `Host` names one (a web page cannot get there by a DNS name of its own), and no
    header shows that another client's request is forwarded.
    """
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or not _LOOPBACK_HOST.fullmatch(hosts[0]):
        return False
    if any(_FORWARDING.fullmatch(name.lower().replace("_", "-")) for name in request.headers):
        return False
    try:
        return ipaddress.ip_address(_peer(request.scope)).is_loopback
    except ValueError:
        return False


def _walk(peer: str, hops: Iterable[tuple[str, str]], trusted: Sequence[Network]) -> tuple[str, str]:
    """The last address that is no trusted proxy, and the scheme that was noted with it."""
    address, scheme = peer, ""
    for count, (hop, noted) in enumerate(hops):
        if count == ENTRIES or not hop:
            break
        address, scheme = hop, noted
        if not _within(address, trusted):
            break
    return address, scheme


def _from_the_right(lines: Sequence[str]) -> Iterator[str]:
    """A header's entries from the last to the first; an empty one, which is no address, where the bound is hit."""
    left = CHARACTERS
    for line in reversed(lines):
        end, quoted = len(line), False
        # Quotes are counted from the right too: one that a client left open cannot swallow what a proxy appended.
        for place in range(len(line) - 1, -1, -1):
            left -= 1
            if left < 0:
                yield ""
                return
            if line[place] == '"':
                quoted = not quoted
            elif line[place] == "," and not quoted:
                yield line[place + 1 : end].strip(" \t")
                end = place
        yield line[:end].strip(" \t")


def _element(text: str) -> tuple[str, str]:
    """Address and scheme of an element of `Forwarded`; an empty address when it is malformed or names none."""
    pairs: dict[str, str] = {}
    place = 0
    while place <= len(text):
        match = _PAIR.match(text, place)
        if match is None or match[1].lower() in pairs:
            return "", ""
        pairs[match[1].lower()] = match[3] if match[2] is None else match[2]
        if match.end() == len(text):
            break
        if text[match.end()] != ";":
            return "", ""
        place = match.end() + 1
    return _address(pairs.get("for", ""), bare=False), _scheme(pairs.get("proto", ""))


def _address(text: str, *, bare: bool = True) -> str:
    """The address of an entry, with or without a port; empty when it is none (`unknown`, `_hidden`, nonsense)."""
    match = _IPV4.fullmatch(text) or _IPV6.fullmatch(text) or (_PLAIN_IPV6.fullmatch(text) if bare else None)
    if match is None:
        return ""
    try:
        address = ipaddress.ip_address(match[1])
    except ValueError:
        return ""
    return "" if text.startswith("[") and address.version == 4 else _plain(str(address))


def _scheme(text: str) -> str:
    return text.lower() if text.lower() in ("http", "https") else ""


def _peer(scope: Scope) -> str:
    peer = scope.get("client")
    return _plain(peer[0]) if peer and peer[0] else "unknown"


def _plain(address: str) -> str:
    """An IPv4 address that a socket shows as IPv6 is that IPv4 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if parsed.version == 6 else None
    return str(mapped or parsed)


def _within(address: str, networks: Sequence[Network]) -> bool:
    if not networks:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)
