"""Promise: every declared dependency is used, and `make audit` passes only when every package was looked up."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
# Where the module's name is not the package's.
MODULES = {
    "argon2-cffi": "argon2",
    "chdb-core": "chdb",
    "dkimpy": "dkim",
    "dnspython": "dns",
    "graphql-core": "graphql",
}
# Nothing of ours imports these; a library that we import does, by the name in a URL or when it is there.
INDIRECT = {
    "aiosqlite": "SQLAlchemy's driver for sqlite:/// (bindings/sqlite.py)",
    "asyncpg": "SQLAlchemy's driver for postgresql:// (bindings/postgres.py)",
}


def imported() -> set[str]:
    names: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").partition(".")[0])
    return names


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["pdf"]]
    return {re.split(r"[\[<>=;! ]", one)[0] for one in wanted}


def test_every_declared_dependency_is_imported() -> None:
    """One that nothing imports is removed, or is one of the few that another library loads."""
    there = imported()
    unused = {name for name in declared() if MODULES.get(name, name.replace("-", "_")) not in there}
    assert unused == set(INDIRECT)


def test_nothing_is_imported_that_another_dependency_happens_to_bring() -> None:
    """But Starlette, which is FastAPI's public interface, and MarkupSafe, which is Jinja2's."""
    ours = {MODULES.get(name, name.replace("-", "_")) for name in declared()}
    assert imported() - ours - sys.stdlib_module_names == {"dmarcworks", "markupsafe", "starlette"}


@pytest.fixture
def audit() -> Any:
    spec = spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {"name": "one", "version": "1.0", "vulns": []}
BAD = {"name": "two", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}
SKIPPED = {"name": "three", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        ([GOOD], 0, "1 of 1 packages were looked up, 0 are affected."),
        ([GOOD, BAD], 1, "two 2.0: PYSEC-1, fixed in 2.1"),
        ([GOOD, BAD, SKIPPED], 1, "2 of 3 packages were looked up, 1 are affected."),
        ([GOOD, SKIPPED], 2, "three: not looked up: Dependency not found"),
        ([SKIPPED], 2, "No vulnerability data could be had for any package (no network)."),
        ([], 2, "No vulnerability data could be had for any package (no network)."),
    ],
)
def test_an_audit_without_data_is_not_good(audit: Any, found: list[dict[str, Any]], status: int, said: str) -> None:
    """0 only when every package was looked up."""
    got, lines = audit.judged(found, "no network")
    assert (got, said in lines) == (status, True)
