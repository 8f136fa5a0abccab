"""The catalogue over a real SQLite file, with a clock that the test moves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmarcworks.bindings.kv import SqlKV
from dmarcworks.bindings.sqlite import SqliteDatabase
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.audit import Audit
from dmarcworks.catalogue.problems import Problems
from tests.support.catalogue import Catalogue, Clock


@pytest.fixture
async def catalogue(tmp_path: Path) -> AsyncIterator[Catalogue]:
    clock = Clock()
    database = SqliteDatabase(tmp_path / "catalogue.db")
    await database.migrate()
    kv = SqlKV(database)
    accounts = Accounts(database, kv, "reports.example.net", clock=clock)
    problems = Problems(database, clock=clock)
    audit = Audit(database, clock=clock)
    yield Catalogue(tmp_path / "catalogue.db", database, kv, accounts, Arrivals(database), problems, clock, audit)
    await database.close()


@pytest.fixture
def database(catalogue: Catalogue) -> SqliteDatabase:
    return catalogue.database
