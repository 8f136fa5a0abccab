"""`dmarcworks sql` answers the same, exactly, with a server running and without one; what is refused is said."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.mails import report_mail
from tests.support.system import COMMAND, System


@pytest.fixture(scope="module")
def filled(system: System) -> System:
    system.add_domain("example.com")
    system.send(system.rua["example.com"], report_mail())
    system.settle()
    return system


STATEMENT = "SELECT source_ip, sum(count) AS n FROM dmarc_reports GROUP BY source_ip ORDER BY n DESC"


def check(system: System) -> None:
    done = system.cli("sql", STATEMENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "192.0.2.1\t3\n198.51.100.7\t2\n", "")
    done = system.cli("sql", "SELECT nope FROM dmarc_reports")
    assert (done.returncode, done.stdout) == (1, "")
    assert "unable to find type of column: nope" in done.stderr
    unknown = system.cli("sql", "SELECT 1", "--account", "nobody")
    assert (unknown.returncode, "there is no account 'nobody'; its first domain makes it" in unknown.stderr) == (
        1,
        True,
    )


def test_with_a_running_server(filled: System) -> None:
    check(filled)
    assert filled.cli("sql", STATEMENT, "--format", "csvwithnames").stdout == (
        '"source_ip","n"\n"192.0.2.1",3\n"198.51.100.7",2\n'
    )
    rows = json.loads(filled.cli("sql", STATEMENT, "--json").stdout)["data"]
    assert rows == [{"source_ip": "192.0.2.1", "n": 3}, {"source_ip": "198.51.100.7", "n": 2}]
    assert json.loads(filled.cli("sql", STATEMENT + " LIMIT 1 FORMAT JSONEachRow").stdout)["n"] == 3
    bound = "SELECT sum(count) FROM dmarc_reports WHERE source_ip = {ip:String}"
    assert filled.cli("sql", bound, "--param", "ip=192.0.2.1").stdout == "3\n"
    command = [*COMMAND, "sql", "-"]
    read = subprocess.run(
        command, env=filled.environment, input="SELECT 1 + 1", capture_output=True, text=True, check=False
    )
    assert (read.returncode, read.stdout) == (0, "2\n")
    filled.sql("SELECT 42 AS answer")


def test_wrong_usage_is_2(filled: System) -> None:
    for wrong in (["sql"], ["sql", "SELECT 1", "--json", "--format", "CSV"], ["sql", "SELECT 1", "--param", "x"]):
        assert filled.cli(*wrong).returncode == 2


def test_without_one_and_the_log_of_both(filled: System) -> None:
    """Every statement that was asked is in the log: who, how long, how many rows, what was wrong."""
    assert filled.stop() == 0
    check(filled)
    lines = filled.json("sql", "--log")
    assert {(line["who"], line["source"]) for line in lines} == {
        ("operator", "command"),
        ("token " + token_name(filled), "api"),
    }
    asked = [line for line in lines if line["text"] == STATEMENT]
    assert {(line["rows"], line["error"]) for line in asked} == {(2, "")}
    assert len(asked) == 4
    assert {line["error"] for line in lines if "nope" in line["text"]} == {
        "Input was invalid: unable to find type of column: nope; did you mean np?"
    }
    assert all(0 < line["ms"] < 60_000 for line in lines)


def token_name(system: System) -> str:
    (token,) = system.json("token", "list")
    return str(token["name"] or token["id"])


def test_on_a_terminal_it_is_a_table(filled: System) -> None:
    script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    done = subprocess.run(
        [sys.executable, "-c", script, *COMMAND, "sql", STATEMENT],
        env={**filled.environment, "TERM": "dumb", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    assert rows == [["source_ip", "n"], ["192.0.2.1", "3"], ["198.51.100.7", "2"]]
