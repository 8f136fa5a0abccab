"""ASN and country of an address from several IP data files at once; a file that changes is opened again.

Look-ups may come from any thread. Files are looked at every few seconds at most, and all answers change at once when a
new one is open. A new file that is broken changes nothing: the old one stays, and a warning names the new one.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from dmarcworks.enrich.network.ip_file import IpDataError, IpFile, Version, opened_file
from dmarcworks.enrich.network.layouts import NOTHING, IpRecord

__all__ = ["NO_FACTS", "IpData", "IpFacts", "IpSnapshot", "facts_of"]

log = structlog.get_logger("dmarcworks.enrich.network")

LOOK_SECONDS = 5.0
# Answers that are kept; with their addresses some 200 bytes each.
_KEPT = 100_000
# From so many addresses on, walking through a file's tree with all of them at once is faster.
_MANY = 500
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class IpFacts:
    """What the files state about an address; `source` names the files that served it, "" where none did."""

    asn: int | None = None
    as_name: str | None = None
    as_domain: str | None = None
    country: str | None = None
    source: str = ""


NO_FACTS = IpFacts()


@dataclass(frozen=True, slots=True)
class IpSnapshot:
    """The open files, and the answers that they gave: by address, by the files' records, and by the leaves of their
    trees."""

    files: tuple[IpFile, ...] = ()
    networks: dict[tuple[IpRecord, ...], IpFacts] = field(default_factory=dict, repr=False)
    answers: dict[str, IpFacts] = field(default_factory=dict, repr=False)
    leaves: dict[int, IpFacts] = field(default_factory=dict, repr=False)

    def __call__(self, text: str) -> IpFacts:
        """What the files state about the address."""
        facts = self.answers.get(text)
        if facts is None:
            facts = facts_of(text, self)
            if len(self.answers) >= _KEPT:
                self.answers.clear()
            self.answers[text] = facts
        return facts

    def of_all(self, addresses: Sequence[str]) -> tuple[list[IpFacts], array[int]]:
        """The different facts about these addresses, and for each address which of them are about it."""
        if len(addresses) >= _MANY:
            # Imported when it is used: commands that only list the files start faster without it.
            from dmarcworks.enrich.network.ip_batch import facts_of_many

            if (answer := facts_of_many(self, addresses)) is not None:
                return answer
        facts = [self(address) for address in addresses]
        numbers = list(map(id, facts))
        distinct = dict(zip(numbers, facts, strict=True))
        places = {number: place for place, number in enumerate(distinct)}
        return list(distinct.values()), array("i", map(places.__getitem__, numbers))


class IpData:
    """The files at these paths; a path may be a folder, whose `*.mmdb` files are used in the order of their names.

    Each field comes from the first file that has a value for it. Of several files of the same kind only the one that
    was built last is used. `optional`: a path that does not exist is no reason for a warning.
    """

    def __init__(
        self, paths: Sequence[Path], clock: Callable[[], float] = time.monotonic, *, optional: bool = False
    ) -> None:
        self._paths, self._optional = tuple(paths), optional
        self._clock = clock
        self._snapshot = IpSnapshot()
        self._opened: dict[Path, IpFile] = {}
        self._looking = threading.Lock()
        self._looked: float | None = None
        # The version of each file that could not be opened: it is tried and reported once.
        self._broken: dict[Path, Version | None] = {}

    @property
    def files(self) -> tuple[IpFile, ...]:
        """The files that are open now."""
        self._look()
        return self._snapshot.files

    def lookup(self, text: str) -> IpFacts:
        """What the files state about the address; nothing for text that is no address."""
        return self.current()(text)

    def current(self) -> IpSnapshot:
        """The files as they are now: what it answers does not change."""
        self._look()
        return self._snapshot

    def forget(self) -> None:
        """Forget the answers about addresses; the files stay open, with what was read of their records."""
        self._snapshot = IpSnapshot(self._snapshot.files, self._snapshot.networks, leaves=self._snapshot.leaves)

    def _look(self) -> None:
        """Open what is new; one thread does, the others continue with what is open."""
        now = self._clock()
        if self._looked is not None and now - self._looked < LOOK_SECONDS:
            return
        if not self._looking.acquire(blocking=self._looked is None):
            return
        try:
            if self._looked is None or now - self._looked >= LOOK_SECONDS:
                self._open_changed()
                self._looked = now
        finally:
            self._looking.release()

    def _open_changed(self) -> None:
        opened = {path: file for path in self._there() if (file := self._current(path)) is not None}
        if opened == self._opened:
            return
        self._opened = opened
        newest: dict[str, IpFile] = {}
        for file in opened.values():
            other = newest.setdefault(file.layout.name, file)
            newest[file.layout.name] = file if file.built > other.built else other
        self._snapshot = IpSnapshot(tuple(file for file in opened.values() if newest[file.layout.name] is file))
        log.info("IP data opened", files=[f"{file.path} ({file.name})" for file in self._snapshot.files])

    def _current(self, path: Path) -> IpFile | None:
        old = self._opened.get(path)
        version: Version | None = None
        try:
            version = Version.of(path)
            if old is not None and old.version == version:
                self._broken.pop(path, None)
                return old
            if path in self._broken and self._broken[path] == version:
                return old
            file = opened_file(path)
        except (IpDataError, OSError) as error:
            if path not in self._broken or self._broken[path] != version:
                self._broken[path] = version
                reason = str(error) if isinstance(error, IpDataError) else f"{path} cannot be read: {error.strerror}"
                kept = "no data of it is used" if old is None else f"{old.name} stays in use"
                log.warning("IP data file cannot be used", reason=reason, effect=kept)
            return old
        self._broken.pop(path, None)
        return file

    def _there(self) -> list[Path]:
        files: list[Path] = []
        for path in self._paths:
            try:
                if path.exists() or not self._optional:
                    files += sorted(path.glob("*.mmdb")) if path.is_dir() else [path]
            except OSError:
                files.append(path)
        return list(dict.fromkeys(files))


def facts_of(text: str, snapshot: IpSnapshot) -> IpFacts:
    """What the files state about the address, looked up in them."""
    address = text if _IPV4.fullmatch(text) else _usual_form(text)
    if address is None:
        return NO_FACTS
    records = tuple([file.lookup(address) for file in snapshot.files])
    # Thousands of addresses share a network.
    facts = snapshot.networks.get(records)
    if facts is None:
        if len(snapshot.networks) >= _KEPT:
            snapshot.networks.clear()
        facts = snapshot.networks[records] = _joined(records, [file.name for file in snapshot.files])
    return facts


def _usual_form(text: str) -> str | None:
    """An address as it is looked up; None for text that is none. An IPv4 address in IPv6's form is IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return None if address.scope_id is not None else str(address.ipv4_mapped or address)
    return str(address)


def _joined(records: Sequence[IpRecord], names: Sequence[str]) -> IpFacts:
    if len(records) == 1:
        return NO_FACTS if records[0] == NOTHING else IpFacts(*records[0], source=names[0])
    values: dict[str, object] = {}
    sources: list[str] = []
    for record, name in zip(records, names, strict=True):
        fresh = {
            field: value
            for field in ("asn", "as_name", "as_domain", "country")
            if field not in values and (value := getattr(record, field)) is not None
        }
        # A name belongs to its number: never one file's number with another file's name.
        if "asn" in values:
            fresh = {field: value for field, value in fresh.items() if field == "country"}
        if fresh:
            values |= fresh
            sources.append(name)
    return IpFacts(**values, source=" + ".join(sources)) if values else NO_FACTS  # type: ignore[arg-type]  # by name
