"""The catalogue over a real SQLite file, with a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dmarcworks.bindings.kv import SqlKV
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.audit import Audit
from dmarcworks.catalogue.problems import Problems


@dataclass
class Clock:
    """Unix seconds that stand still until told."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Catalogue:
    """Everything of one database."""

    path: Path
    database: SqliteDatabase
    kv: SqlKV
    accounts: Accounts
    arrivals: Arrivals
    problems: Problems
    clock: Clock
    audit: Audit

    def file_bytes(self) -> bytes:
        """All that is on disk: the file and its log."""
        return b"".join(path.read_bytes() for path in sorted(self.path.parent.glob(self.path.name + "*")))
