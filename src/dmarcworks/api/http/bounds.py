"""The bounds of a client of the HTTP server, from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from dmarcworks.settings import Settings

__all__ = ["HttpBounds"]


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """Connections, seconds and bytes.

    A body has `body_seconds` and one second more for each `rate` bytes of it, at most `transfer_seconds` in all; an
    answer has `write_seconds` and the same beyond. `header_seconds` counts from the connection or from the first byte
    of a later request, `idle_seconds` between two requests.
    """

    connections: int = 512
    connections_per_address: int = 64
    header_seconds: float = 10
    header_bytes: int = 16_384
    body_seconds: float = 20
    write_seconds: float = 30
    idle_seconds: int = 30
    rate: int = 1000
    transfer_seconds: float = 1800
    transfer_bytes: int = 256 << 20
    mail_bytes: int = 25 << 20

    @classmethod
    def of(cls, settings: Settings, connections: int) -> HttpBounds:
        """The settings' bounds, with as many connections as there are descriptors for."""
        return cls(
            connections=connections,
            connections_per_address=settings.http_connections_per_address,
            header_seconds=settings.http_header_seconds,
            header_bytes=settings.http_header_bytes,
            body_seconds=settings.http_body_seconds,
            write_seconds=settings.http_write_seconds,
            idle_seconds=settings.http_idle_seconds,
            rate=settings.http_bytes_per_second,
            transfer_seconds=settings.http_transfer_seconds,
            transfer_bytes=settings.http_transfer_bytes,
            mail_bytes=settings.mail_bytes,
        )
