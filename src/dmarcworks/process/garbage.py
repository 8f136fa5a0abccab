"""How often this process looks for garbage in cycles: for work that makes many values and hardly ever a cycle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["importing", "rarely"]

# New containers until the youngest are looked through; the interpreter's own is 700, a few mails' worth.
_YOUNG = 10_000


def rarely() -> None:
    """Look for cycles rarely, and never again at what is there now. For the start of long work, after the imports."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)


@contextmanager
def importing() -> Iterator[None]:
    """Do not look for cycles while modules are loaded, nor later at what they made: it would delay a short command."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
