"""Every reason that reading gives is explained to a person, and every explanation is of a reason that is given."""

from __future__ import annotations

import re
from pathlib import Path

from dmarcworks.reports.model import REASONS

REPORTS = Path(__file__).parents[2] / "src" / "dmarcworks" / "reports"


def test_every_reason_is_explained_and_given() -> None:
    """The codes in the source of `mail → values` are the codes of the table."""
    pages = [
        path
        for path in REPORTS.rglob("*.py")
        if path.name not in ("problems.py", "redact.py") and path.parent.name != "lint"
    ]
    source = "\n".join(path.read_text() for path in pages)
    given = set(re.findall(r'(?:Refused\(|problem\(|leave_out\()\s*"([a-z_]+)"', source))
    assert given <= REASONS.keys()
    built = {"gzip_truncated", "gzip_corrupt"}
    assert {code for code in REASONS if f'"{code}"' not in source} <= built


def test_an_explanation_is_a_sentence_for_a_person() -> None:
    """No code words, no full stop, a capital letter."""
    for code, sentence in REASONS.items():
        assert re.fullmatch(r"[A-Z][^_]{10,110}[^.]", sentence), code
