"""What reading records: tolerated oddities, refusals, and the work that one mail has used up.

`Refused` ends the reading of one part and becomes a `Problem`; it is never raised outside this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import Problem, Warning

# Beyond this many warnings of one kind a report lists only the number of further ones.
LISTED = 100
_OVER = {
    "members": "There are more parts than",
    "mime_depth": "A multipart lies deeper in others than",
    "header_bytes": "A header field is longer than",
    "header_fields": "There are more header fields than",
    "header_parameters": "A header field has more parameters than",
    "encoded_words": "A file name has more encoded words than",
}


class Refused(Exception):
    """A part is refused: a code of `REASONS` and a sentence for a person."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def problem(self, where: str) -> Problem:
        """The refusal as a value, with its place."""
        return Problem(self.reason, where, self.detail)


class Notes:
    """Warnings of one report, one per code: the first place, and how often it was seen."""

    __slots__ = ("_seen", "total")

    def __init__(self) -> None:
        self.total = 0
        self._seen: dict[str, tuple[str, str, int]] = {}

    def add(self, code: str, where: str, detail: str) -> None:
        """Note an oddity that was tolerated."""
        self.total += 1
        first = self._seen.get(code)
        self._seen[code] = (where, detail, 1) if first is None else (first[0], first[1], first[2] + 1)

    def extend(self, other: Notes) -> None:
        """Take over what another place noted."""
        self.total += other.total
        for code, (where, detail, times) in other._seen.items():
            first = self._seen.get(code)
            self._seen[code] = (where, detail, times) if first is None else (first[0], first[1], first[2] + times)

    def warnings(self) -> tuple[Warning, ...]:
        """The warnings in the order in which they were first seen."""
        return tuple(
            Warning(code, where, detail if times == 1 else f"{detail} ({times} times)")
            for code, (where, detail, times) in self._seen.items()
        )


@dataclass(slots=True)
class Work:
    """What one mail has used of its bounds so far, and the problems found in it."""

    bounds: Bounds
    inflated: int = 0
    members: int = 0
    problems: list[Problem] = field(default_factory=list)
    # Whether a part declared as text is none: another parser may decode it as it should be.
    unsure: bool = False

    def inflate(self, size: int) -> None:
        """Charge inflated bytes; refused past the bound of the whole mail."""
        self.inflated += size
        if self.inflated > self.bounds.inflated_bytes:
            raise Refused(
                "inflated_bytes", f"Unpacked it is larger than the bound {self.bounds.named('inflated_bytes')}."
            )

    def member(self) -> None:
        """Charge one part or archive member."""
        self.members += 1
        if self.members > self.bounds.members:
            raise Refused(
                "members",
                f"There are more parts or members than the bound {self.bounds.named('members')}; the rest is left.",
            )

    def nest(self, depth: int) -> None:
        """Refuse a container that lies too deep."""
        if depth > self.bounds.nesting:
            raise Refused("nesting", f"It is nested deeper than the bound {self.bounds.named('nesting')}.")

    def over(self, name: str, where: str) -> None:
        """Note, once for each place, a bound that a mail's structure or header fields exceed."""
        self.problem(name, where, f"{_OVER[name]} the bound {self.bounds.named(name)}; the rest was not read.")

    def problem(self, reason: str, where: str, detail: str) -> None:
        """Note something that was not read."""
        self.problems.append(Problem(reason, where, detail))
