"""Slips in SPF records as people make them, and what was meant. Pure.

A correction is proposed only when the corrected record has no syntax error left.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import re

from dmarcworks.enrich.spf.record import parse_record
from dmarcworks.reports.a_labels import a_labels

__all__ = ["corrected_record", "corrected_version", "is_mistaken_modifier"]

_LONGEST = 4_096
_NEAR = re.compile(r"(?:v\s{0,9}[=:]?\s{0,9})?s[pf]{2}[-_.]?v?(?:[0-9l]+(?:\.\d+)?(?=\D|$))?", re.IGNORECASE)
_VERSION_TAG = re.compile(r"v?\s{0,9}=", re.IGNORECASE)
_TERM = re.compile(r"\ball\b|include:|ip[46]:|redirect=", re.IGNORECASE)
_SENDER_ID = re.compile(r"\s*spf2\.0/", re.IGNORECASE)
_REST = re.compile(r"[\s,;:\"'“”„‘’`]+")
_GLUED = re.compile(
    r"(?<=.)(?=(?:[+?~-]?(?:ip4:|ip6:|include:|exists:)|redirect=|(?<![a-z0-9._-])[+?~-]all$))", re.IGNORECASE
)
_GLUED_ALL = re.compile(r"(?<=[a-z0-9])(?=[?~-]all$)", re.IGNORECASE)
_SIGN = re.compile(r"[+\-?~]+")
_OPEN = re.compile(r"[+\-?~]?[a-z0-9]+[:=]", re.IGNORECASE)
_ALL = re.compile(r"[+\-?~]*all", re.IGNORECASE)
_DASHES = str.maketrans({"–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "：": ":", "～": "~", "∼": "~", "˜": "~"})
_QUOTES = "\"'“”„‘’`«»"
_NAMES = {"ipv4": "ip4", "ipv6": "ip6", "ip": "ip4", "includes": "include", "incl": "include", "host": "a"}
_MECHANISMS = ("include", "redirect", "exists", "ip4", "ip6", "ptr", "all")
_SPLIT = re.compile(r"([+\-?~]*)([A-Za-z0-9_.]*)([:=]?)(.*)", re.DOTALL)
_MISTAKEN = re.compile(r"[+\-?~]?(?:include|includes|ip4|ip6|ipv4|ipv6|a|mx|ptr|exists|all)=", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?")
_PORT = re.compile(r"((?:\d{1,3}\.){3}\d{1,3}):\d{1,5}")


def is_mistaken_modifier(text: str) -> bool:
    """Whether a modifier is a mechanism that was written with an equals sign."""
    return _MISTAKEN.match(text) is not None


def corrected_version(text: str) -> str | None:
    """The record that was meant by a text that is not selected as SPF; None for a text that is something else.

    "" when the rest of the record has faults that cannot be corrected.
    """
    text = text.translate(_DASHES).lstrip(_QUOTES + " \t\r\n") if len(text) <= _LONGEST else ""
    match = _NEAR.match(text)
    if match is None or _SENDER_ID.match(text):
        return None
    rest = text[match.end() :]
    # "spf" alone is also how an ordinary sentence may begin.
    if not _VERSION_TAG.match(text) and not _TERM.search(text):
        return None
    space = _REST.match(rest)
    return corrected_record("v=spf1 " + (rest[space.end() :] if space else rest))


@functools.lru_cache(maxsize=64)
def corrected_record(text: str) -> str:
    """The record with its slips corrected; "" when it still has faults, or is too long to be judged."""
    words = _words(text) if len(text) <= _LONGEST else ()
    terms: list[str] = []
    for word in words:
        terms += _corrected(word)
    record = " ".join(["v=spf1", *terms])
    return record if record.isascii() and terms and not parse_record(record.encode()).faults else ""


def _words(text: str) -> list[str]:
    """The terms, split where a space is missing and joined where one is too many."""
    text = text.translate(_DASHES)
    pieces = re.split(r"[\s,;]+", text)
    words: list[str] = []
    for piece in pieces:
        cleaned = piece.strip(_QUOTES + "\\")
        if re.fullmatch(r"v\s*=\s*spf1", cleaned, re.IGNORECASE) or not cleaned:
            continue
        for part in _GLUED.split(cleaned):
            words += [one for one in _GLUED_ALL.split(part) if one]
    joined: list[str] = []
    for word in words:
        if joined and (_SIGN.fullmatch(joined[-1]) or (_OPEN.fullmatch(joined[-1]) and not _ALL.fullmatch(word))):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _corrected(word: str) -> list[str]:
    """What was meant by one term."""
    word = word.rstrip(".") if re.fullmatch(r"[+\-?~]*all\.+", word, re.IGNORECASE) else word
    if not parse_record(b"v=spf1 " + word.encode("utf-8", "replace")).faults and not is_mistaken_modifier(word):
        return [word]
    match = _SPLIT.fullmatch(word)
    if match is None:
        return [word]
    sign, name, _, value = match[1][:1], match[2], match[3], match[4]
    if _ADDRESS.fullmatch(name + value):
        return [_network(sign, name + value)]
    name = name.lower()
    if name not in ("a", "mx"):
        close = difflib.get_close_matches(name, _MECHANISMS, 1, 0.75)
        name = _NAMES.get(name) or (close[0] if close else name)
    return [_rebuilt(sign, name, _target(value))]


def _target(value: str) -> str:
    """A name or address without what does not belong to it."""
    value = re.sub(r"^[a-z]+://", "", value.strip(_QUOTES + "<>[]()"), flags=re.IGNORECASE)
    value = value.rpartition("@")[2] if "@" in value else value
    if (port := _PORT.fullmatch(value)) is not None:
        return port[1]
    # Names in other scripts are published as A-labels (RFC 5891).
    return (a_labels(value) or value).rstrip("/")


def _rebuilt(sign: str, name: str, value: str) -> str:
    if name == "all":
        return f"{sign}all"
    if name in ("ip4", "ip6", "a", "include", "mx") and _is_network(value):
        return _network(sign, value)
    if name in ("ip4", "ip6") and re.search(r"[g-z]", value, re.IGNORECASE):
        return f"{sign}a:{value}"
    if name == "redirect":
        return f"redirect={value}"
    if name == "include":
        value = value.partition("/")[0]
    return f"{sign}{name}:{value}" if value else f"{sign}{name}"


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _network(sign: str, text: str) -> str:
    try:
        version = ipaddress.ip_network(text, strict=False).version
    except ValueError:
        return f"{sign}ip4:{text}"
    return f"{sign}ip{version}:{text}"
