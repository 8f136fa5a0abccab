"""dmarcworks: DMARC management that you run yourself.

The public API is `read_mail` and `read_bytes` with their values: bytes in, reports and problems out; no store, no
server. The names are imported on first use, so that a command does not wait for parsers that it never calls.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmarcworks.reports.bounds import Bounds
    from dmarcworks.reports.model import (
        AggregateReport,
        FailureReport,
        Item,
        Part,
        Policy,
        Problem,
        Reading,
        Record,
        TlsReport,
        Warning,
    )
    from dmarcworks.reports.read import read_bytes, read_mail

__all__ = [
    "AggregateReport",
    "Bounds",
    "FailureReport",
    "Item",
    "Part",
    "Policy",
    "Problem",
    "Reading",
    "Record",
    "TlsReport",
    "Warning",
    "read_bytes",
    "read_mail",
]

__version__ = "0.1.0"

_MODULES = {"Bounds": "bounds", "read_bytes": "read", "read_mail": "read"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"dmarcworks.reports.{_MODULES.get(name, 'model')}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
