"""`--json` everywhere: one JSON document on standard output; prompts, hints and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dmarcworks.cli import COMMANDS, app
from tests.support.commands import run

# These run until they are stopped and have no result.
ENDLESS = {("serve",), ("demo",)}
# Groups that do something without a subcommand.
GROUPS = {("queue",), ("problems",), ("mailbox",)}


def every_command(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and every group that works without a subcommand, with its names."""
    monkeypatch.setattr(sys, "argv", ["dmarcworks", *COMMANDS])  # a command is imported when it is called

    def walk(command: Any, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        if not hasattr(command, "list_commands"):
            yield names, command
            return
        context = typer.Context(command, info_name="dmarcworks")
        if names and command.invoke_without_command:
            yield names, command
        for name in command.list_commands(context):
            yield from walk(command.get_command(context, name), (*names, name))

    yield from walk(typer.main.get_command(app), ())


def test_every_command_with_a_result_has_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = dict(every_command(monkeypatch))
    options = {names: {one for value in command.params for one in value.opts} for names, command in commands.items()}
    assert {names for names, known in options.items() if "--json" not in known} == ENDLESS
    assert set(commands) >= GROUPS | {("domain", "add"), ("route", "destination", "remove"), ("senders", "own", "list")}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["problems"], []),
        (["problems", "list"], []),
        (["problems", "other"], []),
        (["queue"], []),
        (["queue", "dead"], []),
        (["route", "list"], []),
        (["route", "destination", "list"], []),
        (["route", "domain", "list"], []),
        (["token", "list"], []),
        (["domain", "list"], []),
        (["user", "list"], []),
        (["audit"], []),
        (["sql", "--log", "--account", ""], []),
    ],
    ids=str,
)
def test_nothing_is_an_empty_list(tmp_path: Path, arguments: list[str], expected: object) -> None:
    done = run(tmp_path, *arguments, "--json")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, expected, "")


def test_routing_of_a_domain_is_switched(tmp_path: Path) -> None:
    run(tmp_path, "domain", "add", "example.com")
    for word, enabled in (("disable", False), ("enable", True)):
        done = run(tmp_path, "route", "domain", word, "EXAMPLE.com", "--json")
        assert json.loads(done.stdout) == {"domain": "example.com", "enabled": enabled}
        listed = json.loads(run(tmp_path, "route", "domain", "list", "--json").stdout)
        assert listed == [{"domain": "example.com", "enabled": enabled}]


def test_parsing_prints_the_array(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("no report")
    done = run(tmp_path / "home", "parse", str(tmp_path / "a.txt"), "--json")
    assert done.returncode == 1
    assert [one["kind"] for one in json.loads(done.stdout)] == ["problem"]
    both = run(tmp_path / "home", "parse", str(tmp_path / "a.txt"), "--json", "--format", "csv")
    assert (both.returncode, both.stdout) == (2, "")
    assert "--json and --format exclude each other" in both.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["domain", "show", "nowhere.example"], 1),
        (["domain", "add", "no domain"], 2),
        (["route", "domain", "disable", "nowhere.example"], 1),
        (["problems", "show", "7"], 1),
        (["queue", "show", "7"], 1),
        (["token", "revoke", "none"], 1),
        (["user", "reset", "nobody@example.net"], 1),
        (["retention", "set", "raw", "soon"], 2),
    ],
    ids=str,
)
def test_an_error_leaves_standard_output_empty(tmp_path: Path, arguments: list[str], status: int) -> None:
    """A script sees the exit status, and a person the sentence."""
    plain, done = run(tmp_path, *arguments), run(tmp_path, *arguments, "--json")
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr == plain.stderr != ""


@pytest.mark.parametrize("arguments", [["domain", "remove", "example.com"], ["user", "remove", "someone@example.net"]])
def test_a_prompt_is_not_part_of_the_document(tmp_path: Path, arguments: list[str]) -> None:
    run(tmp_path, "domain", "add", "example.com")
    run(tmp_path, "user", "add", "someone@example.net")
    done = run(tmp_path, *arguments, "--json", answer="y\n")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert "[y/N]" in done.stderr
