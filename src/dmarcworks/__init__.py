"""dmarcworks: DMARC management that you run yourself.

The public API is `read_mail` and `read_bytes` with their values: bytes in, reports and problems out; no store, no
server.
"""

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
