"""Settings of other mail and of what is looked up: rules, workers, forwarding, checks, senders."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["RoutingSettings"]


class RoutingSettings(BaseModel):
    """Workers, relay, signing, checks of mail, DNS, senders and IP data."""

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
    sender_refresh: str = Field(
        "on",
        pattern="^(on|off)$",
        description="on: apply a new sender catalogue, file, own name or decision to stored rows by itself; off: only "
        "by `dmarcworks senders refresh`.",
    )
    ip_data: str = Field(
        "",
        description="Files in MaxMind's format (IPinfo Lite, GeoLite2, DB-IP Lite), or folders of them, separated by "
        "commas, with the network and country of addresses; empty: the folder ipdata of the data directory and the "
        "file that was installed; off: none.",
    )
    ip_data_url: str = Field(
        "",
        description="Address from which `dmarcworks ipdata update` downloads a file: https://…, as .mmdb, .mmdb.gz or "
        ".tar.gz.",
    )
