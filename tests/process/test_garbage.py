"""Work that makes many values looks for cycles rarely, and still finds them."""

from __future__ import annotations

import subprocess
import sys


def test_cycles_are_still_found_and_what_was_there_is_left_alone() -> None:
    """In a process of its own: it is for a whole process. 60,000 cycles later only a few wait to be found."""
    code = (
        "import gc\n"
        "from dmarcworks.process import garbage\n"
        "garbage.rarely()\n"
        "frozen = gc.get_freeze_count()\n"
        "for _ in range(60_000):\n"
        "    ring = []; ring.append(ring)\n"
        "print(frozen > 1_000, len(gc.get_objects()) < 20_000, gc.get_freeze_count() == frozen)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True True True\n"
