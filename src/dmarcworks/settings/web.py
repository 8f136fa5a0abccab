"""Settings of HTTP: where it listens, whom it believes, what it allows a client."""

from __future__ import annotations

import ipaddress
import re

from pydantic import BaseModel, Field, field_validator

__all__ = ["Network", "WebSettings"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MIB = 1024 * 1024


class WebSettings(BaseModel):
    """The HTTP and monitoring listeners with their limits, and log-in."""

    http_host: str = Field("127.0.0.1", description="Address that HTTP listens on.")
    http_port: int = Field(8080, ge=0, le=65535, description="Port that HTTP listens on; 0: any free port.")
    trusted_proxies: str = Field(
        "",
        description="Networks of the HTTP proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded headers are "
        "trusted, like 127.0.0.1 or 10.0.0.0/24 2001:db8::/32, separated by commas or spaces; empty: none.",
    )
    login_failures_per_minute: int = Field(
        100,
        ge=1,
        le=1_000_000,
        description="Failed password logins per minute, over all users and addresses; anyone who logged in "
        "from the same address before is not affected.",
    )
    http_connections: int = Field(
        512,
        ge=8,
        le=100_000,
        description="Simultaneous HTTP connections, in total; fewer if the system allows too few open files. Beyond "
        "it: 503.",
    )
    http_connections_per_address: int = Field(
        64,
        ge=1,
        le=100_000,
        description="Simultaneous HTTP connections per address (IPv6: per /64), except from this machine.",
    )
    http_header_seconds: int = Field(
        10, ge=1, le=3600, description="Seconds that a request's first line and headers may take to arrive; then 408."
    )
    http_header_bytes: int = Field(
        16_384, ge=4096, le=_MIB, description="Bytes of a request's first line and headers; beyond it: 431."
    )
    http_body_seconds: int = Field(
        20,
        ge=1,
        le=3600,
        description="Seconds that a request's body may take to arrive, plus one for each http_bytes_per_second "
        "bytes of it; then 408.",
    )
    http_write_seconds: int = Field(
        30,
        ge=1,
        le=3600,
        description="Seconds that a client may take to read a response, plus one for each http_bytes_per_second bytes "
        "of it; then the connection is closed.",
    )
    http_bytes_per_second: int = Field(
        1000, ge=1, le=_MIB, description="Bytes for each of which a slow client gets one more second."
    )
    http_transfer_seconds: int = Field(
        1800, ge=1, le=86_400, description="Seconds that a request's body may take in total, at any transfer rate."
    )
    http_transfer_bytes: int = Field(
        256 * _MIB,
        ge=_MIB,
        le=1 << 40,
        description="Bytes of all request bodies that are being received, together; beyond it: 503.",
    )
    http_idle_seconds: int = Field(
        30, ge=1, le=3600, description="Seconds that a connection may be idle between two requests."
    )
    metrics_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port on http_host that answers /healthz, /readyz and /metrics in every role, for processes "
        "without the role web; 0: none.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, text: str) -> str:
        _networks(text)
        return text

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxies`."""
        return _networks(self.trusted_proxies)


def _networks(text: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for item in re.split(r"[,\s]+", text.strip()):
        if not item:
            continue
        try:
            network = ipaddress.ip_network(item)
        except ValueError:
            form = "write an address or a network like 10.0.0.0/24 or 2001:db8::/32"
            raise ValueError(f"{item!r} is not a network; {form}") from None
        if network.prefixlen == 0:
            # With every address trusted, the client would write its own address.
            raise ValueError(f"{item!r} would trust every address; name the proxies' own networks")
        networks.append(network)
    return tuple(networks)
