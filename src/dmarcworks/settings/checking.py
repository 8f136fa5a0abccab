"""Settings of the scheduled checks of DNS records."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["CheckingSettings"]


class CheckingSettings(BaseModel):
    """How often the DNS records of the domains are checked, and how many queries that may cause."""

    dns_checks: str = Field(
        "on",
        pattern="^(on|off)$",
        description="Check the DNS records of all domains regularly and keep their history: on, or off (then only what "
        "a person requests is checked).",
    )
    dns_check_dmarc_seconds: int = Field(
        3600, ge=300, le=604_800, description="Seconds between two checks of a domain's DMARC record."
    )
    dns_check_records_seconds: int = Field(
        86_400, ge=3600, le=2_592_000, description="Seconds between two checks of all DNS records of a domain."
    )
    dns_check_queries_per_second: float = Field(
        20.0,
        gt=0,
        le=10_000,
        description="DNS queries per second of these checks, by all processes together.",
    )
    dns_check_concurrency: int = Field(8, ge=1, le=500, description="Domains that one process checks at the same time.")
