"""Promise of open: a URL's scheme picks the store, and what is no store is told with what there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dmarcworks.bindings.contracts import KV, Analytics, Database, Objects, Queue
from dmarcworks.bindings.open import open_analytics, open_database, open_kv, open_objects, open_queue
from dmarcworks.errors import SettingsError


async def test_embedded_stores_open_by_url(tmp_path: Path) -> None:
    """The default URLs of the settings give working stores, paths with odd characters too."""
    home = tmp_path / "höme %20 & co"
    home.mkdir()
    database = open_database(f"sqlite:///{home}/a.db")
    await database.migrate()
    objects = open_objects(f"file://{home}/objects")
    analytics = open_analytics(f"chdb://{home}/analytics")
    for opened, contract in (
        (database, Database),
        (open_kv(database), KV),
        (open_queue(database), Queue),
        (objects, Objects),
        (analytics, Analytics),
    ):
        assert isinstance(opened, contract)
    for store in (database, objects, analytics):
        await store.ping()
    assert sorted(path.name for path in home.iterdir() if "-" not in path.name) == ["a.db", "analytics", "objects"]
    for store in (analytics, objects, database):
        await store.close()


@pytest.mark.parametrize(
    ("opener", "url", "told"),
    [
        (open_database, "mysql://x/y", "DMARCWORKS_DATABASE_URL.*'mysql'.*sqlite:"),
        (open_database, "sqlite:///", "names no path"),
        (open_database, "sqlite:///:memory:", "names no path"),
        (open_objects, "ftp://x", "DMARCWORKS_OBJECTS_URL.*'ftp'.*file:"),
        (open_objects, "file://relative", "absolute"),
        (open_analytics, "duckdb:///x", "DMARCWORKS_ANALYTICS_URL.*'duckdb'.*chdb:"),
        (open_analytics, "nonsense", "'nonsense'"),
        (open_analytics, "chdb:///x?readonly=1", r"\?"),
    ],
)
def test_what_is_no_store_is_told(opener: object, url: str, told: str) -> None:
    """The error names the setting, the scheme and what there is."""
    with pytest.raises(SettingsError, match=told):
        opener(url)  # type: ignore[operator]


def test_the_engine_is_imported_only_when_it_opens() -> None:
    """A command without analytics does not pay for the engine."""
    script = "import sys, dmarcworks.bindings.open; print('chdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
