"""The package is a stack of layers (docs/architecture.md): imports point down, the core is pure, the root is bare."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "dmarcworks"
# Every package with its layer, from the top down. A package imports only from those below it.
LAYERS = (
    "cli",
    "wiring",
    "dashboard",
    "api",
    "upkeep",
    "sources",
    "routing",
    "workers",
    "ingest",
    "policy",
    "analytics",
    "catalogue",
    "enrich",
    "bindings",
    "reports",
    "process",
)
# The only modules at the package root: `email` is what a user's worker imports.
ROOT = ("__init__", "email", "errors")
# What every package may import: `settings` is a package, `errors` a module (docs/decisions/2026-11-29-settings.md).
BELOW_ALL = ("settings", "errors")
IMPURE = {"os", "io", "socket", "asyncio", "time", "pathlib", "logging", "structlog", "sqlalchemy", "random", "secrets"}
# Lines of a module and of a function; what is longer does two jobs. Exceptions stand here until they are taken apart.
LONGEST = 300
LONG_MODULES: set[str] = set()
LONGEST_FUNCTION = 80
LONG_FUNCTIONS: set[str] = set()
DEFINED_TWICE: set[str] = set()
# What other packages may import of `bindings`: the contracts, the openers, and small tools that are no store.
BINDINGS = ("contracts", "open", "bulk_insert", "groups", "object_keys", "private", "text_values", "upsert")
# Packages that answer tenants, and the one module among them that gives SQL to the analytics store, after a check.
ASKING = ("api", "dashboard", "cli")
CHECKED = "api/sql/checked.py"
METHODS = 7
CONTRACT_LINES = 200


def modules(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*.py") if "migrations" not in path.parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, absolute; `from a import b` is both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == "dmarcworks" and len(parts) > 1 and parts[1] in (*LAYERS, *BELOW_ALL) else None


def violations(source: Path) -> list[str]:
    """What breaks the rules of the layers, a sentence each."""
    order = {name: place for place, name in enumerate((*LAYERS, *BELOW_ALL))}
    broken: list[str] = []
    for path in modules(source):
        relative = path.relative_to(source)
        here = relative.parts[0].removesuffix(".py")
        if len(relative.parts) == 1:
            if here not in ROOT:
                broken.append(f"{relative} is a module at the package root; there are only {', '.join(ROOT)}")
                continue
        elif here not in (*LAYERS, "settings"):
            broken.append(f"{relative} is in a package that has no layer")
            continue
        for name in imports(path):
            there = package_of(name)
            if there is not None and there != here and here in order and order[there] < order[here]:
                broken.append(f"{relative} imports {name}, which is above it")
    return broken


def leaks(source: Path) -> list[str]:
    """Where a contract leaks: a store's implementation known outside `bindings`, or SQL that nobody has checked."""
    stores = {path.stem if path.suffix else path.name for path in (SOURCE / "bindings").iterdir()} - {*BINDINGS}
    found: list[str] = []
    for path in modules(source):
        relative = path.relative_to(source)
        if relative.parts[0] == "bindings":
            continue
        parts = (name.split(".") for name in imports(path))
        names = {name[2] for name in parts if name[:2] == ["dmarcworks", "bindings"] and len(name) > 2}
        found += [f"{relative} imports the implementation bindings.{name}" for name in sorted(names & stores)]
        if relative.parts[0] in ASKING and relative.as_posix() != CHECKED:
            found += [f"{relative}:{line} queries the analytics store unchecked" for line in unchecked(path)]
    return found


def unchecked(path: Path) -> Iterator[int]:
    """Lines that call `query` or `execute` of something that is called analytics."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if node.func.attr in ("query", "execute") and name.strip("_") == "analytics":
                yield node.lineno


def crowded(contracts: Path) -> list[str]:
    """Contracts with too many methods, and modules of contracts that are too long."""
    found: list[str] = []
    for path in sorted(contracts.glob("*.py")):
        text = path.read_text()
        if (lines := len(text.splitlines())) >= CONTRACT_LINES:
            found.append(f"{path.name} has {lines} lines")
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "Protocol" for base in node.bases):
                methods = sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
                if methods > METHODS:
                    found.append(f"{node.name} has {methods} methods")
    return found


def test_imports_point_down_and_the_root_is_empty() -> None:
    """Nothing in the tree breaks a rule."""
    assert violations(SOURCE) == []


def test_every_layer_exists() -> None:
    """A package that is gone leaves the list too."""
    assert sorted((*LAYERS, "settings")) == sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("extra.py", "", "extra.py is a module at the package root; there are only __init__, email, errors"),
        (
            "settings.py",
            "",
            "settings.py is a module at the package root; there are only __init__, email, errors",
        ),
        (
            "settings/new.py",
            "from dmarcworks.process.clock import clock\n",
            "settings/new.py imports dmarcworks.process.clock, which is above it",
        ),
        ("attic/__init__.py", "", "attic/__init__.py is in a package that has no layer"),
        (
            "reports/new.py",
            "from dmarcworks.bindings.contracts import KV\n",
            "reports/new.py imports dmarcworks.bindings.contracts, which is above it",
        ),
        (
            "ingest/new.py",
            "def late():\n    from dmarcworks import workers\n",
            "ingest/new.py imports dmarcworks.workers, which is above it",
        ),
        (
            "errors.py",
            "import dmarcworks.reports.read\n",
            "errors.py imports dmarcworks.reports.read, which is above it",
        ),
    ],
)
def test_the_test_finds_what_breaks_a_rule(tmp_path: Path, file: str, text: str, sentence: str) -> None:
    """A module added at the root, a package without a layer, and an import that points up."""
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    assert sentence in violations(tmp_path)


def test_contracts_do_not_leak() -> None:
    """No package knows which store stands behind a contract; tenants' SQL reaches the engine through one check."""
    assert leaks(SOURCE) == []


@pytest.mark.parametrize(
    ("file", "text", "sentences"),
    [
        (
            "upkeep/new.py",
            "def late():\n    from dmarcworks.bindings.tables import queue_messages\n",
            ["upkeep/new.py imports the implementation bindings.tables"],
        ),
        (
            "wiring/new.py",
            "from dmarcworks.bindings import open, sqlite\n",
            ["wiring/new.py imports the implementation bindings.sqlite"],
        ),
        (
            "cli/new.py",
            "import dmarcworks.bindings.chdb\nfrom dmarcworks.bindings.queue_view import SqlQueueView\n",
            [
                "cli/new.py imports the implementation bindings.chdb",
                "cli/new.py imports the implementation bindings.queue_view",
            ],
        ),
        (
            "api/new.py",
            "async def ask(self, analytics):\n    await self._analytics.query('')\n    await analytics.execute('')\n",
            [
                "api/new.py:2 queries the analytics store unchecked",
                "api/new.py:3 queries the analytics store unchecked",
            ],
        ),
        ("upkeep/fine.py", "async def ask(analytics):\n    await analytics.query('')\n", []),
        ("bindings/new.py", "from dmarcworks.bindings.sqlite import SqliteDatabase\n", []),
        ("ingest/new.py", "from dmarcworks.bindings.contracts.kv import KV\n", []),
    ],
)
def test_the_test_finds_a_leak(tmp_path: Path, file: str, text: str, sentences: list[str]) -> None:
    """An implementation's import at the top, inside a function, beside an allowed one; a query without the check."""
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert leaks(tmp_path) == sentences


def test_contracts_are_small() -> None:
    """At most seven methods each, in modules under 200 lines."""
    assert crowded(SOURCE / "bindings" / "contracts") == []


def test_the_test_finds_a_crowded_contract(tmp_path: Path) -> None:
    """Eight methods, a property among them; a module of 200 lines. Data classes may have as many as they like."""
    methods = "".join(f"    async def m{number}(self) -> None: ...\n" for number in range(7))
    text = f"class Fine(Protocol):\n{methods}class Data:\n{methods}    def one(self): ...\n"
    (tmp_path / "fine.py").write_text(text)
    (tmp_path / "more.py").write_text(f"class More(Protocol):\n{methods}    @property\n    def m8(self): ...\n")
    (tmp_path / "tall.py").write_text("\n" * 200)
    assert crowded(tmp_path) == ["More has 8 methods", "tall.py has 200 lines"]


@pytest.mark.parametrize("path", modules(SOURCE / "reports"), ids=lambda path: str(path.relative_to(SOURCE)))
def test_the_reading_core_is_pure(path: Path) -> None:
    """Nothing in `reports/` touches files, sockets, clocks, logs or chance."""
    used = {name.split(".")[0] for name in imports(path)} & IMPURE
    assert used <= {"io"}, f"{path.name} imports {sorted(used)}"


def long_modules(source: Path) -> set[str]:
    """The modules over the bound, relative to the package."""
    return {str(path.relative_to(source)) for path in modules(source) if len(path.read_text().splitlines()) > LONGEST}


def long_functions(source: Path) -> set[str]:
    """The functions over the bound, each with its module; decorators count for nothing."""
    return {
        f"{path.relative_to(source)}: {node.name}"
        for path in modules(source)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    }


def defined_twice(source: Path) -> set[str]:
    """The names of classes that more than one module defines, or one module twice."""
    counted = Counter(
        node.name
        for path in modules(source)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    return {name for name, times in counted.items() if times > 1}


def test_modules_stay_small() -> None:
    """A module over 300 lines does two jobs."""
    assert long_modules(SOURCE) - LONG_MODULES == set()


def test_functions_stay_small() -> None:
    """A function over 80 lines does two jobs."""
    assert long_functions(SOURCE) - LONG_FUNCTIONS == set()


def test_class_names_are_unique() -> None:
    """Whoever reads the name of a class knows which one it is."""
    assert defined_twice(SOURCE) - DEFINED_TWICE == set()


def test_the_test_finds_what_is_too_long_or_defined_twice(tmp_path: Path) -> None:
    """The first line over a bound breaks it, and the last one under it does not."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "long.py").write_text("x = 1\n" * 301)
    (tmp_path / "api" / "whole.py").write_text("x = 1\n" * 300)
    body = "    x = 1\n"
    functions = f"@final\ndef whole():\n{body * 79}async def long():\n{body * 80}"
    (tmp_path / "api" / "functions.py").write_text(functions + "class Once:\n    class Twice: ...\n")
    (tmp_path / "api" / "classes.py").write_text("class Twice: ...\n")
    assert long_modules(tmp_path) == {"api/long.py"}
    assert long_functions(tmp_path) == {"api/functions.py: long"}
    assert defined_twice(tmp_path) == {"Twice"}
