"""The code blocks of README and docs: where each is, and its text."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "HACKING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A block of code: page, number of its first line, the language of its fence, and its lines without the indent."""

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.text.splitlines()[0].strip()[:60]}"


def blocks(page: Path) -> list[Block]:
    """Every block of a page, indented by four or more, or between fences."""
    made: list[Block] = []
    lines = page.read_text().splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        end = number + 1
        if line.startswith("```"):
            while lines[end] != "```":
                end += 1
            made.append(Block(page.name, number + 1, line[3:], "\n".join(lines[number + 1 : end])))
            end += 1
        elif re.match(r" {4,}\S", line) and not lines[number - 1].strip():
            while end < len(lines) and (lines[end].startswith("    ") or _goes_on(lines, end)):
                end += 1
            text = textwrap.dedent("\n".join(lines[number:end])).rstrip()
            made.append(Block(page.name, number + 1, "", text))
        number = end
    return made


def _goes_on(lines: list[str], number: int) -> bool:
    return not lines[number].strip() and number + 1 < len(lines) and lines[number + 1].startswith("    ")
