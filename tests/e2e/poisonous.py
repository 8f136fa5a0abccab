"""`dmarcworks` with a reader that cannot bear some mails: one kills the process, one keeps its thread for an hour.

Run as the command is: `python poisonous.py serve`. The rest of the process is the real thing.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from dmarcworks.reports import read

DEADLY, ENDLESS = b"X-Test: deadly", b"X-Test: endless"
_sound = read.read_mail


def read_mail(raw: bytes, *rest: Any, **options: Any) -> Any:
    """The real reading, but for two marks."""
    if DEADLY in raw:
        os.kill(os.getpid(), signal.SIGKILL)
    if ENDLESS in raw:
        time.sleep(3600)
    return _sound(raw, *rest, **options)


if __name__ == "__main__":
    read.read_mail = read_mail
    from dmarcworks.cli import main

    main()
