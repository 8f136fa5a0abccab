"""The tests' tree follows the source tree; what tests share stands in tests/support and is imported in one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
SOURCE = ROOT.parent / "src" / "dmarcworks"
# No package of the source: what tests share, their data, and tests of the whole system.
APART = {"support", "corpus", "e2e", "faults", "peers"}


def imported(text: str) -> list[str]:
    """Every module that a file imports, however deep the import stands; relative ones begin with a dot."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            modules.append(module)
            modules += [
                f"{module}.{name.name}"
                for name in node.names
                if name.name == "conftest" or name.name.startswith("test_")
            ]
        elif isinstance(node, ast.Import):
            modules += [name.name for name in node.names]
    return modules


def faults(root: Path) -> list[str]:
    """What is wrong with the imports below `root`."""
    helpers = {path.stem for path in (root / "support").glob("*.py") if path.stem != "__init__"}
    wrong = []
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for module in imported(path.read_text()):
            if module.startswith("."):
                wrong.append(f"{name}: a relative import")
            elif module.split(".")[-1] == "conftest":
                wrong.append(f"{name}: imports a conftest")
            elif module.startswith("tests.") and any(part.startswith("test_") for part in module.split(".")):
                wrong.append(f"{name}: imports the test module {module}; shared code belongs in tests/support")
            elif module in helpers or module.startswith("support"):
                wrong.append(f"{name}: imports {module} not as tests.support")
    return wrong


def strangers(root: Path, source: Path) -> list[str]:
    """Folders below `root` that no package of the source has."""
    folders = {path.parent.relative_to(root) for path in root.rglob("*.py")} - {Path()}
    return sorted(
        folder.as_posix()
        for folder in folders
        if folder.parts[0] not in APART and not (source / folder / "__init__.py").exists()
    )


def test_what_is_shared_is_imported_in_one_way() -> None:
    assert faults(ROOT) == []


def test_every_folder_is_a_package_of_the_source() -> None:
    assert strangers(ROOT, SOURCE) == []


def test_every_folder_is_a_package() -> None:
    """Else a module has two names, and is imported twice."""
    folders = {path.parent for path in ROOT.rglob("*.py")}
    assert [folder.name for folder in folders if not (folder / "__init__.py").exists()] == []


def test_a_conftest_holds_fixtures_only() -> None:
    """No class, no constant and no plain function, which another test would have to import from it."""
    others = []
    for path in ROOT.rglob("conftest.py"):
        for node in ast.parse(path.read_text()).body:
            fixture = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (
                node.name.startswith("pytest_") or any("fixture" in ast.unparse(one) for one in node.decorator_list)
            )
            # The first is the docstring, and one call registers tests.support with pytest.
            if not (fixture or isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)):
                others.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert others == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("from tests.e2e.conftest import System", "imports a conftest"),
        ("from tests.e2e import conftest", "imports a conftest"),
        ("import conftest", "imports a conftest"),
        ("from .mails import mail", "a relative import"),
        ("from mails import mail", "imports mails not as tests.support"),
        ("def test():\n    import mails", "imports mails not as tests.support"),
        ("from support.mails import mail", "imports support.mails not as tests.support"),
        (
            "from tests.api.test_limits import Clock",
            "imports the test module tests.api.test_limits; shared code belongs in tests/support",
        ),
        (
            "from tests.reports import test_fuzz",
            "imports the test module tests.reports.test_fuzz; shared code belongs in tests/support",
        ),
    ],
)
def test_each_wrong_import_is_found(tmp_path: Path, line: str, fault: str) -> None:
    """The check itself: it fails for each other way, and not for the right one."""
    (tmp_path / "support").mkdir()
    (tmp_path / "support" / "mails.py").write_text("")
    (tmp_path / "test_a.py").write_text("from tests.support.mails import mail\n")
    assert faults(tmp_path) == []
    (tmp_path / "test_a.py").write_text(line + "\n")
    assert faults(tmp_path) == [f"test_a.py: {fault}"]


def test_a_folder_that_the_source_has_not_is_found(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    (tmp_path / "nothing" / "test_a.py").write_text("")
    assert strangers(tmp_path, SOURCE) == ["nothing"]
