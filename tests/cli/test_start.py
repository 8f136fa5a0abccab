"""Promise: a small command starts without the libraries that only a server or another command needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import prepared

HEAVY = ("chdb", "pyarrow", "fastapi", "starlette", "uvicorn", "alembic", "structlog", "dns", "cryptography", "lxml")
HEAVY += ("graphql", "sqlglot", "httpx", "idna", "publicsuffixlist", "pygments", "prometheus_client", "jinja2")
# Parts of what is needed that are not.
HEAVY += ("sqlalchemy.dialects.postgresql", "dmarcworks.reports.read", "dmarcworks.ingest", "dmarcworks.workers")
HEAVY += ("sqlalchemy.orm",)
HEAVY += ("dmarcworks.catalogue.arrivals", "dmarcworks.catalogue.routing", "dmarcworks.catalogue.queries")
SCRIPT = """
import json, sys
from dmarcworks.cli import main
try:
    main()
except SystemExit as end:
    assert end.code in (0, None), end.code
print()
print(json.dumps(sorted(sys.modules)))
"""


def loaded(home: Path, *arguments: str) -> set[str]:
    """Every module in memory when the command has ended."""
    environment = {**os.environ, "DMARCWORKS_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["--help"], (*HEAVY, "sqlalchemy", "rich", "pydantic")),
        (["settings", "--json"], (*HEAVY, "sqlalchemy", "rich")),
        (["settings"], (*HEAVY, "sqlalchemy")),
        (["senders", "identify", "--dkim", "sendgrid.net", "--json"], (*HEAVY, "sqlalchemy", "rich")),
        (["senders", "identify", "--spf", "sendgrid.net"], (*HEAVY, "sqlalchemy", "rich")),
        (["senders", "catalogue", "--json"], (*HEAVY, "sqlalchemy", "rich")),
        (["domain", "list", "--json"], (*HEAVY, "rich")),
        (["domain", "list"], HEAVY),
    ],
)
def test_a_small_command_loads_little(tmp_path: Path, arguments: list[str], without: tuple[str, ...]) -> None:
    """In a data directory that is up to date; its first use brings the schema up to date and may load more."""
    if arguments[0] == "domain":
        loaded(prepared(tmp_path), "domain", "list")
    assert [name for name in without if name in loaded(tmp_path, *arguments)] == []
