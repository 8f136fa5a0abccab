"""Promise: the data directory and a backup are their owner's alone, also when the folder was there before."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmarcworks.bindings.private import tighten
from tests.support.commands import run


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """The umask that most shells have."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def test_the_data_directory_is_0700(tmp_path: Path) -> None:
    """Made so; one that is there and open to others is closed at the next start; one of others is named."""
    home = tmp_path / "deep" / "home"
    assert run(home, "domain", "add", "example.com").returncode == 0
    assert mode(home) == "0700"
    home.chmod(0o755)
    assert run(home, "domain", "list").returncode == 0
    assert mode(home) == "0700"
    empty = tmp_path / "empty"
    empty.mkdir(mode=0o755)
    assert run(empty, "domain", "list").returncode == 0
    assert mode(empty) == "0700"
    assert {mode(path) for path in (home / "objects").rglob("*") if path.is_dir()} == {"0700"}


def test_a_shared_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder like /tmp, and one with other things in it: named, not changed."""
    sticky, foreign = tmp_path / "sticky", tmp_path / "foreign"
    sticky.mkdir()
    sticky.chmod(0o1777)
    foreign.mkdir(mode=0o755)
    (foreign / "letters").touch()
    for folder, before in ((sticky, "1777"), (foreign, "0755")):
        assert f"{folder} is shared with others (mode {before})" in tighten(folder, ("dmarcworks.db",))
        assert mode(folder) == before


def test_a_backup_is_0700(tmp_path: Path) -> None:
    """The folder, made or there before, and at the next backup again; every folder in it; every file 0600."""
    home, fresh, there = tmp_path / "home", tmp_path / "fresh", tmp_path / "there"
    assert run(home, "domain", "add", "example.com").returncode == 0
    there.mkdir(mode=0o755)
    for folder in (fresh, there, there):
        done = run(home, "backup", str(folder))
        assert done.returncode == 0, done.stderr
        assert mode(folder) == "0700"
        assert {mode(path) for path in folder.rglob("*") if path.is_dir()} == {"0700"}
        assert {mode(path) for path in folder.rglob("*") if path.is_file()} == {"0600"}
        folder.chmod(0o755)
