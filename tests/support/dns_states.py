"""Stored states of DNS records for pure tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dmarcworks.catalogue.dns_states import DnsState, RecordKind

__all__ = ["state"]


def state(
    days: float,
    *,
    records: str | tuple[str, ...] = "",
    kind: RecordKind = RecordKind.dmarc,
    name: str = "_dmarc.a.example",
    until: float | None = None,
) -> DnsState:
    """A state that was seen first so many days after 1 March 2026, and until so many."""
    first = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=days)
    last = first if until is None else datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=until)
    texts = records if isinstance(records, tuple) else (records,) if records else ()
    return DnsState(0, kind, name, texts, "\n".join(texts), (), first, last, last, "", "system", True)
