"""The product's clock: the system's, or shifted by a file."""

from __future__ import annotations

import time
from pathlib import Path

from dmarcworks.process.clock import shifted_by_file


def test_without_a_file_it_is_the_systems_clock() -> None:
    """No indirection in production."""
    assert shifted_by_file("") is time.time


def test_a_file_shifts_it_and_is_read_at_every_call(tmp_path: Path) -> None:
    """A test moves the clock of a running process by writing the file; an empty one means no shift."""
    file = tmp_path / "clock"
    file.write_text("3600")
    clock = shifted_by_file(str(file))
    before = time.time()
    assert 3600 <= clock() - before < 3660
    file.write_text("")
    assert 0 <= clock() - before < 60
