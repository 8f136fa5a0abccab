"""Every setting, defined once: name, type, default, bound, help."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dmarcworks.settings.tables import MailboxTable

__all__ = ["Network", "Settings"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MIB = 1024 * 1024


class Settings(BaseModel):
    """The settings table. A field's `description` is its help, its constraints are its bounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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
    mail_bytes: int = Field(25 * _MIB, ge=1024, le=1024 * _MIB, description="Largest mail, in bytes.")
    inflated_bytes: int = Field(
        256 * _MIB, ge=1024, le=4096 * _MIB, description="Decompressed bytes of all reports of one mail, together."
    )
    members: int = Field(100, ge=1, le=100_000, description="Files in the parts and archives of one mail.")
    nesting: int = Field(5, ge=1, le=50, description="Depth of nested mails and archives.")
    mime_depth: int = Field(20, ge=2, le=100, description="Depth of nested multiparts in one mail.")
    header_bytes: int = Field(
        100 * 1024,
        ge=1000,
        le=16 * _MIB,
        description="Longest header field, in bytes; the rest of a longer one is ignored and a problem is listed.",
    )
    header_fields: int = Field(
        1000,
        ge=50,
        le=100_000,
        description="Header fields of a mail or part; of the rest only MIME fields are parsed and a problem is listed.",
    )
    header_parameters: int = Field(
        1000, ge=10, le=100_000, description="Parameters of a header field; for more a problem is listed."
    )
    encoded_words: int = Field(
        1000, ge=10, le=100_000, description="Encoded words (RFC 2047) of a header field that are decoded."
    )
    xml_depth: int = Field(50, ge=8, le=200, description="Depth of nested XML elements in a report.")
    records: int = Field(1_000_000, ge=1, le=1_000_000, description="Records per report.")
    read_processes: int = Field(
        2, ge=1, le=64, description="Isolated processes that parse large mails (over 64 KiB) in parallel."
    )
    read_cpu_seconds: float = Field(
        120.0,
        ge=1,
        le=86_400,
        description="Seconds of processor time for parsing one mail; beyond it parsing stops and a problem is listed.",
    )
    read_memory_bytes: int = Field(
        1024 * _MIB,
        ge=128 * _MIB,
        le=1 << 40,
        description="Memory of a process that parses mails; beyond it parsing stops and a problem is listed.",
    )
    queue_batch: int = Field(
        1000, ge=1, le=1000, description="Largest number of mails that are processed and published together."
    )
    queue_lease_seconds: int = Field(
        300,
        ge=10,
        le=43_200,
        description="Seconds after which a mail is redelivered when the process that worked on it has died.",
    )
    queue_max_retries: int = Field(5, ge=0, le=100, description="Retries of a mail before it becomes a problem.")
    inbox_items: int = Field(
        1_000_000,
        ge=0,
        le=1_000_000_000,
        description="Mails that may wait to be processed; beyond it senders receive 451 4.3.1 and retry. 0: no limit.",
    )
    inbox_free_share: float = Field(
        0.01,
        ge=0,
        le=0.9,
        description="Share of the disks of objects and database that must stay free; below it: 451 4.3.1. 0: no limit.",
    )
    failure_originals: str = Field(
        "headers",
        pattern="^(keep|headers|drop)$",
        description="What is kept of the message that a failure report quotes: keep (all), headers, or drop (nothing).",
    )
    retention_raw_mails: int = Field(
        0, ge=0, le=36_500, description="Days that raw mails are kept after processing; 0: for ever."
    )
    retention_archived_reports: int = Field(
        0, ge=0, le=36_500, description="Days that aggregate and TLS reports are kept as received; 0: for ever."
    )
    retention_records: int = Field(
        0, ge=0, le=36_500, description="Days that the figures are kept, by the day they are about; 0: for ever."
    )
    retention_failure_reports: int = Field(
        0, ge=0, le=36_500, description="Days that failure reports and their raw mails are kept; 0: for ever."
    )
    retention_problems: int = Field(
        0, ge=0, le=36_500, description="Days that problems and their raw mails are kept; 0: for ever."
    )
    retention_data_points: int = Field(
        0, ge=0, le=36_500, description="Days that data points of your own workers are kept; 0: for ever."
    )
    activity_days: int = Field(30, ge=1, le=3650, description="Days that entries of the activity log are kept.")
    routing_subaddressing: bool = Field(
        False,
        description="Whether a rule for user@ also matches user+detail@ (RFC 5233) when no rule matches that "
        "address itself.",
    )
    postmaster: str = Field(
        "",
        max_length=320,
        description="Address that mail to postmaster at this host is forwarded to, a verified destination of the "
        "operator's account; empty, or without a relay: it is kept and listed as other mail. A routing rule on "
        "postmaster's address has precedence.",
    )
    workers: str = Field("", description="Your own workers: name=path.py or name=package.module, separated by commas.")
    worker_bindings: str = Field(
        "",
        description="Bindings of the workers: worker.NAME=kv|objects|analytics|queue[:prefix], separated by commas; "
        "empty: KV, OBJECTS, ANALYTICS and QUEUE, separate for each worker.",
    )
    worker_queues: str = Field(
        "",
        description="How the workers' queues are consumed: worker.OPTION=value, separated by commas; OPTION is "
        "max_batch_size (10), max_batch_timeout (5 s), max_retries (3), retry_delay (growing) or dead_letter_queue.",
    )
    relay_url: str = Field(
        "",
        description="Server for outgoing mail: smtp://[user:password@]host[:port][?starttls=auto|always|never] or smtps://…",
    )
    relay_days: float = Field(
        5.0, gt=0, le=30, description="Days that outgoing mail is retried while the relay is unavailable."
    )
    dkim_key: str = Field("", description="RSA key (PEM) that signs and seals outgoing mail; empty: no signature.")
    dkim_selector: str = Field(
        "dmarcworks", pattern=r"^[A-Za-z0-9._-]{1,63}$", description="DKIM selector of that key."
    )
    dkim_domain: str = Field("", description="DKIM domain of that key; empty: the hostname.")
    sender_file: str = Field(
        "",
        description="CSV file with rows of base PTR domain, name, type: the weakest evidence of who sent a message, "
        "for sources with a confirmed PTR; empty: none.",
    )
    report_auth: str = Field(
        "accept",
        pattern="^(accept|quarantine|reject|off)$",
        description="Report mails that fail DMARC: accept (count and mark), quarantine (archive, do not count), "
        "reject (do not extract reports; list a problem), or off (no check). While DNS does not answer, quarantine "
        "and reject keep a mail waiting (auth_wait_hours).",
    )
    forward_auth: str = Field(
        "check",
        pattern="^(check|off)$",
        description="check: authenticate a mail before it is forwarded or answered; off: no check.",
    )
    auth_seconds: float = Field(
        5.0, gt=0, le=60, description="Seconds that DNS may take to answer the queries for authenticating one mail."
    )
    auth_wait_hours: float = Field(
        24.0,
        ge=0,
        le=720,
        description="With report_auth quarantine or reject: hours that a report mail waits and is checked repeatedly "
        "while DNS does not answer; then it is quarantined and a problem is listed.",
    )
    dns_server: str = Field("", description="Name server to query, as address[:port]; empty: the system's.")
    address_names: str = Field(
        "on",
        pattern="^(on|off)$",
        description="on: look up the names (PTR) of source addresses in DNS after reports are published; off: do not.",
    )
    ip_data: str = Field(
        "",
        description="Files in MaxMind's format (IPinfo Lite, GeoLite2, DB-IP Lite), or folders of them, separated by "
        "commas, that name network and country of an address; empty: the folder ipdata of the data directory and the "
        "file that was installed; off: none.",
    )
    ip_data_url: str = Field(
        "",
        description="Address from which `dmarcworks ipdata update` downloads a file: https://…, as .mmdb, .mmdb.gz or "
        ".tar.gz.",
    )
    worker_seconds: float = Field(30.0, gt=0, le=600, description="Seconds that a worker has for one mail or batch.")
    sql_seconds: float = Field(10.0, gt=0, le=3600, description="Seconds that one SQL statement may take.")
    sql_rows: int = Field(100_000, ge=1, le=10_000_000, description="Rows that one SQL statement may return.")
    sql_memory_bytes: int = Field(1024 * _MIB, ge=_MIB, description="Memory of one SQL statement, in bytes.")
    api_requests_per_minute: int = Field(
        6000, ge=1, le=1_000_000, description="Requests per token and minute, over all APIs."
    )
    api_failures_per_minute: int = Field(
        30, ge=1, le=1_000_000, description="Unknown tokens that one address may try per minute."
    )
    query_log_days: int = Field(
        30, ge=0, le=3650, description="Days that the log of SQL statements is kept; 0: no log."
    )
    graphql_depth: int = Field(10, ge=5, le=50, description="Depth of nested fields in a GraphQL query.")
    graphql_rows: int = Field(10_000, ge=1, le=100_000, description="Largest limit of a GraphQL node.")
    graphql_cost: int = Field(
        1_000_000,
        ge=1000,
        le=100_000_000,
        description="Cost of a GraphQL query: limit × fields × zones, summed over its nodes.",
    )
    graphql_queries: int = Field(300, ge=1, le=1_000_000, description="GraphQL queries per token in five minutes.")
    mailboxes: tuple[MailboxTable, ...] = Field(
        (),
        description="Mailboxes to fetch reports from, in the TOML file only: a table [[mailbox]] each, with name, url, "
        "password_file, settle (leave, seen, move:FOLDER or delete) and account. This version checks the tables and "
        "does not fetch from them.",
    )
    log_format: str = Field(
        "auto", pattern="^(auto|json|text)$", description="json, text, or auto: text on a terminal."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error.")

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, text: str) -> str:
        _networks(text)
        return text

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxies`."""
        return _networks(self.trusted_proxies)

    @property
    def database(self) -> str:
        """The database's URL with its default filled in."""
        return self.database_url or f"sqlite:///{self.home.resolve() / 'dmarcworks.db'}"

    @property
    def objects(self) -> str:
        """The object store's URL with its default filled in."""
        return self.objects_url or f"file://{self.home.resolve() / 'objects'}"

    @property
    def analytics(self) -> str:
        """The analytics store's URL with its default filled in."""
        return self.analytics_url or f"chdb://{self.home.resolve() / 'analytics'}"

    @property
    def alone(self) -> bool:
        """Whether the process that opens Analytics is the only consumer of the queue: both are files of one folder."""
        return not self.database_url and not self.analytics_url


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
