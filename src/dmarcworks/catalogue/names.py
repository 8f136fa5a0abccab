"""Domain names: their one form, and the names that nobody can register. Pure.

A name is kept as lower-case A-labels without a trailing dot (RFC 1035 §2.3.1, RFC 5890 §2.3.2.1). Refused with
`UsageError`: a name without a dot, an IP address, a mail address, anything that is not a host name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from dmarcworks.errors import UsageError
from dmarcworks.reports.a_labels import a_labels

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

__all__ = ["chain", "normal_domain", "public_suffix", "related", "reserved"]

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# What the URL standard reads as an IPv4 address; no top-level domain is a number (RFC 3696 §2).
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LONGEST = 1_000


def normal_domain(name: str) -> str:
    """The domain in lower-case A-labels without its trailing dot; `UsageError` when it is none."""
    text = name.strip().removesuffix(".").lower()[:_LONGEST]
    text = a_labels(text) or ""
    labels = text.split(".")
    if len(text) > 253 or len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        hint = "" if name.isascii() else ", or in its DNS form (xn--…)"
        raise UsageError(f"{name[:_LONGEST]!r} is not a domain name; write it like example.com{hint}")
    if _NUMBER.fullmatch(labels[-1]):
        raise UsageError(f"{text} is an IP address, not a domain name; write it like example.com")
    return text


def chain(name: str) -> Iterator[str]:
    """The name and its parents, nearest first, down to two labels."""
    while "." in name:
        yield name
        name = name.partition(".")[2]


def related(name: str, host: str) -> bool:
    """Whether one of the two names is the other one, or is below it."""
    return name == host or name.endswith("." + host) or host.endswith("." + name)


def public_suffix(name: str) -> bool:
    """Whether names directly below this one belong to different owners (publicsuffix.org, both of its sections).

    The base of a wildcard rule counts as well. A name below an unknown top-level domain is no public suffix.
    """
    below = "x--x." + name
    return _suffixes().publicsuffix(below) in (name, below)


def reserved(name: str, hosts: Collection[str]) -> str:
    """Why only the operator's account may have this domain; "" when any account may."""
    for host in hosts:
        if related(name, host):
            what = "is" if name == host else "contains" if host.endswith("." + name) else "is below"
            return f"{name} {what} the report host{'' if name == host else ' ' + host}"
    return f"{name} is a public suffix" if public_suffix(name) else ""


@functools.cache
def _suffixes() -> PublicSuffixList:
    # Imported on first use: most commands do not need it, and reading the list takes a tenth of a second.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList(accept_unknown=True)
