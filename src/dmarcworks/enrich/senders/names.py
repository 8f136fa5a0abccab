"""Names as evidence holds them, in the one form in which they are compared. Pure; never raises.

A name is compared as lower-case A-labels without the last dot (RFC 1035 §2.3.3, RFC 5890 §2.3.2.1). Text that is no
name in DNS has no such form and matches nothing: empty or long labels, blanks, control characters, a single label.
"""

from __future__ import annotations

import ipaddress
import re

from dmarcworks.reports.a_labels import a_labels

__all__ = ["IpAddress", "ip_address", "name_of", "selector_of"]

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST = 253
_LABELS = r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})"
_NAME = re.compile(_LABELS + "+")
_SELECTOR = re.compile(_LABELS + "*")
# Longer text is no address in any spelling.
_LONGEST_ADDRESS = 45


def name_of(text: str | None) -> str | None:
    """The name of a domain or host with two labels or more; None for anything else.

    A name with characters that only resemble others (full-width characters, 。 as a dot) is refused instead of mapped:
    the mapping would turn a stranger's name into the name of a service.
    """
    if not text:
        return None
    if not text.isascii():
        mapped = a_labels(text) if text == text.lower() else None
        if mapped is None or not _mapped_only_foreign(text, mapped):
            return None
        text = mapped
    name = text.removesuffix(".").lower()
    return name if len(name) <= _LONGEST and _NAME.fullmatch(name) else None


def selector_of(text: str | None) -> str | None:
    """A DKIM selector: one label or more (RFC 6376 §3.1); None for anything else."""
    if not text or not text.isascii():
        return None
    selector = text.lower()
    return selector if len(selector) <= _LONGEST and _SELECTOR.fullmatch(selector) else None


def ip_address(text: str | None) -> IpAddress | None:
    """An address; one of IPv4 in its IPv6 form (::ffff:192.0.2.1) is the IPv4 address; None for anything else."""
    if not text or len(text) > _LONGEST_ADDRESS or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _mapped_only_foreign(text: str, mapped: str) -> bool:
    """Whether each ASCII label stayed as it was and each other label became an A-label."""
    before, after = text.split("."), mapped.split(".")
    return len(before) == len(after) and all(
        new.startswith("xn--") if not old.isascii() else new == old for old, new in zip(before, after, strict=True)
    )
