"""The files of a part that are no reports: problems where they may be broken ones, else a warning with the report."""

from __future__ import annotations

from dataclasses import replace

from dmarcworks.reports import sniff, unpack
from dmarcworks.reports.claims import claims, other_content, promised, reason_and_detail
from dmarcworks.reports.model import AggregateReport, Item
from dmarcworks.reports.notes import Notes, Work
from dmarcworks.reports.summary import Report

__all__ = ["UnreadFiles"]


class UnreadFiles:
    """The files of one part that are no reports: problems where they may be broken ones, a warning where not."""

    def __init__(self, name: str, kind: str, alone: bool) -> None:
        self._name = name
        self._kind = kind
        self._alone = alone
        self.leaves: list[tuple[unpack.Leaf, sniff.Head]] = []

    def add(self, leaf: unpack.Leaf, head: sniff.Head) -> None:
        """Note a file without a report."""
        self.leaves.append((leaf, head))

    def into(self, items: list[Item], first: int, problems: bool, work: Work) -> None:
        """Problems into `work`; where the part holds reports, those get the warning."""
        ignored: list[str] = []
        for leaf, head in self.leaves:
            reason, detail = reason_and_detail(head, leaf, self._kind)
            strange = reason in ("smime_opaque", "pgp_encrypted", "format_not_read")
            other = "" if strange else other_content(head, leaf)
            if leaf.packed and other and not promised(leaf.name):
                if len(items) > first or problems or not (self._alone or promised(self._name)):
                    ignored.append(f"{unpack.label(leaf.name)} ({other})")
                    continue
            elif not leaf.packed and not strange and not self._alone and not self._claims(other):
                continue
            work.problem(reason, leaf.where, detail)
        if not ignored:
            return
        detail = f"Other files next to the report were ignored: {', '.join(ignored[:10])}."
        for place in range(first, len(items)):
            item = items[place]
            notes = Notes()
            notes.add("beside_ignored", item.part.where, detail)
            items[place] = Item(_with(item.report, notes), item.part, item.digest, item.alike)

    def _claims(self, other: str) -> bool:
        """Whether a part of a mail may be a report: prose and pictures are none, whatever its name does not promise."""
        if not other or promised(self._name):
            return claims(self._name, self._kind)
        return not self._kind.startswith("application/octet-stream") and claims("", self._kind)


def _with(report: Report, notes: Notes) -> Report:
    warnings = (*report.warnings, *notes.warnings())
    if isinstance(report, AggregateReport):
        return replace(report, warnings=warnings)
    return replace(report, warnings=warnings)
