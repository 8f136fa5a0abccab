"""What lint finds: one departure from a standard, and a collector that says a repeated one once.

Out: `Finding` values. Severity "error" is what may make a reader lose or misread figures, "warning" all else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_SHOWN = 80
# A document can be wrong in a million ways; nobody reads them.
_MOST = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A departure from a clause: its first place (path or header; line where known), what, and how often."""

    clause: str
    where: str
    line: int | None
    found: str
    should: str
    severity: str
    times: int = 1


class Findings:
    """Collects departures; equal ones (clause, what was found and should be) become one with a count."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], Finding] = {}
        self._more = 0

    def add(
        self, clause: str, where: str, found: str, should: str, severity: str = "error", line: int | None = None
    ) -> None:
        """Note a departure."""
        key = (clause, found, should)
        first = self._seen.get(key)
        if first is None and len(self._seen) >= _MOST:
            self._more += 1
        elif first is None:
            self._seen[key] = Finding(clause, where, line, found, should, severity)
        else:
            self._seen[key] = replace(first, times=first.times + 1)

    def all(self) -> tuple[Finding, ...]:
        """The departures, errors first, each kind in the order in which it was first seen."""
        found = sorted(self._seen.values(), key=lambda finding: finding.severity != "error")
        if self._more:
            clause = found[-1].clause
            found.append(Finding(clause, "/", None, f"{self._more} more departures", "none", "warning"))
        return tuple(found)


def shown(text: str) -> str:
    """A stranger's text as it may stand in a sentence: printable, short, in quotes."""
    clean = "".join(c if c.isprintable() else "�" for c in text[:_SHOWN])
    return f'"{clean}{"…" if len(text) > _SHOWN else ""}"'
