"""Untrusted text → values: counts, instants, addresses, domain names, words. Pure; no value is ever made up.

If a value cannot be determined, the result is None or a `ValueError`; the caller names the field.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from dmarcworks.reports.a_labels import a_labels

LARGEST = 2**63 - 1
_COUNT = re.compile(r"\d{1,40}", re.ASCII)
_DECIMAL = re.compile(r"(\d{1,40})\.0{0,20}", re.ASCII)
_SECONDS = re.compile(r"([+-]?\d{1,20})(?:\.\d{0,20})?", re.ASCII)
_LITERAL = re.compile(
    r"\[(?:IPv6:)?([0-9A-Fa-f.:]{2,45})\]|IPv6:([0-9A-Fa-f.:]{2,45})|([0-9.]{7,15})/32|(?=[0-9A-Fa-f.]{0,45}:)([0-9A-Fa-f.:]{2,45})/128",
    re.IGNORECASE | re.ASCII,
)
_V4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)", re.ASCII)
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?\s?(?:Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_FRACTION = re.compile(r"\.\d+")
# Years 1 to 9999, what a date can be.
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
# Before DMARC (2010) or after 2100: read, and noted as odd.
_ODD_BEFORE, _ODD_AFTER = 1_262_304_000, 4_102_444_800
# Thirteen digits are milliseconds (2001 to 2286), as seconds they would be the year 33,658 and later; so on for finer.
_FINER = ((range(10**12, 10**13), 1000, "milliseconds"), (range(10**15, 10**16), 10**6, "microseconds"))
_DIGITS = re.compile(r"(20\d\d)(\d\d)(\d\d)(?:[T ]?(\d\d)(\d\d)(\d\d)?Z?)?", re.ASCII)
_UNIVERSAL = re.compile(r"\s?(?:UTC|GMT)\Z")
# A date of RFC 5322 without its time.
_DAY = re.compile(r"(?:[A-Za-z]{3},?\s{1,3})?\d{1,2}[ -][A-Za-z]{3}[ -]\d{4}", re.ASCII)
_SLASHES = re.compile(r"20\d\d/\d\d/\d\d", re.ASCII)


def count(text: str) -> tuple[int, bool]:
    """A number of messages and whether its form was odd ("3.0"); ValueError for none, OverflowError past 2^63-1."""
    if _COUNT.fullmatch(text):
        number, odd = int(text), False
    elif decimal := _DECIMAL.fullmatch(text):
        number, odd = int(decimal.group(1)), True
    elif text.isascii() and text.isdigit():
        raise OverflowError(text[:60])
    else:
        raise ValueError(text[:60])
    if number > LARGEST:
        raise OverflowError(text[:60])
    return number, odd


def instant(text: str) -> tuple[int, str]:
    """Unix seconds of a report's begin or end, and how odd it was ("" or a warning's sentence); ValueError for none."""
    if len(text) == 10 and text.isdigit() and text.isascii() and "1262304000" <= text <= "4102444800":
        return int(text), ""  # a day of DMARC's, as nearly all are
    if (day := _digits(text)) is not None:
        return day, f"{text[:40]} was read as a date, YYYYMMDD."
    seconds = _SECONDS.fullmatch(text)
    if seconds:
        number, odd = int(seconds.group(1)), ""
        for numbers, divisor, name in _FINER:
            if number in numbers:
                number, odd = number // divisor, f"{text[:40]} was read as {name}."
    else:
        number, odd = _written(text)
    if not _FIRST <= number <= _LAST:
        raise ValueError(text[:60])
    if not odd and not _ODD_BEFORE <= number <= _ODD_AFTER:
        odd = f"{number} is before 2010 or after 2100."
    return number, odd


def _digits(text: str) -> int | None:
    """A date as YYYYMMDD, or with hhmm or hhmmss: as seconds these digits would be August 1970, or no year at all."""
    match = _DIGITS.fullmatch(text)
    if match is None:
        return None
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    number = _unix(moment)
    return number if _ODD_BEFORE <= number <= _ODD_AFTER else None


def _written(text: str) -> tuple[int, str]:
    """A date in words or in ISO 8601, and the sentence about it."""
    dashed = text.replace("/", "-", 2) if _SLASHES.match(text) else text
    try:
        return iso(_UNIVERSAL.sub("Z", dashed)), f"{text[:40]} was read as an ISO 8601 date."
    except ValueError:
        number = mail_date(text.replace("-", " ") + " 00:00:00 +0000" if _DAY.fullmatch(text) else text)
    if number is None:
        raise ValueError(text[:60])
    return number, f"{text[:60]} was read as a date of RFC 5322."


def iso(text: str) -> int:
    """Unix seconds of an ISO 8601 instant (RFC 3339 and looser: a fraction, no seconds, no zone = UTC)."""
    text = text.strip()
    if not _ISO.fullmatch(text):
        raise ValueError(text[:60])
    try:
        moment = datetime.fromisoformat(
            _FRACTION.sub("", text.upper()).replace(" +", "+").replace(" -", "-").replace(" Z", "Z")
        )
    except ValueError:
        raise ValueError(text[:60]) from None
    return _unix(moment)


def mail_date(text: str) -> int | None:
    """Unix seconds of an RFC 5322 or ISO date; None when it is neither."""
    try:
        return _unix(parsedate_to_datetime(text.strip()[:200]))
    except (ValueError, TypeError, OverflowError, IndexError):
        pass
    try:
        return iso(text)
    except ValueError:
        return None


def _unix(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Not timestamp(): near the years 1 and 9999 an offset would leave what a datetime can be.
    naive = moment.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001
    offset = moment.utcoffset()
    return naive.days * 86_400 + naive.seconds - (int(offset.total_seconds()) if offset else 0)


def address(text: str) -> tuple[str, bool]:
    """An IP address in its canonical text (RFC 5952) and whether it is one; else the text as it came.

    An IPv4 address that is written as an IPv6 one (RFC 4291 §2.5.5.2) is the IPv4 address: one sender is one address.
    """
    if _V4.fullmatch(text):
        return text, True
    if ":" in text and "%" not in text and len(text) <= 45:
        try:
            parsed = ipaddress.IPv6Address(text)
        except ValueError:
            return _literal(text)
        return str(parsed.ipv4_mapped or parsed), True
    return _literal(text)


def _literal(text: str) -> tuple[str, bool]:
    """An address as mail has it (RFC 5321 §4.1.3: [192.0.2.1], IPv6:2001:db8::1) or as a network of one address."""
    literal = _LITERAL.fullmatch(text)
    if literal is None:
        return text, False
    inner, good = address(literal[1] or literal[2] or literal[3] or literal[4])
    return (inner, True) if good else (text, False)


def _encoded(name: str) -> str:
    """The DNS form of a name that IDNA 2008 rejects, such as one with an emoji; such names are registered anyway."""
    labels = name.replace("。", ".").split(".")
    return ".".join(x if x.isascii() else "xn--" + x.encode("punycode").decode("ascii") for x in labels)


def domain(text: str) -> str:
    """A domain name in lower case, without its trailing dot, non-ASCII labels as A-labels; other text in lower case."""
    if text.isascii():
        name = text.lower()
    else:
        name = unicodedata.normalize("NFC", text.lower())
        if len(name) <= 255 and not any(c.isspace() or c in "@<>,\ufffd" for c in name):
            name = a_labels(name) or _encoded(name)
    return name[:-1] if name.endswith(".") and len(name) > 1 else name
