"""docs/reading.md explains every reason and every warning that reading gives."""

from __future__ import annotations

import re
from pathlib import Path

from dmarcworks.reports.problems import REASONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reading.md").read_text()


def test_every_reason_stands_on_the_page_with_its_sentence() -> None:
    """The second table is the table of reasons."""
    assert [code for code, sentence in REASONS.items() if f"| `{code}` | {sentence} |" not in PAGE] == []


def test_every_warning_stands_on_the_page() -> None:
    """The first table has a row for each code that the source notes, and no other."""
    source = "\n".join(path.read_text() for path in (ROOT / "src" / "dmarcworks" / "reports").rglob("*.py"))
    given = set(re.findall(r'notes\.add\(\s*"([a-z_]+)"', source))
    given |= {"no_org_name", "no_email", "no_contact_info", "no_organization_name"}
    table = PAGE[PAGE.index("| warning |") : PAGE.index("## What cannot be read")]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) == given
