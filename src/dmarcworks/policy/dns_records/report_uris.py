"""The addresses that a record requests reports at: the URIs of rua and ruf (RFC 9989 section 4.6, RFC 3986). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from dmarcworks.reports.a_labels import a_labels

__all__ = ["ReportUri", "UriFault", "report_uri", "report_uris"]

# More addresses than anybody sends reports to; the rest of a longer list is not read.
_URIS = 50
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
# RFC 3986 without the comma and the exclamation mark, which separate (RFC 9989 section 4.8).
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#\[\]@$&'()*+;=]|%[0-9A-Fa-f]{2})+")
_SIZE = re.compile(r"!([0-9]{1,15})([kmgt]?)", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_LOCAL = re.compile(r"[^\x00-\x20\x7f@]{1,64}")


class UriFault:
    """What is wrong with an address; part of the finding's code."""

    no_scheme = "without-mailto"
    invalid = "invalid"
    address = "address"


@dataclass(frozen=True, slots=True)
class ReportUri:
    """One URI of a list: as written, its scheme, for mailto the address and its domain, the obsolete size in bytes."""

    text: str
    scheme: str = ""
    address: str = ""
    domain: str = ""
    size: int | None = None
    size_valid: bool = True
    fault: str = ""

    @property
    def valid(self) -> bool:
        """Whether it is a URI that a report can be sent to, or would be if its scheme were supported."""
        return not self.fault


def report_uris(value: str) -> list[ReportUri]:
    """The URIs of a list with commas; empty entries count for nothing."""
    return [report_uri(part.strip()) for part in value.split(",")[:_URIS] if part.strip()]


def report_uri(text: str) -> ReportUri:
    """One URI, with an obsolete size suffix (`!10m`) or without."""
    uri, mark, _ = text.partition("!")
    size = _SIZE.fullmatch(text[len(uri) :]) if mark else None
    octets = int(size[1]) << _UNITS[size[2].lower()] if size else None
    sized = not mark or size is not None
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return ReportUri(text, size=octets, size_valid=sized, fault=UriFault.no_scheme)
    name = scheme[1].lower()
    if not _URI.fullmatch(uri):
        return ReportUri(text, name, size=octets, size_valid=sized, fault=UriFault.invalid)
    if name != "mailto":
        return ReportUri(text, name, size=octets, size_valid=sized)
    address = unquote(uri[len("mailto:") :].partition("?")[0])
    local, at, host = address.rpartition("@")
    domain = (a_labels(host) or "").rstrip(".").lower()
    if not at or not _LOCAL.fullmatch(local) or len(domain) > 253 or not _DOMAIN.fullmatch(domain):
        return ReportUri(text, name, size=octets, size_valid=sized, fault=UriFault.address)
    return ReportUri(text, name, address, domain, octets, sized)
