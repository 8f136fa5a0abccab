"""Promise of a part of a package: it comes without the rest, and the rest fits it when it comes later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dmarcworks.process.part_of_package import import_part


def printed(code: str) -> list[str]:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_engine_comes_without_the_mapper() -> None:
    """The package that is imported afterwards is whole, and its classes are those of the part."""
    code = (
        "import sys\n"
        "from dmarcworks.process.part_of_package import import_part\n"
        "engine = import_part('sqlalchemy.ext.asyncio', 'engine')\n"
        "print('sqlalchemy.orm' in sys.modules, 'sqlalchemy.ext.asyncio' in sys.modules)\n"
        "from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession\n"
        "print(AsyncEngine is engine.AsyncEngine, 'sqlalchemy.orm' in sys.modules, AsyncSession.__name__)\n"
        "print(import_part('sqlalchemy.ext.asyncio', 'engine') is engine)\n"
    )
    assert printed(code) == ["False", "False", "True", "True", "AsyncSession", "True"]


def test_a_package_that_was_imported_before_stays() -> None:
    code = (
        "import sys, sqlalchemy.ext.asyncio as whole\n"
        "from dmarcworks.process.part_of_package import import_part\n"
        "engine = import_part('sqlalchemy.ext.asyncio', 'engine')\n"
        "print(sys.modules['sqlalchemy.ext.asyncio'] is whole, whole.AsyncEngine is engine.AsyncEngine)\n"
    )
    assert printed(code) == ["True", "True"]


def test_a_part_that_cannot_be_imported_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brokenpackage").mkdir()
    (tmp_path / "brokenpackage" / "__init__.py").write_text("whole = True\n")
    (tmp_path / "brokenpackage" / "part.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="broken"):
        import_part("brokenpackage", "part")
    assert not [name for name in sys.modules if name.startswith("brokenpackage")]


def test_what_is_no_package_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_part("nosuchpackage", "part")


def test_stores_are_opened_without_the_mapper() -> None:
    """What a short command imports to open an embedded store."""
    code = (
        "import sys, dmarcworks.bindings.sqlite, dmarcworks.catalogue.accounts; print('sqlalchemy.orm' in sys.modules)"
    )
    assert printed(code) == ["False"]
