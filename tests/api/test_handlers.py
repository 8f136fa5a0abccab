"""Every HTTP handler of API and dashboard is a top-level function, and its modules and functions stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "dmarcworks"
MODULES = sorted(path for name in ("api", "dashboard") for path in (SOURCE / name).rglob("*.py"))
FUNCTION_LINES, MODULE_LINES = 60, 300
METHODS = {"get", "post", "put", "patch", "delete", "head", "options", "api_route", "add_api_route", "add_route"}
ROUTERS = {"routes", "router", "app", "internal"}
# The language of the SQL API: two modules whose length has its own test.
LONG = {"allow.py", "expressions.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree) if isinstance(node, Function))


def nested_handlers(tree: ast.AST) -> set[str]:
    """The names of functions that are put on a router inside another function."""
    found = set()
    for outer in functions(tree):
        inner = (node for statement in outer.body for node in ast.walk(statement))
        for call in (node.func for node in inner if isinstance(node, ast.Call)):
            if isinstance(call, ast.Attribute) and call.attr in METHODS and ast.unparse(call.value) in ROUTERS:
                found.add(outer.name)
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_handlers_are_top_level_and_short(path: Path) -> None:
    """No router is filled inside a function; a function fits a screen."""
    tree = ast.parse(path.read_text())
    assert nested_handlers(tree) == set()
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(tree)}
    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES} == {}
    if path.name not in LONG:
        assert len(path.read_text().splitlines()) < MODULE_LINES


def test_the_test_finds_a_nested_handler() -> None:
    """Decorated or added by name."""
    text = 'def made(deps):\n    @routes.get("/x")\n    async def x(): ...\n'
    assert nested_handlers(ast.parse(text)) == {"made"}
    assert nested_handlers(ast.parse('def made(d):\n    router.add_api_route("/x", d)\n')) == {"made"}
    assert nested_handlers(ast.parse('@routes.get("/x")\nasync def x(): ...\n')) == set()
