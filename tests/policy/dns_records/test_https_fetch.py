"""Documents over HTTPS, from a real web server on loopback: what is fetched, and everything that is refused."""

from __future__ import annotations

import asyncio
import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import trustme

from dmarcworks.enrich.resolver import DnsRecords
from dmarcworks.policy.dns_records.https_fetch import FetchedDocument, FetchError, HttpsFetcher
from dmarcworks.policy.dns_records.lookup import RecordLookup

HOST = "mta-sts.good.example"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the path; `seen` has the paths and hosts of the requests."""

    seen: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Host"]))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", f"https://{HOST}/policy")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"x" * (70_000 if self.path == "/large" else 10))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def port(authority: trustme.CA) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


class Names:
    """A resolver for which every name has one address."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        return [address for address in self.addresses if (":" in address) == (kind == "AAAA")]

    async def lookup(self, name: str, kind: str, deadline: float) -> DnsRecords:
        return DnsRecords(await self(name, kind, deadline))


def fetch(url: str, port: int, authority: trustme.CA | None, *addresses: str, private: bool = True) -> FetchedDocument:
    context = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(context)
    lookup = RecordLookup(Names(*(addresses or ("127.0.0.1",))), time.monotonic() + 10)
    return asyncio.run(HttpsFetcher(lookup, private=private, port=port, context=context)(url))


def kind_of(url: str, port: int, authority: trustme.CA | None, *addresses: str, private: bool = True) -> str:
    with pytest.raises(FetchError) as caught:
        fetch(url, port, authority, *addresses, private=private)
    return caught.value.kind


def test_a_document_is_fetched_from_the_address_that_was_judged(port: int, authority: trustme.CA) -> None:
    """With the host's own name in TLS and in the request."""
    assert fetch(f"https://{HOST}/policy?a=1", port, authority) == FetchedDocument(200, "text/plain", b"x" * 10)
    assert Handler.seen[-1] == ("/policy?a=1", HOST)


def test_a_redirect_is_an_answer_and_is_not_followed(port: int, authority: trustme.CA) -> None:
    """RFC 8461 section 3.3."""
    before = len(Handler.seen)
    assert fetch(f"https://{HOST}/moved", port, authority).status == 302
    assert len(Handler.seen) == before + 1


def test_what_is_refused(port: int, authority: trustme.CA) -> None:
    """Too large, an unknown authority, a certificate of another host, another scheme or port, no server."""
    assert kind_of(f"https://{HOST}/large", port, authority) == "too-large"
    assert kind_of(f"https://{HOST}/policy", port, None) == "certificate"
    assert kind_of("https://other.example/policy", port, authority) == "certificate"
    for url in (f"http://{HOST}/", f"https://{HOST}:8443/", f"https://user@{HOST}/", "https://[", "https:///x"):
        assert kind_of(url, port, authority) == "unreachable"
    assert kind_of(f"https://{HOST}/", 1, authority) == "unreachable"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "::1",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "::",
    ],
)
def test_addresses_that_are_not_public_are_never_connected_to(port: int, authority: trustme.CA, address: str) -> None:
    """The server would answer, but is not reached."""
    before = len(Handler.seen)
    assert kind_of(f"https://{HOST}/policy", port, authority, address, private=False) == "private-address"
    assert len(Handler.seen) == before
