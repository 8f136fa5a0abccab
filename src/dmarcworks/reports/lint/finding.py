"""What lint finds: one deviation from a standard, and a collector that lists repeated ones once.

Out: `Finding` values. Severity "error" means that a reader may lose or misread figures; everything else is a "warning".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

_SHOWN = 80
# A document can be wrong in a million ways; nobody reads them.
_MOST = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A deviation from a clause: its first place (path or header; line where known), what it is, and how often."""

    clause: str
    where: str
    line: int | None
    found: str
    should: str
    severity: str
    times: int = 1


class Findings:
    """Collects deviations; equal ones (clause, actual and expected value) become one with a count."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str, str], Finding] = {}
        self._more = 0

    def add(
        self, clause: str, where: str, found: str, should: str, severity: str = "error", line: int | None = None
    ) -> None:
        """Add a deviation."""
        key = (clause, found, should)
        first = self._seen.get(key)
        if first is None and len(self._seen) >= _MOST:
            self._more += 1
        elif first is None:
            self._seen[key] = Finding(clause, where, line, found, should, severity)
        else:
            self._seen[key] = replace(first, times=first.times + 1)

    def all(self) -> tuple[Finding, ...]:
        """The deviations, errors first, each kind in the order in which it was first seen."""
        findings = sorted(self._seen.values(), key=lambda finding: finding.severity != "error")
        if self._more:
            clause = findings[-1].clause
            findings.append(Finding(clause, "/", None, f"{self._more} more deviations", "none", "warning"))
        return tuple(findings)


def shown(text: str) -> str:
    """Untrusted text in a form that is safe inside a sentence: printable, short, in quotes."""
    clean = "".join(c if c.isprintable() else "�" for c in text[:_SHOWN])
    return f'"{clean}{"…" if len(text) > _SHOWN else ""}"'
