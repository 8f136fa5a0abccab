"""A DMARC record with its slips corrected: what the owner most likely meant. Pure.

The corrected record is a proposal to publish; it never changes how a record is judged.
"""

from __future__ import annotations

import re

from dmarcworks.policy.dns_records.dmarc_record import KNOWN_TAGS, POLICIES, TAG_VALUES
from dmarcworks.policy.dns_records.tag_list import TEXT_CHARACTERS, similar_word

__all__ = ["MISSED_SEPARATOR", "meant_tag", "repaired_record", "resembles_dmarc"]

_TAG = "|".join(KNOWN_TAGS)
MISSED_SEPARATOR = re.compile(rf"[\s,:]+({_TAG})[ \t]*=", re.IGNORECASE)
_QUOTES = str.maketrans("", "", "\"'“”„‟«»‘’‚‛`´\\")
_WHITE = re.compile(r"\s+")
_URI_START = re.compile(r"[;\s,]+(?=mailto[:=])", re.IGNORECASE)
_MAIL = re.compile(r"[^\s@:,;]{1,64}@[^\s@:,;]{1,253}")
_RESEMBLES = re.compile(rf"\bv\s*=\s*dmarc|dmarc ?1|(?:^|[;\s])(?:{_TAG})\s*=.*;", re.IGNORECASE)


def resembles_dmarc(text: str) -> bool:
    """Whether a text that is not a DMARC record was probably meant as one."""
    if text.lower().startswith(("v=spf1", "v=dkim1", "v=tlsrpt", "v=sts", "v=bimi")):
        return False
    return _RESEMBLES.search(text[:TEXT_CHARACTERS]) is not None


def meant_tag(name: str) -> str | None:
    """The tag that a misspelt one resembles. One or two characters resemble too much."""
    return similar_word(name, KNOWN_TAGS) if len(name) > 2 else None


def repaired_record(text: str) -> str:
    """The record to publish instead: the same wishes, written as the standard has them."""
    clean = _WHITE.sub(" ", text[:TEXT_CHARACTERS].translate(_QUOTES)).strip()
    clean = MISSED_SEPARATOR.sub(r"; \1=", clean)
    clean = _URI_START.sub(",", clean)
    values: dict[str, str] = {}
    for part in clean.split(";"):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        name = name.lower()
        known = name if name in KNOWN_TAGS else meant_tag(name)
        if equals and known and known != "v" and (value := _value(known, value.strip(" ,"))):
            values.setdefault(known, value)
    values.setdefault("p", "none")
    # Who publishes pct below 100 is still testing; t=y is what RFC 9989 has for that.
    if values.get("pct", "100") != "100" and values["p"] != "none":
        values.setdefault("t", "y")
    order = [tag for tag in ("p", *values) if tag not in ("rf", "ri", "pct")]
    return "; ".join(["v=DMARC1", *(f"{tag}={values[tag]}" for tag in dict.fromkeys(order))])


def _value(tag: str, value: str) -> str:
    """The value in its proper spelling; empty when nothing can be made of it."""
    if tag in ("p", "sp", "np"):
        word = value.lower()
        return word if word in POLICIES else similar_word(word, POLICIES) or ""
    if tag in TAG_VALUES:
        choice = value.lower()[:1]
        return choice if choice in TAG_VALUES[tag] else ""
    if tag in ("rua", "ruf"):
        uris = [_uri(part.strip()) for part in value.replace(" ", ",").split(",") if part.strip()]
        return ",".join(dict.fromkeys(uri for uri in uris if uri))
    return value if value.isascii() and value.isprintable() else ""


def _uri(text: str) -> str:
    """A URI: mail addresses get their scheme; what is no address and no URI is left out."""
    if text.lower().startswith(("mailto:", "mailto=")):
        text = text[len("mailto:") :].lstrip(" /")
    elif ":" in text:
        return text if text.isascii() and text.isprintable() else ""
    address = text.partition("!")[0]
    uri = f"mailto:{address}"
    # "mailto:p=x@example.com" would be taken for a tag without its separator.
    tagged = MISSED_SEPARATOR.search(uri)
    return uri if _MAIL.fullmatch(address) and address.isascii() and not tagged else ""
