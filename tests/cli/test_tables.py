"""Tables of commands: their lines are whole where no terminal is, and as wide as the terminal where one is."""

from __future__ import annotations

import pytest

from dmarcworks.cli.common import print_table

ADDRESS = f"{'0' * 32}@{'reports-' * 20}.example.net"


def test_a_line_is_not_broken_in_a_pipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An address can be found with grep and copied, however long it is."""
    monkeypatch.delenv("COLUMNS", raising=False)
    print_table(["domain", "rua"], [("a.example", ADDRESS)], "")
    head, line = capsys.readouterr().out.splitlines()
    assert (head.split(), line.split()) == (["domain", "rua"], ["a.example", ADDRESS])


def test_columns_sets_the_width(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_table(["domain", "rua"], [("a.example", ADDRESS)], "")
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
