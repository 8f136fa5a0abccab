"""The published test suite of RFC 7208, read where it is stored, and a DNS in memory with the data of its zones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.name

from dmarcworks.enrich.spf.evaluation import check_host
from dmarcworks.enrich.spf.model import SpfClient, SpfEvaluation

SUITE = Path(__file__).parents[3] / "shared" / "suites" / "rfc7208-tests.yml"
_ALIASES = 10


@dataclass(frozen=True)
class SuiteCase:
    """A test of the suite; `results` are those that it allows, `explanation` None where it states none."""

    scenario: str
    name: str
    host: str
    helo: str
    mail_from: str
    results: tuple[str, ...]
    explanation: str | None
    zone: Zone


class Zone:
    """Answers from a zone of the suite: records of type SPF are TXT records where a name has no TXT entry of its own,
    TIMEOUT fails for every type that the name does not list, and aliases are followed."""

    def __init__(self, data: Mapping[str, Sequence[Any]]) -> None:
        self.names: dict[str, dict[str, list[Any]]] = {}
        self.silent: set[str] = set()
        for name, entries in data.items():
            self._add(name.lower().rstrip("."), entries)

    def _add(self, name: str, entries: Sequence[Any]) -> None:
        records = self.names.setdefault(name, {})
        explicit = any("TXT" in entry for entry in entries if isinstance(entry, dict))
        for entry in entries:
            if entry == "TIMEOUT":
                self.silent.add(name)
                continue
            ((kind, value),) = entry.items()
            if kind == "SPF" and not explicit:
                kind = "TXT"
            if value == "NONE":
                continue
            records.setdefault(kind, []).append(_plain(kind, value))

    def answer(self, name: str, kind: str) -> list[Any] | None:
        """The records; None where DNS gives no answer."""
        name = name.lower()
        for _ in range(_ALIASES):
            records = self.names.get(name, {})
            if kind in records:
                return records[kind]
            if name in self.silent:
                return None
            if "CNAME" not in records:
                return []
            name = records["CNAME"][0].lower()
        return None


def _plain(kind: str, value: Any) -> Any:
    if kind in ("TXT", "SPF"):
        return ("".join(value) if isinstance(value, list) else str(value)).encode("latin-1")
    if kind == "MX":
        return (int(value[0]), str(value[1]).rstrip("."))
    return str(value).rstrip(".")


def suite_cases() -> Iterator[SuiteCase]:
    """Every case of the suite; nothing where it is not stored."""
    if not SUITE.exists():
        return
    import yaml

    for document in yaml.load_all(SUITE.read_text("utf-8"), yaml.BaseLoader):
        zone = Zone(document["zonedata"])
        for name, test in document["tests"].items():
            result = test["result"]
            yield SuiteCase(
                document["description"],
                name,
                test["host"],
                test["helo"],
                test["mailfrom"],
                tuple(result) if isinstance(result, list) else (result,),
                test.get("explanation"),
                zone,
            )


def evaluated(client: SpfClient, zone: Zone, *, explain: bool = True) -> tuple[SpfEvaluation, list[tuple[str, str]]]:
    """The evaluation, and its queries in their order."""
    queries: list[tuple[str, str]] = []
    steps = check_host(client, explain=explain)
    try:
        needed = next(steps)
        while True:
            queries.append((needed.name, needed.kind))
            needed = steps.send(zone.answer(needed.name, needed.kind))
    except StopIteration as end:
        evaluation: SpfEvaluation = end.value
    return evaluation, queries


def served(zone: Zone) -> tuple[dict[tuple[str, str], Sequence[str]], set[str]]:
    """The zone for a name server: the records in the form of a zone file, and the names for which it fails."""
    records: dict[tuple[str, str], Sequence[str]] = {}
    for name, kinds in zone.names.items():
        for kind, values in kinds.items():
            if kind in ("A", "AAAA", "CNAME", "PTR", "MX", "TXT"):
                # A TXT record without any text cannot be written in a zone file.
                texts = [text for value in values if (text := _zone_text(kind, value))]
                records[dns.name.from_text(name).to_text(True).lower(), kind] = texts
    return records, {name for name in zone.silent if not zone.names[name].get("TXT")}


def _zone_text(kind: str, value: Any) -> str:
    if kind == "MX":
        return f"{value[0]} {value[1]}."
    if kind in ("CNAME", "PTR"):
        return f"{value}."
    if kind != "TXT":
        return str(value)
    return "".join(chr(byte) if 31 < byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in value)
