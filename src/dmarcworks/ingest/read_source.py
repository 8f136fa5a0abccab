"""One mail or file → what is in it, its failure reports redacted as the setting requires. Pure.

`Enough` decides when so much is in memory that no further one is read; a large report must not meet another in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dmarcworks.ingest.redaction import private
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import AggregateReport, FailureReport, Reading, TlsReport
from dmarcworks.reports.read import read_bytes, read_mail

__all__ = ["FILE", "MAIL", "Enough", "Read", "Source", "read"]

MAIL, FILE = "mail", "file"


class Source(NamedTuple):
    """Bytes to be read, as a mail or as a file with its name."""

    content: bytes
    kind: str = MAIL
    name: str = ""


class Read(NamedTuple):
    """What was read, and the redacted mail that replaces the raw mail, or None."""

    reading: Reading
    instead: bytes | None = None


def read(source: Source, bounds: Bounds, originals: str) -> Read:
    """Every report and every problem; `originals` is the setting `failure_originals`."""
    if source.kind == FILE:
        return Read(read_bytes(source.content, source.name, bounds))
    reading = read_mail(source.content, bounds)
    if any(isinstance(item.report, FailureReport) for item in reading.items):
        return Read(*private(source.content, reading, originals, bounds))
    return Read(reading)


@dataclass(slots=True)
class Enough:
    """How many reports and rows may still be read together."""

    reports: int
    rows: int

    def after(self, done: Read) -> bool:
        """Count what was read; whether it is enough."""
        self.reports -= len(done.reading.items)
        for item in done.reading.items:
            report = item.report
            if isinstance(report, AggregateReport):
                self.rows -= len(report.records)
            else:
                self.rows -= len(report.policies) if isinstance(report, TlsReport) else 1
        return self.reports <= 0 or self.rows <= 0
