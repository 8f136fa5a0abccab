"""The house stands: each room imports only what lies below it (DESIGN §3), and the pure core does no I/O."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "dmarcworks"
FLOORS = {
    "errors": 1,
    "steady": 1,
    "reports": 1,
    "settings": 2,
    "failpoints": 2,
    "logs": 2,
    "threads": 2,
    "garbage": 2,
    "metrics": 2,
    "process": 2,
    "bindings": 3,
    "catalogue": 4,
    "analytics": 4,
    "enrich": 4,
    "workers": 5,
    "api": 5,
    "policy": 5,
    "dashboard": 6,
    "routing": 6,
    "sources": 6,
    "stores": 5,
    "upkeep": 6,
    "retry": 6,
    "email": 6,
    "intake": 6,
    "door": 7,
    "programs": 7,
    "mailroom": 7,
    "mail_api": 7,
    "taker": 8,
    "app": 8,
    "cli": 9,
}
# The two doors between rooms on floors of their own, as DESIGN §3 says.
DOORS = {("policy", "analytics")}
IMPURE = {"os", "io", "socket", "asyncio", "time", "pathlib", "logging", "structlog", "sqlalchemy", "random", "secrets"}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "dmarcworks" and len(parts) > 1 and parts[1] in FLOORS else None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_from_floors_below_or_its_own_room(path: Path) -> None:
    """A module may use its own room and every floor below, never a neighbour and never a floor above."""
    relative = path.relative_to(SOURCE)
    here = relative.parts[0].removesuffix(".py")
    if here == "__init__":
        return
    assert here in FLOORS, f"{relative} stands in no room of DESIGN §3"
    for name in imports(path):
        there = room(name)
        if there is None or there == here or (here, there) in DOORS:
            continue
        assert FLOORS[there] < FLOORS[here], f"{relative} (floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]})"


@pytest.mark.parametrize("path", sorted((SOURCE / "reports").glob("*.py")), ids=lambda path: path.name)
def test_the_reading_core_is_pure(path: Path) -> None:
    """Nothing in `reports/` touches files, sockets, clocks, logs or chance."""
    found = {name.split(".")[0] for name in imports(path)} & IMPURE
    assert found <= {"io"}, f"{path.name} imports {sorted(found)}"


def test_modules_stay_small() -> None:
    """A module over 450 lines has grown two jobs."""
    long = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in modules()}
    assert {name: lines for name, lines in long.items() if lines > 450} == {}
