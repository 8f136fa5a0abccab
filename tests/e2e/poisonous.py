"""`dmarcworks` with a reader that cannot bear some mails.

One kills the process, one keeps its thread for an hour, one fails until the file that POISON names is gone (the mend).

Run as the command is: `python poisonous.py serve`. The rest of the process is the real thing.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from dmarcworks.reports import read

DEADLY, ENDLESS, BROKEN = b"X-Test: deadly", b"X-Test: endless", b"X-Test: broken"
_sound = read.read_mail


def read_mail(raw: bytes, *rest: Any, **options: Any) -> Any:
    """The real reading, but for two marks."""
    if DEADLY in raw:
        os.kill(os.getpid(), signal.SIGKILL)
    if ENDLESS in raw:
        time.sleep(3600)
    if BROKEN in raw and os.path.exists(os.environ["POISON"]):
        raise RuntimeError("this reader has a bug")
    return _sound(raw, *rest, **options)


if __name__ == "__main__":
    read.read_mail = read_mail
    from dmarcworks.cli import main

    main()
