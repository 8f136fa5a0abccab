"""Fetch a small document over HTTPS from a host that a stranger's DNS names: bounded, verified, public addresses only.

The host is resolved once, its addresses are judged, and the connection goes to the address that was judged: a second
answer of DNS cannot lead it elsewhere. Redirects are not followed (RFC 8461 section 3.3).
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.errors import DmarcworksError
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["DOCUMENT_BYTES", "DocumentFetcher", "FetchError", "FetchedDocument", "HttpsFetcher"]

DOCUMENT_BYTES = 64 * 1024
_SECONDS = 10.0
# A gateway may translate these to any address of IPv4 (RFC 6052, RFC 8215).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


class FetchError(DmarcworksError):
    """A document that cannot be fetched. `kind`: unreachable, certificate, private-address, too-large."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class FetchedDocument:
    """An answer of a web server, whatever its status."""

    status: int
    media_type: str
    body: bytes


class DocumentFetcher(Protocol):
    """How the checks fetch; the tests and the REST API have their own."""

    async def __call__(self, url: str) -> FetchedDocument:
        """The document of an https URL; `FetchError`."""


class HttpsFetcher:
    """`private` allows addresses that are not public, for a name server on this machine."""

    def __init__(
        self, lookup: RecordLookup, *, private: bool = False, port: int = 443, context: ssl.SSLContext | None = None
    ) -> None:
        self._lookup = lookup
        self._private = private
        self._port = port
        self._context = context

    async def __call__(self, url: str) -> FetchedDocument:
        """The document; `FetchError` names why there is none."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise FetchError("unreachable", "the URL is not valid") from None
        if parts.scheme != "https" or not host or parts.username or port not in (None, 443):
            raise FetchError("unreachable", "the URL is not https on port 443")
        address = await self._address(host)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            async with asyncio.timeout(max(min(_SECONDS, self._lookup.deadline - time.monotonic()), 0.01)):
                return await self._fetched(address, host, path)
        except TimeoutError:
            raise FetchError("unreachable", "the web server did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise _fetch_error(error) from None

    async def _address(self, host: str) -> str:
        try:
            addresses = await self._lookup.addresses(host)
        except NoAnswerError:
            raise FetchError("unreachable", f"DNS did not answer about {host}") from None
        if not addresses:
            raise FetchError("unreachable", f"{host} has no address")
        public = [address for address in addresses if self._private or _public(address)]
        if not public:
            raise FetchError("private-address", f"{host} has no public address")
        return public[0]

    async def _fetched(self, address: str, host: str, path: str) -> FetchedDocument:
        place = f"[{address}]" if ":" in address else address
        request = httpx.Request(
            "GET",
            f"https://{place}:{self._port}{path}",
            headers={"Host": host, "Accept-Encoding": "identity", "User-Agent": "dmarcworks"},
            extensions={"sni_hostname": host},
        )
        context = self._context or ssl.create_default_context()
        # Proxies and credentials of the environment are not for strangers' hosts.
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=_SECONDS) as client:
            response = await client.send(request, stream=True)
            try:
                body = bytearray()
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > DOCUMENT_BYTES:
                        raise FetchError("too-large", f"it is larger than {DOCUMENT_BYTES:,} bytes")
            finally:
                await response.aclose()
        return FetchedDocument(response.status_code, response.headers.get("content-type", ""), bytes(body))


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    if any(ip in network for network in _TRANSLATED):
        return False
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return inner.is_global and not inner.is_multicast and ip.is_global


def _fetch_error(error: Exception) -> FetchError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FetchError("certificate", cause.verify_message or "it is not valid")
        cause = cause.__cause__ or cause.__context__
    return FetchError("unreachable", str(error)[:200] or type(error).__name__)
