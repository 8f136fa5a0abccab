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


def test_nothing_is_collected_while_modules_are_loaded() -> None:
    """Afterwards it is again, but not what was made meanwhile, until a server starts its long work."""
    script = (
        "import gc\n"
        "from dmarcworks.process import garbage\n"
        "with garbage.importing():\n"
        "    print(gc.isenabled())\n"
        "    cycle = []\n"
        "    cycle.append(cycle)\n"
        "print(gc.isenabled(), any(one is cycle for one in gc.get_objects()))\n"
        "garbage.rarely()\n"
        "print(gc.isenabled(), gc.get_threshold()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "True False", "True 10000"]
