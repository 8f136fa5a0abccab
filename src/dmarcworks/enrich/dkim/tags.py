"""Lists of tags as signatures and keys are written: `name=value; name=value` (RFC 6376 §3.2)."""

from __future__ import annotations

import base64
import binascii
import re

from dmarcworks.reports.a_labels import a_labels

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SPACE = re.compile(r"[ \t\r\n]+")
_DOMAIN = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*")
_TAGS = 100


class BrokenError(Exception):
    """A signature or a key that does not follow the standard."""


def tags(text: str) -> dict[str, str]:
    """The tags of a list; `BrokenError` for what is none, or has a tag twice."""
    values: dict[str, str] = {}
    specs = text.split(";", _TAGS + 1)
    for spec in specs:
        name, equals, value = spec.partition("=")
        name = name.strip(" \t\r\n")
        if not equals and not name:
            continue
        if not equals or not _NAME.fullmatch(name) or name in values or len(values) == _TAGS:
            raise BrokenError(f"{spec[:40]!r} is no tag, or a tag twice")
        values[name] = value.strip(" \t\r\n")
    return values


def without_space(text: str) -> str:
    """The value without the white space that folding added."""
    return _SPACE.sub("", text)


def from_base64(text: str) -> bytes:
    """The bytes; `BrokenError` for what is no base64."""
    try:
        return base64.b64decode(without_space(text), validate=True)
    except (binascii.Error, ValueError):
        raise BrokenError("no base64") from None


def domain(text: str) -> str:
    """A domain or selector in lower case; `BrokenError` for a name that DNS cannot have.

    Names in UTF-8 become A-labels (RFC 8616 §4).
    """
    name = without_space(text).rstrip(".").lower()
    if not name.isascii() and len(name) < 254:
        name = a_labels(name) or ""
    if len(name) > 253 or not _DOMAIN.fullmatch(name):
        raise BrokenError(f"{text[:40]!r} is no domain name")
    return name
