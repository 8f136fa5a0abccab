"""The layouts of IP data files, distinguished by the `database_type` of their metadata. Pure.

IPinfo has flat records of text, MaxMind and DB-IP nested ones. What a record holds is checked value by value: a value
that is none is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from dmarcworks.enrich.network.attribution import DBIP, IPINFO, MAXMIND, Attribution

__all__ = ["NOTHING", "IpRecord", "Layout", "layout_of"]

_TEXT_CHARACTERS = 200
_COUNTRY = re.compile(r"[A-Z]{2}")
_ASN = re.compile(r"(?:AS)?([0-9]{1,10})", re.IGNORECASE | re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,20}", re.ASCII)
_LARGEST_ASN = 2**32 - 1


class IpRecord(NamedTuple):
    """What a file states about an address; `country` is an ISO 3166 code."""

    asn: int | None = None
    as_name: str | None = None
    as_domain: str | None = None
    country: str | None = None


NOTHING = IpRecord()


@dataclass(frozen=True, slots=True)
class Layout:
    """How the records of a kind of file are read; `name` is a label for file names and columns."""

    name: str
    attribution: Attribution
    read: Callable[[object], IpRecord]


def layout_of(database_type: str) -> Layout | None:
    """The layout by the metadata's type; None for a file of another kind, such as anonymous proxies or postal codes."""
    words = re.split(r"[^a-z0-9]+", database_type.lower())
    if words[0] == "ipinfo":
        rest = [word for word in words[1:] if word not in ("", "mmdb")]
        return Layout("-".join(["ipinfo", *(["lite"] if "lite" in rest else rest)])[:60], IPINFO, _flat)
    if words[0] in ("geolite2", "geoip2") and (kind := _kind(words[1:2], "asn", "country", "city")):
        return Layout(f"{words[0]}-{kind}", MAXMIND, _nested)
    # "DBIP-City-Lite", "DBIP-ASN-Lite (compat=GeoLite2-ASN)"
    if words[0] == "dbip" and (kind := _kind(words[1:2], "asn", "country", "city", "location", "isp")):
        return Layout(f"dbip-{kind}{'-lite' if words[2:3] == ['lite'] else ''}", DBIP, _nested)
    return None


def _kind(words: list[str], *kinds: str) -> str:
    return words[0] if words and words[0] in kinds else ""


def _flat(record: object) -> IpRecord:
    # What the decoder gives is a dict; looking for the abstract type takes longer than reading it.
    if not isinstance(record, dict) and not isinstance(record, Mapping):
        return NOTHING
    get = record.get
    try:
        # Older files have the code in `country`, newer ones the country's name.
        return _checked(get("asn"), get("as_name"), get("as_domain"), get("country_code") or get("country"))
    except TypeError:  # a list or map in place of a value
        return NOTHING


def _nested(record: object) -> IpRecord:
    if not isinstance(record, Mapping):
        return NOTHING
    country = record.get("country") or record.get("registered_country")
    code = country.get("iso_code") if isinstance(country, Mapping) else None
    try:
        return _checked(
            record.get("autonomous_system_number"), record.get("autonomous_system_organization"), None, code
        )
    except TypeError:
        return NOTHING


@lru_cache(10_000, typed=True)
def _checked(asn: object, as_name: object, as_domain: object, country: object) -> IpRecord:
    """Thousands of addresses share a network: its values are checked once."""
    return IpRecord(_asn(asn), _text(as_name), _domain(as_domain), _country(country))


def _asn(value: Any) -> int | None:
    if isinstance(value, str) and (match := _ASN.fullmatch(value)):
        value = int(match[1])
    return value if type(value) is int and 0 < value <= _LARGEST_ASN else None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    # Names are shown to people: no line ends, no control characters, no lone surrogates.
    plain = "".join(character if character.isprintable() else " " for character in value[:_TEXT_CHARACTERS])
    return " ".join(plain.split()) or None


def _domain(value: Any) -> str | None:
    name = value.lower().rstrip(".") if isinstance(value, str) and len(value) <= _TEXT_CHARACTERS else ""
    return name if _DOMAIN.fullmatch(name) else None


def _country(value: Any) -> str | None:
    return value if isinstance(value, str) and _COUNTRY.fullmatch(value) else None
