"""Settings of the stores and of receiving mail."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

__all__ = ["ReceivingSettings"]

_MIB = 1024 * 1024


class ReceivingSettings(BaseModel):
    """Data directory, host name, stores, and the SMTP and LMTP listeners with their limits."""

    home: Path = Field(Path("var"), description="Data directory of the embedded stores; created if missing.")
    hostname: str = Field(
        "localhost",
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Name of this report host: the part after @ in rua addresses, the MX to publish, the SMTP banner.",
    )
    public_url: str = Field("", description="Public address of the dashboard; empty: http://<http_host>:<http_port>.")
    database_url: str = Field(
        "",
        description="Key-value store, queue and catalogue: sqlite:///path or postgresql://…; empty: sqlite:///<DMARCWORKS_HOME>/dmarcworks.db.",
    )
    objects_url: str = Field("", description="Store of raw mails and reports; empty: file://<DMARCWORKS_HOME>/objects.")
    analytics_url: str = Field("", description="Store of the figures; empty: chdb://<DMARCWORKS_HOME>/analytics.")
    smtp_host: str = Field("127.0.0.1", description="Address that SMTP listens on.")
    smtp_port: int = Field(2525, ge=0, le=65535, description="Port that SMTP listens on; 0: any free port.")
    smtp_listen: str = Field(
        "",
        description="Listeners, instead of smtp_host and smtp_port: a list of host:port and [IPv6]:port (each "
        "optionally"
        " followed by /tls, /lmtp or /proxy) and unix:/path (LMTP), separated by commas or spaces.",
    )
    smtp_tls_cert: str = Field(
        "", description="PEM file of the certificate and its chain, for STARTTLS and /tls; reloaded when it changes."
    )
    smtp_tls_key: str = Field("", description="PEM file of the certificate's key, not encrypted.")
    smtp_proxy_networks: str = Field(
        "",
        description="Networks of load balancers that may send the client's address with the PROXY protocol to "
        "/proxy listeners.",
    )
    smtp_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that receive mail; 1: the server process itself; more: child processes of it.",
    )
    smtp_connections: int = Field(1000, ge=1, le=100_000, description="Concurrent SMTP connections in all.")
    smtp_connections_per_address: int = Field(
        10, ge=1, le=100_000, description="Concurrent SMTP connections per address."
    )
    smtp_recipients: int = Field(100, ge=1, le=10_000, description="Recipients per mail.")
    smtp_line_bytes: int = Field(
        _MIB,
        ge=1000,
        le=64 * _MIB,
        description="Longest line of a mail, in bytes; some reports exceed the 1,000 of RFC 5321.",
    )
    smtp_idle_seconds: int = Field(
        60, ge=1, le=3600, description="Seconds without data after which an SMTP connection is closed."
    )
    smtp_transfer_seconds: int = Field(
        1800, ge=10, le=86_400, description="Seconds that the transfer of one mail may take, even without pauses."
    )
    smtp_transfer_bytes: int = Field(
        512 * _MIB,
        ge=_MIB,
        le=1 << 40,
        description="Bytes of all mails being transferred, together; beyond it: 452.",
    )
    smtp_errors: int = Field(
        100,
        ge=1,
        le=100_000,
        description="Commands between two mails that may be rejected or have no effect; beyond it: 421.",
    )
    smtp_connections_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="New SMTP connections per address (IPv6: per /64) and minute; 0: no limit."
    )
    smtp_mails_per_minute: int = Field(
        0, ge=0, le=1_000_000, description="Mails per address (IPv6: per /64) and minute; beyond it: 450. 0: no limit."
    )
    operator_account: str = Field(
        "default",
        max_length=255,
        description="Account that may administer system-wide resources (worker queues and their dead-lettered "
        "messages) and have the report host, its parents, its subdomains and public suffixes as domains; empty: no "
        "account can.",
    )
    domain_claims: str = Field(
        "on",
        pattern="^(on|off)$",
        description="on: an account that proves a domain with a DNS record receives it, even if another account added "
        "it before; off, for a server with one tenant: a domain stays where it was added.",
    )
    setup_checks: str = Field(
        "on",
        pattern="^(on|off)$",
        description="on: look up in DNS whether the records of each domain are published, when it is added and until "
        "they are; off: only when `dmarcworks domain check` does it.",
    )
