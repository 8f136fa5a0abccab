"""Connections to mail servers that users name: resolved once, and for tenants to public addresses only.

The connection goes to the address that was judged, so that a second answer of DNS cannot lead it elsewhere.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from dataclasses import dataclass

from dmarcworks.sources.contract import MailboxError

__all__ = ["Network", "connected", "is_public", "tls_context"]

# A gateway may translate these to any address of IPv4 (RFC 6052, RFC 8215).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True)
class Network:
    """How a source connects: seconds that an answer may take, authorities to trust, and whether any address is allowed
    or public ones only."""

    seconds: float = 30.0
    ca_file: str = ""
    private: bool = True


def tls_context(network: Network) -> ssl.SSLContext:
    """A context that verifies the server; `MailboxError` when the file of authorities cannot be used."""
    context = ssl.create_default_context()
    if network.ca_file:
        try:
            context.load_verify_locations(network.ca_file)
        except (OSError, ssl.SSLError) as error:
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
            text = f"DMARCWORKS_MAILBOX_CA_FILE={network.ca_file} cannot be used: {reason}"
            raise MailboxError("settings", text) from None
    return context


def connected(host: str, port: int, network: Network) -> socket.socket:
    """A connected socket; the error of the last address that was tried."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    allowed = [entry for entry in entries if network.private or is_public(str(entry[4][0]))]
    if not allowed:
        raise MailboxError(
            "address",
            f"{host} has no public address. Mailboxes on private addresses can only be added by the operator, with"
            " `dmarcworks mailbox add`.",
        )
    last: OSError | None = None
    for family, kind, protocol, _, address in allowed:
        made = socket.socket(family, kind, protocol)
        made.settimeout(network.seconds)
        try:
            made.connect(address)
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    assert last is not None
    raise last


def is_public(address: str) -> bool:
    """Whether the address is one of the public Internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if any(ip in network for network in _TRANSLATED):
        return False
    inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
    return bool(inner.is_global and not inner.is_multicast and ip.is_global)
