"""The requests of `check --jsonl`: one JSON object per line. Bounded; a line that is wrong gets an answer too."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.names import domain_to_check
from dmarcworks.policy.dns_records.report_card import CardRequest

__all__ = ["RequestLine", "request_lines"]

# No request needs more; a longer line is not a valid one.
_LINE_BYTES = 1024 * 1024
_SELECTORS = 50
_TEXT = 1_000


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A line: its request, or what is wrong with it; `domain` as it was written, as far as it was."""

    request: CardRequest | None
    fault: str = ""
    domain: str | None = None


def request_lines(file: BinaryIO) -> Iterator[RequestLine]:
    """Every line that is not blank; of one that is too long only its beginning is kept."""
    number = 0
    while line := file.readline(_LINE_BYTES + 1):
        number += 1
        rest = line
        while len(rest) > _LINE_BYTES and not rest.endswith(b"\n"):
            rest = file.readline(_LINE_BYTES + 1)
        if line.strip():
            yield _line(line, number)


def _line(line: bytes, number: int) -> RequestLine:
    document: Any = None
    try:
        if len(line) > _LINE_BYTES:
            raise UsageError(f"is longer than {_LINE_BYTES:,} bytes")
        document = _object(line)
        return RequestLine(_request(document))
    except UsageError as error:
        domain = document.get("domain") if isinstance(document, dict) else None
        return RequestLine(None, f"line {number} {error}", domain[:_TEXT] if isinstance(domain, str) else None)


def _object(line: bytes) -> dict[str, Any]:
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError("is not JSON") from None
    if not isinstance(document, dict):
        raise UsageError("is not a JSON object")
    return document


def _request(document: dict[str, Any]) -> CardRequest:
    """The request; keys that mean nothing are ignored."""
    name = _text(document, "domain")
    if not name:
        raise UsageError('has no "domain"')
    try:
        domain = domain_to_check(name)
    except UsageError:
        raise UsageError('has a "domain" that is not a domain name') from None
    selectors = document.get("selectors") or []
    if not isinstance(selectors, list) or not all(isinstance(one, str) for one in selectors):
        raise UsageError('has "selectors" that are not a list of text')
    if len(selectors) > _SELECTORS:
        raise UsageError(f"has more than {_SELECTORS} selectors")
    address, mail_from, helo = (_text(document, key) for key in ("spf_ip", "mail_from", "helo"))
    if (mail_from or helo) and not address:
        raise UsageError('has "mail_from" or "helo" without "spf_ip"')
    if address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise UsageError('has an "spf_ip" that is not an IP address') from None
    # An empty mail_from is a bounce; without the key mail of the domain itself is meant.
    sender = mail_from if document.get("mail_from") is not None else None
    return CardRequest(domain, tuple(selectors), address, sender, helo)


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    if value is not None and (not isinstance(value, str) or len(value) > _TEXT):
        raise UsageError(f'has a "{key}" that is not text of up to {_TEXT:,} characters')
    return value or ""
