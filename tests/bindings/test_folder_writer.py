"""Promise: every file and every folder that names it is on disk before a put is answered, by one call or many."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dmarcworks.bindings import folder_writer
from dmarcworks.bindings.folder_writer import Put, Writer
from dmarcworks.process.syncfs import file_system_sync

GROUP = [f"2026/11/{number:02}/report.xml" for number in range(12)]


def written(root: Path, monkeypatch: pytest.MonkeyPatch, sync: Callable[[int], bool] | None) -> list[str]:
    """Write the group; the names of what was synced by itself."""
    single: list[str] = []
    fsync = os.fsync

    def noted(handle: int) -> None:
        single.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(folder_writer, "file_system_sync", lambda: sync)
    writer = Writer(root)
    puts = [Put(key.split("/"), key.encode(), True) for key in GROUP]
    writer.write(puts)
    writer.close()
    assert [(put.stored, put.failed) for put in puts] == [(True, None)] * len(GROUP)
    assert [(root / key).read_text() for key in GROUP] == GROUP
    return single


def test_a_group_is_synced_by_one_call_for_its_files_and_one_for_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = file_system_sync()
    if real is None:
        pytest.skip("this system syncs file by file")
    answers: list[bool] = []

    def counted(handle: int) -> bool:
        answers.append(real(handle))
        return answers[-1]

    single = written(tmp_path / "objects", monkeypatch, counted)
    assert answers == [True, True]
    assert single == [str(tmp_path)]  # the root's own name


@pytest.mark.parametrize("sync", [None, lambda handle: False], ids=["no such call", "it fails"])
def test_else_each_file_and_each_folder_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: Callable[[int], bool] | None
) -> None:
    root = tmp_path / "objects"
    single = written(root, monkeypatch, sync)
    assert sum("/.tmp/" in name for name in single) == len(GROUP)
    folders = {str(root), f"{root}/2026", f"{root}/2026/11", *(f"{root}/{key.rpartition('/')[0]}" for key in GROUP)}
    assert {name for name in single if "/.tmp/" not in name} == folders | {str(tmp_path)}


def test_a_bad_handle_is_no_success() -> None:
    sync = file_system_sync()
    if sync is None:
        pytest.skip("this system syncs file by file")
    assert not sync(-1)
