"""Whether the entries of the catalogue agree with each other and could not name wrongly. Pure; a sentence per finding.

`load` has checked each value for its own; this is about what the values mean together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import attrgetter
from urllib.parse import urlsplit

from dmarcworks.enrich.senders.index import selector_pattern
from dmarcworks.enrich.senders.load import services_of
from dmarcworks.enrich.senders.model import IpBlock, SendingService
from dmarcworks.enrich.senders.names import name_of
from dmarcworks.enrich.senders.suffixes import public_suffix, registry_suffix, shared_hoster

__all__ = ["lint"]

# Selectors that owners of domains choose for any system, or that several services use.
_COMMON_WORDS = """
s s1 s2 s3 k k1 k2 k3 m m1 m2 d dkim dkim1 dkim2 default default1 default2 mail mail1 mail2 mailer email smtp smtp1 mx
mx1 key key1 key2 sig sig1 selector selector1 selector2 google server main news newsletter dk mta mta1 post primary a b
x test private public rsa ed25519 www web app bounce marketing transactional support
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_LITERAL = 3
_STARS = 2
_FIX = (40, 1_500)
_BLOCK_BITS = {4: 8, 6: 19}


def lint(files: Iterable[tuple[str, str]]) -> list[str]:
    """Every finding over the files, given as names and texts; `SenderCatalogueError` for what cannot be loaded."""
    services: list[tuple[str, SendingService]] = []
    found: list[str] = []
    for file, text in files:
        entries = services_of(text, file)
        found += _order(file, entries)
        services += [(f"{file}: {service.name}", service) for service in entries]
    for place, service in services:
        found += [f"{place}: {sentence}" for sentence in _entry(service)]
    found += _twice("the name", services, lambda service: (service.name.casefold(),))
    for kind in ("dkim", "envelope", "ptr", "selectors"):
        found += _twice(kind, services, attrgetter(kind))
    return found + _patterns(services) + _overlaps(services)


def _order(file: str, entries: Sequence[SendingService]) -> list[str]:
    names = [entry.name for entry in entries]
    return [
        f"{file}: {second} comes after {first}; entries are sorted by name"
        for first, second in pairwise(names)
        if second.casefold() < first.casefold()
    ]


def _entry(service: SendingService) -> Iterator[str]:
    if service.name != " ".join(service.name.split()) or not service.name.isprintable():
        yield "its name has blanks at an end, several in a row, or characters that are not printable"
    for key in ("home", "setup"):
        if sentence := _address(getattr(service, key)):
            yield f"{key} {sentence}"
    if not _FIX[0] <= len(service.fix) <= _FIX[1]:
        yield f"fix has {len(service.fix)} characters; write 2 to 5 sentences in {_FIX[0]} to {_FIX[1]:,}"
    for name in service.ptr:
        if shared_hoster(name):
            yield f"ptr {name} belongs to a shared hoster, whose customers have names below it"
        elif public_suffix(name):
            yield f"ptr {name} is a public suffix"
    for key in ("dkim", "envelope", "spf"):
        # A name of the list's private section may be a service's, which signs for its customers below it.
        yield from (f"{key} {name} is a public suffix" for name in getattr(service, key) if registry_suffix(name))
    for key in ("dkim", "envelope", "ptr"):
        yield from (f"{key} {sentence}" for sentence in _inside(getattr(service, key)))
    yield from (f"selector {pattern} is not distinctive" for pattern in service.selectors if not _distinctive(pattern))
    for block in service.blocks:
        if block.prefixlen < _BLOCK_BITS[block.version] or not block.is_global:
            yield f"block {block} is too large, or not of the public internet"


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"{url!r} is not a URL: {error}"
    if parts.scheme != "https":
        return f"{url!r} does not start with https://"
    if parts.username is not None or port is not None or name_of(parts.hostname) is None:
        return f"{url!r} has no plain host name"
    return f"{url!r} has blanks or characters that are not ASCII" if re.search(r"[^!-~]", url) else ""


def _inside(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        for other in names:
            if name.endswith("." + other):
                yield f"{name} is covered by {other}"


def _distinctive(pattern: str) -> bool:
    literal = pattern.replace("*", "")
    return (
        literal not in _COMMON
        and literal.strip("-_.") not in _COMMON
        and len(literal) >= _LITERAL
        and any(char.isalpha() for char in literal)
        and pattern.count("*") <= _STARS
        and "**" not in pattern
    )


def _twice(
    what: str, services: Sequence[tuple[str, SendingService]], of: Callable[[SendingService], Iterable[str]]
) -> list[str]:
    first: dict[str, int] = {}
    return [
        f"{place}: {what} {value} is claimed by {services[first[value]][0]} too"
        for number, (place, service) in enumerate(services)
        for value in of(service)
        if first.setdefault(value, number) != number
    ]


def _patterns(services: Sequence[tuple[str, SendingService]]) -> list[str]:
    """Selectors of one service that a pattern of another one covers."""
    patterns = [(place, pattern) for place, service in services for pattern in service.selectors if "*" in pattern]
    return [
        f"{place}: selector {selector} is covered by {pattern} of {other}"
        for place, service in services
        for selector in service.selectors
        for other, pattern in patterns
        if other != place and selector_pattern(pattern).fullmatch(selector.replace("*", "0"))
    ]


def _overlaps(services: Sequence[tuple[str, SendingService]]) -> list[str]:
    """Address blocks of two services that have addresses in common."""
    found = []
    for version in (4, 6):
        blocks = sorted(
            ((block, place) for place, service in services for block in service.blocks if block.version == version),
            key=_by_address,
        )
        widest: tuple[IpBlock, str] | None = None
        for block, place in blocks:
            if widest is not None and int(block.network_address) <= int(widest[0].broadcast_address):
                if place != widest[1]:
                    found.append(f"{place}: block {block} overlaps {widest[0]} of {widest[1]}")
                else:
                    found.append(f"{place}: block {block} is covered by {widest[0]}")
            else:
                widest = (block, place)
    return found


def _by_address(entry: tuple[IpBlock, str]) -> tuple[int, int]:
    return int(entry[0].network_address), entry[0].prefixlen
