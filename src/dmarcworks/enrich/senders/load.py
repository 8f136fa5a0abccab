"""The catalogue's TOML files → services, read once per process.

Strict: an unknown key, a wrong type, a name that is no domain or a block that is no block is a `SenderCatalogueError`
that names the file and the entry. Whether the entries agree with each other is the matter of `lint`.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from typing import Any

from dmarcworks.enrich.senders.index import SenderIndex, block_of
from dmarcworks.enrich.senders.model import IpBlock, SenderKind, SendingService
from dmarcworks.enrich.senders.names import name_of
from dmarcworks.errors import DmarcworksError

__all__ = ["SenderCatalogueError", "catalogue", "sender_index", "services_of", "sources"]

_TEXTS = ("name", "home", "setup", "fix")
_LISTS = ("dkim", "selectors", "envelope", "spf", "ptr", "blocks")
_KEYS = {*_TEXTS, *_LISTS, "kind", "infrastructure"}
# What names a service; `spf` alone does not, since a domain's record names all services of its owner.
_NAMING = ("dkim", "selectors", "envelope", "ptr", "blocks")
_SELECTOR = re.compile(r"[a-z0-9_*-]{1,63}(?:\.[a-z0-9_*-]{1,63})*")


class SenderCatalogueError(DmarcworksError):
    """A file of the sender catalogue is wrong; the text names the file and the entry."""


@functools.cache
def catalogue() -> tuple[SendingService, ...]:
    """Every service of the catalogue, by name."""
    services = [service for file, text in sources() for service in services_of(text, file)]
    return tuple(sorted(services, key=lambda service: service.name.casefold()))


@functools.cache
def sender_index() -> SenderIndex:
    """The look-ups over the catalogue."""
    return SenderIndex(catalogue())


def sources() -> Iterator[tuple[str, str]]:
    """The name and text of each file of the catalogue, in the order of the names."""
    folder = files("dmarcworks.enrich.senders") / "catalogue"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            yield file.name, file.read_text(encoding="utf-8")


def services_of(text: str, file: str) -> tuple[SendingService, ...]:
    """The services of one file, in its order."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SenderCatalogueError(f"{file} is not TOML: {error}") from None
    if set(document) - {"sender"}:
        unknown = ", ".join(sorted(set(document) - {"sender"}))
        raise SenderCatalogueError(f"{file}: {unknown} is unknown here; a file contains [[sender]] tables only")
    entries = document.get("sender", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SenderCatalogueError(f"{file}: sender is not a list of tables; write [[sender]]")
    return tuple(_service(entry, f"{file}: entry {number}") for number, entry in enumerate(entries, 1))


def _service(entry: Mapping[str, Any], place: str) -> SendingService:
    if isinstance(entry.get("name"), str) and entry["name"]:
        place = f"{place.partition(':')[0]}: {entry['name']}"
    if unknown := sorted(set(entry) - _KEYS):
        raise SenderCatalogueError(f"{place}: the key {unknown[0]} is unknown")
    texts = {key: _text(entry, key, place) for key in _TEXTS}
    infrastructure = entry.get("infrastructure", False)
    if not isinstance(infrastructure, bool):
        raise SenderCatalogueError(f"{place}: infrastructure is not true or false")
    lists = {key: _list(entry, key, place) for key in _LISTS}
    if not any(lists[key] for key in _NAMING):
        raise SenderCatalogueError(f"{place}: nothing names it; give at least one of {', '.join(_NAMING)}")
    blocks = tuple(_block(text, place) for text in lists.pop("blocks"))
    for key, names in lists.items():
        _check(key, names, place)
    return SendingService(
        name=texts["name"],
        kind=_kind(entry, place),
        home=texts["home"],
        setup=texts["setup"],
        fix=texts["fix"],
        infrastructure=infrastructure,
        blocks=blocks,
        **lists,
    )


def _text(entry: Mapping[str, Any], key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise SenderCatalogueError(f"{place}: {key} is {'missing' if value is None else 'no text, or empty'}")
    return " ".join(value.split()) if key == "fix" else value


def _kind(entry: Mapping[str, Any], place: str) -> SenderKind:
    value = entry.get("kind")
    if value not in [kind.value for kind in SenderKind]:
        raise SenderCatalogueError(f"{place}: kind is {value!r}; use one of {', '.join(SenderKind)}")
    return SenderKind(value)


def _list(entry: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise SenderCatalogueError(f"{place}: {key} is not a list of texts")
    if len(set(value)) != len(value):
        raise SenderCatalogueError(f"{place}: {key} lists {_repeated(value)!r} twice")
    return tuple(value)


def _repeated(values: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]


def _check(key: str, names: tuple[str, ...], place: str) -> None:
    for name in names:
        if key == "selectors":
            if not _SELECTOR.fullmatch(name):
                raise SenderCatalogueError(f"{place}: {name!r} in selectors is not a selector in lower case")
        elif name_of(name) != name:
            raise SenderCatalogueError(f"{place}: {name!r} in {key} is not a domain name in lower case")


def _block(text: str, place: str) -> IpBlock:
    try:
        return block_of(text)
    except ValueError as error:
        raise SenderCatalogueError(f"{place}: {text!r} in blocks is not an address block: {error}") from None
