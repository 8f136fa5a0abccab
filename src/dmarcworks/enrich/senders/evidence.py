"""Evidence from what others hold: a JSON object, a line of JSON, a record of an aggregate report. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dmarcworks.enrich.senders.model import Evidence, Signature
from dmarcworks.enrich.senders.reasons import passed
from dmarcworks.reports.aggregate.records import Record

__all__ = ["evidence_of", "evidence_of_line", "evidence_of_record"]

_LARGEST_ASN = 2**32 - 1
# A name has 253 characters and a last dot at most; no message has more signatures, except to cause work.
_LONGEST = 255
_SIGNATURES = 50


def evidence_of_line(line: bytes) -> Evidence:
    """The evidence in a line of JSON; ValueError, with a sentence's end ("is not JSON"), for anything else."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    return evidence_of(document)


def evidence_of(document: object) -> Evidence:
    """The evidence in a JSON object; keys that are not evidence are ignored. ValueError for a wrong type."""
    if not isinstance(document, dict):
        raise ValueError("is not a JSON object")
    spf = _object(document.get("spf"), "spf")
    signatures = document.get("dkim") or []
    if not isinstance(signatures, list):
        raise ValueError('has a "dkim" that is not a list of objects')
    return Evidence(
        ip=_text(document, "ip"),
        ptr=_text(document, "ptr"),
        ptr_confirmed=_confirmed(document),
        dkim=tuple(_signature(signature) for signature in signatures),
        spf_domain=_text(spf, "domain"),
        spf_result=_result(spf),
        header_from=_text(document, "header_from"),
        asn=_asn(document.get("asn")),
    )


def evidence_of_record(
    record: Record, ptr: str | None = None, ptr_confirmed: bool = False, asn: int | None = None
) -> Evidence:
    """What a record of a report states, with what DNS and the network's data add. What has no result did not pass."""
    checks = [check for check in record.spf if passed(check.result)] or list(record.spf)
    # The envelope's domain, where the report states for which of envelope and HELO a result is (RFC 7489 Appendix C).
    check = next((check for check in checks if check.scope != "helo"), checks[0] if checks else None)
    return Evidence(
        ip=record.source_ip,
        ptr=ptr,
        ptr_confirmed=ptr_confirmed,
        dkim=tuple(
            Signature(_cut(dkim.domain) or "", _cut(dkim.selector), _cut(dkim.result) or "")
            for dkim in record.dkim[:_SIGNATURES]
        ),
        spf_domain=None if check is None else _cut(check.domain),
        spf_result="" if check is None else _cut(check.result) or "",
        header_from=_cut(record.header_from),
        asn=asn,
    )


def _cut(text: str | None) -> str | None:
    """Text that can be remembered: a name that is too long stays too long."""
    return text if text is None or len(text) <= _LONGEST else text[:_LONGEST]


def _signature(document: object) -> Signature:
    if not isinstance(document, dict):
        raise ValueError('has a "dkim" that is not a list of objects')
    return Signature(_text(document, "domain") or "", _text(document, "selector"), _result(document))


def _object(value: object, key: str) -> Mapping[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise ValueError(f'has a "{key}" that is not an object')
    return value or {}


def _text(document: Mapping[str, Any], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f'has a "{key}" that is not text')
    return value


def _result(document: Mapping[str, Any]) -> str:
    """A missing result is a pass; one that is null is none."""
    return _text(document, "result") or "" if "result" in document else "pass"


def _confirmed(document: Mapping[str, Any]) -> bool:
    value = document.get("ptr_confirmed")
    if value is not None and not isinstance(value, bool):
        raise ValueError('has a "ptr_confirmed" that is not true or false')
    return bool(value)


def _asn(value: object) -> int | None:
    if isinstance(value, str) and value.upper().removeprefix("AS").isdecimal() and len(value) < 20:
        value = int(value.upper().removeprefix("AS"))
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_ASN):
        return value
    raise ValueError('has an "asn" that is not a number of an autonomous system')
