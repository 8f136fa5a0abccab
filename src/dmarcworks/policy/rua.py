"""Append an address for aggregate reports to a DMARC record, and remove it again. Pure.

Every character outside the list of rua stays as it is. What was appended and is removed gives back the record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dmarcworks.enrich.dmarc_policy import is_dmarc_record
from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.report_uris import report_uri

__all__ = ["append_rua", "append_tls_rua", "has_list", "has_rua", "is_tls_record", "mail_uri", "remove_rua"]

_NAME = re.compile(r"[ \t]*rua[ \t]*=[ \t]*", re.IGNORECASE)
_TLS_VERSION = re.compile(r"v=TLSRPTv1[ \t]*(?:;|$)")
_WHITE = " \t"
# RFC 3986 without what separates in a record; everything else in a mail address is escaped.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~@+=$&'*")


@dataclass(frozen=True, slots=True)
class _RuaList:
    """Where the value of the first rua is: from after the equals sign to the end of its last character."""

    start: int
    end: int


def append_rua(record: str, address: str) -> str:
    """The record with the address in its rua; the same record when it is there already.

    `UsageError` when receivers would not recognise the text as a DMARC record: it must be corrected first.
    """
    _require_record(record)
    return _appended(record, address)


def append_tls_rua(record: str, address: str) -> str:
    """The same for a TLS-RPT record, whose rua is a list of the same form (RFC 8460 section 3)."""
    if not is_tls_record(record):
        raise UsageError("the text is not a TLS-RPT record; it must begin with v=TLSRPTv1 and a semicolon")
    return _appended(record, address)


def is_tls_record(text: str) -> bool:
    """Whether a text is a TLS-RPT record by its version."""
    return _TLS_VERSION.match(text) is not None


def _appended(record: str, address: str) -> str:
    if has_rua(record, address):
        return record
    uri = mail_uri(address)
    where = _rua_list(record)
    if where is not None:
        # A blank marks the address in a rua that was empty, so that removing it leaves the empty rua and not none.
        mark = "," if where.end > where.start else " "
        return f"{record[: where.end]}{mark}{uri}{record[where.end :]}"
    # A tag of our own at the end; a semicolon that ends the record keeps its place.
    trimmed = record.rstrip(_WHITE)
    rest = record[len(trimmed) :]
    if trimmed.endswith(";"):
        return f"{trimmed} rua={uri};{rest}"
    return f"{trimmed}; rua={uri}{rest}"


def remove_rua(record: str, address: str) -> str:
    """The record without the address in its rua, and without a rua that only it needed; else the same record."""
    _require_record(record)
    while (where := _rua_list(record)) is not None and has_rua(record, address):
        parts = record[where.start : where.end].split(",")
        if len(parts) > 1:
            last = max(number for number, part in enumerate(parts) if _is_address(part, address))
            record = f"{record[: where.start]}{_without(parts, last)}{record[where.end :]}"
        elif record[where.start - 1] == " ":
            record = record[: where.start - 1] + record[where.end :]
        else:
            record = _without_tag(record, where)
    return record


def has_rua(record: str, address: str) -> bool:
    """Whether reports go to the address already; names of domains and schemes have no case."""
    where = _rua_list(record)
    return where is not None and any(_is_address(part, address) for part in record[where.start : where.end].split(","))


def has_list(record: str) -> bool:
    """Whether the record has a rua at all, be it empty."""
    return _rua_list(record) is not None


def _require_record(record: str) -> None:
    if not is_dmarc_record(record):
        raise UsageError("the text is not a DMARC record; it must begin with v=DMARC1 and a semicolon")


def _rua_list(record: str) -> _RuaList | None:
    position = 0
    for part in record.split(";"):
        match = _NAME.match(part)
        if match is not None:
            value = part[match.end() :]
            return _RuaList(position + match.end(), position + match.end() + len(value.rstrip(_WHITE)))
        position += len(part) + 1
    return None


def _is_address(part: str, address: str) -> bool:
    uri = report_uri(part.strip(_WHITE))
    return bool(uri.address) and _folded(uri.address) == _folded(address)


def _folded(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower().rstrip('.')}"


def _without(parts: list[str], index: int) -> str:
    """The list without one of its parts; the white space of the others stays."""
    rest = parts[:index] + parts[index + 1 :]
    if index == 0:
        # The white space before our part belonged to the list's beginning.
        lead = parts[0][: len(parts[0]) - len(parts[0].lstrip(_WHITE))]
        rest[0] = lead + rest[0].lstrip(_WHITE)
    return ",".join(rest)


def _without_tag(record: str, where: _RuaList) -> str:
    """The record without its rua: the tag with the semicolon before it, which a record has after its version."""
    start = record.rfind(";", 0, where.start)
    return record[:start] + record[where.end :]


def mail_uri(address: str) -> str:
    """The mailto URI of an address; what separates in a record is escaped."""
    escaped = "".join(
        character if character in _PLAIN else "".join(f"%{octet:02X}" for octet in character.encode())
        for character in address
    )
    return f"mailto:{escaped}"
