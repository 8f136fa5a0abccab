"""Shared cases: mails and files that are kept outside this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from dmarcworks.reports.model import Reading
from dmarcworks.reports.read import read_bytes, read_mail

CASES = Path(__file__).parents[3] / "shared" / "cases"


def case(name: str) -> Reading:
    """What is read of a shared case; skipped where the cases are not."""
    path = CASES / name
    if not path.exists():
        pytest.skip(f"the shared cases are not at {CASES}")
    return read_mail(path.read_bytes()) if name.endswith(".eml") else read_bytes(path.read_bytes(), name)
