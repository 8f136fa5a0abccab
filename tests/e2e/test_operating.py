"""Promise: commands find the running system by its data directory, never make one, and manage users and tokens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.system import COMMAND, HOST, System


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("operating") / "home")
    running.start()
    running.add_domain("example.com")
    yield running
    if running.alive:
        running.stop()


@pytest.mark.parametrize(
    "command",
    [
        ["domain", "list"],
        ["domain", "add", "example.com"],
        ["user", "list"],
        ["token", "create"],
        ["audit"],
        ["sql", "SELECT 1"],
        ["problems"],
        ["queue"],
        ["route", "list"],
        ["replay"],
        ["verify"],
        ["backup", "copy"],
        ["retention", "show"],
        ["import", "report.xml"],
        ["status"],
        ["sources", "example.com"],
        ["reports"],
        ["domain", "figures", "example.com"],
    ],
    ids=" ".join,
)
def test_a_command_never_makes_a_data_directory(tmp_path: Path, command: list[str]) -> None:
    """It names the absolute path that it looked for and the variable; nothing is written."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DMARCWORKS_")}
    (tmp_path / "report.xml").write_text("<feedback/>")
    done = subprocess.run([*COMMAND, *command], cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"there is no data directory {tmp_path}/var; name it with DMARCWORKS_HOME=/path" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["report.xml"]


def test_deliver_without_a_data_directory_is_tried_again(tmp_path: Path) -> None:
    """A mail server keeps the mail: exit status 75 (EX_TEMPFAIL)."""
    clean = {**os.environ, "DMARCWORKS_HOME": str(tmp_path / "none")}
    done = subprocess.run(
        [*COMMAND, "deliver", "--to", "a@b.example"], env=clean, input=b"Subject: x\r\n\r\nx", capture_output=True
    )
    assert done.returncode == 75
    assert f"there is no data directory {tmp_path}/none".encode() in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_serve_prints_works_from_any_directory(system: System, tmp_path: Path) -> None:
    """The absolute path of the data directory, and a command line that is run as printed, without an environment."""
    printed = system.output.read_text()
    assert f"  Data directory: {system.home}\n" in printed
    (line,) = re.findall(r"  Next: (.+) domain add example\.com", printed)
    done = subprocess.run(
        ["sh", "-c", f"{line} domain list --json"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [row["name"] for row in json.loads(done.stdout)] == ["example.com"]
    assert list(tmp_path.iterdir()) == []


def test_a_commands_environment_cannot_disagree(system: System) -> None:
    """The running server's host name and store count; without a server the name that the last one had."""
    environment = {name: value for name, value in system.environment.items() if not name.startswith("DMARCWORKS_")}
    environment |= {"DMARCWORKS_HOME": str(system.home)}
    for hostname in ("mx.wrong.example", ""):
        given = {"DMARCWORKS_HOSTNAME": hostname} if hostname else {}
        done = subprocess.run(
            [*COMMAND, "domain", "show", "example.com"],
            env={**environment, **given},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"  {HOST}  MX  10 {HOST}\n" in done.stdout
        assert "wrong" not in done.stdout
    wrong = subprocess.run(
        [*COMMAND, "domain", "list"],
        env={**environment, "DMARCWORKS_DATABASE_URL": "sqlite:////nonexistent/other.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        f"dmarcworks: the server of {system.home} uses sqlite:///{system.home}/dmarcworks.db;"
        " DMARCWORKS_DATABASE_URL must name the same store\n"
    )
    assert system.stop() == 0
    added = subprocess.run(
        [*COMMAND, "domain", "add", "later.example", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(added.stdout)["rua"].endswith(f"@{HOST}")
    system.start()


def test_a_second_server_says_so_in_one_sentence(system: System) -> None:
    """The data directory and the process that has it; nothing of the engine."""
    assert system.process is not None
    done = subprocess.run([*COMMAND, "serve"], env=system.environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    # Besides the server's log, whose lines are JSON here.
    said = [line for line in done.stderr.splitlines(keepends=True) if not line.startswith("{")]
    assert "".join(said) == (
        f"dmarcworks: a server (process {system.process.pid}) is already running on the data directory"
        f" {system.home}; stop it first, or name another directory with DMARCWORKS_HOME\n"
    )


def test_users_are_disabled_reset_and_removed(system: System) -> None:
    """By command, with a line in the audit log for each; the list names the account."""
    assert system.json("user", "add", "ann@example.com", "--account", "acme")["account"] == "acme"
    (ann,) = (user for user in system.json("user", "list") if user["email"] == "ann@example.com")
    assert (ann["account"], ann["enabled"]) == ("acme", True)
    assert "acme" in system.cli("user", "list").stdout
    assert system.json("user", "disable", "ann@example.com")["enabled"] is False
    refused = system.cli("user", "link", "ann@example.com")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "ann@example.com is disabled" in refused.stderr
    assert system.cli("user", "reset", "ann@example.com").returncode == 1
    assert system.json("user", "enable", "ann@example.com")["enabled"] is True
    link = system.json("user", "reset", "ann@example.com")["login_link"]
    assert link.startswith(f"{system.http}/login/")
    assert system.json("user", "remove", "ann@example.com", "--yes")["email"] == "ann@example.com"
    assert system.cli("user", "remove", "ann@example.com", "--yes").returncode == 1
    actions = [row["action"] for row in system.json("audit", "--action", "user") if row["target"] == "ann@example.com"]
    assert actions == ["user.remove", "user.reset", "user.enable", "user.disable", "user.login-link", "user.add"]


def test_a_rotated_token_has_a_new_secret_only(system: System) -> None:
    """The old one is unknown at once; id, scope and name stay; the audit log names the token, not its id."""

    def status(secret: str) -> int:
        request = urllib.request.Request(f"{system.http}/api/v1/domains", headers={"Authorization": f"Bearer {secret}"})
        try:
            return int(urllib.request.urlopen(request, timeout=30).status)
        except urllib.error.HTTPError as error:
            return error.code

    made = system.json("token", "create", "--name", "ci")
    assert status(made["token"]) == 200
    rotated = system.json("token", "rotate", made["id"])
    assert {**rotated, "token": ""} == {**made, "token": ""}
    assert (status(made["token"]), status(rotated["token"])) == (401, 200)
    assert system.cli("token", "rotate", "0" * 32).returncode == 1
    entry = system.json("audit", "--action", "token.rotate")[0]
    assert (entry["target"], entry["target_shown"], entry["account"]) == (made["id"], "ci", "default")
    shown = system.cli("audit", "--action", "token.rotate").stdout
    assert "ci" in shown
    assert made["id"] not in shown


def test_domains_from_a_file(system: System, tmp_path: Path) -> None:
    """Each is added once; what cannot be added is named with its reason, and the rest is added all the same."""
    system.json("domain", "add", "held.example", "--account", "other")
    names = tmp_path / "domains.txt"
    names.write_text("# ours\none.example\nTWO.example. # two\n\nexample.com\nno domain\nheld.example\none.example\n")
    done = system.cli("domain", "add", "--file", str(names), "--json")
    assert done.returncode == 1
    outcomes = [(one["domain"], one["outcome"]) for one in json.loads(done.stdout)]
    assert outcomes == [
        ("one.example", "added"),
        ("two.example", "added"),
        ("example.com", "present"),
        ("no domain", "refused"),
        ("held.example", "refused"),
    ]
    assert "other" not in json.loads(done.stdout)[-1]["reason"].replace("another", "")
    assert system.cli("domain", "add").returncode == 2
    assert system.cli("domain", "add", "a.example", "--file", str(names)).returncode == 2
    assert system.cli("domain", "add", "--file", str(tmp_path / "absent")).returncode == 2


def test_domain_show_says_whether_reports_arrive(system: System) -> None:
    """None yet, then how many and when the last one came."""
    domain = system.json("domain", "add", "arrives.example")
    assert "reports     none has arrived yet" in system.cli("domain", "show", "arrives.example").stdout
    assert system.send(domain["rua"], report_mail("a1", domain="arrives.example")) == [(250, "")]
    system.settle()
    shown = system.cli("domain", "show", "arrives.example").stdout
    assert "reports     1 received, 1 of them in the last 7 days; the last one at 20" in shown


def rest(system: System, path: str) -> object:
    """What the REST API returns to the account's token."""
    request = urllib.request.Request(f"{system.http}/api/v1{path}", headers={"Authorization": f"Bearer {system.token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


QUESTIONS = [
    (["domain", "figures", "asked.example"], "/domains/asked.example/figures"),
    (
        ["domain", "figures", "asked.example", "--first", "2026-01-01", "--last", "2026-12-31"],
        "/domains/asked.example/figures?first=2026-01-01&last=2026-12-31",
    ),
    (
        ["domain", "figures", "asked.example", "--first", "2026-01-01", "--last", "2026-12-31", "--daily"],
        "/domains/asked.example/days?first=2026-01-01&last=2026-12-31",
    ),
    (["domain", "figures", "asked.example", "--days", "365"], "/domains/asked.example/figures?days=365"),
    (["sources", "asked.example", "--days", "365"], "/domains/asked.example/sources?days=365"),
    (
        ["sources", "asked.example", "--first", "2026-01-01", "--last", "2026-12-31", "--order", "source_ip"],
        "/domains/asked.example/sources?first=2026-01-01&last=2026-12-31&order=source_ip",
    ),
    (["reports", "--domain", "asked.example", "--kind", "aggregate"], "/reports?domain=asked.example&kind=aggregate"),
    (["reports", "--org-name", "no such"], "/reports?org_name=no%20such"),
    (["reports", "--report-id", "q1", "--state", "counted"], "/reports?report_id=q1&state=counted"),
]


def test_commands_answer_like_rest_with_and_without_a_server(system: System) -> None:
    """The same filters and the same JSON; a wrong filter is wrong usage with the API's sentence."""
    domain = system.add_domain("asked.example")
    mails = [report_mail(f"q{number}", domain="asked.example") for number in range(3)]
    assert system.send(domain["rua"], *mails) == [(250, "")] * 3
    system.settle()
    answers = []
    for command, path in QUESTIONS:
        body = rest(system, path)
        assert isinstance(body, dict)
        answers.append(body.get("items", body))
        assert system.json(*command) == answers[-1], command
    assert answers[1]["messages"] == 15
    assert [row["report_id"] for row in answers[-1]] == ["q1"]
    assert len(system.json("reports", "--domain", "asked.example", "--limit", "2")) == 2
    assert system.cli("reports", "--domain", "nowhere.example").returncode == 1
    wrong = system.cli("domain", "figures", "asked.example", "--first", "2026-02-01", "--last", "2026-01-01")
    assert (wrong.returncode, "the period ends before it begins" in wrong.stderr) == (2, True)
    wrong = system.cli("reports", "--kind", "other")
    assert (wrong.returncode, "--kind: " in wrong.stderr) == (2, True)
    for command in (["domain", "figures", "asked.example"], ["sources", "asked.example"], ["reports"]):
        assert system.cli(*command).returncode == 0
    assert system.stop() == 0
    assert [system.json(*command) for command, _ in QUESTIONS] == answers
    system.start()


def test_status(system: System) -> None:
    """Versions, stores with sizes, queue, last mail, problems, certificate and disk; also without a server."""
    running = system.json("status")
    assert system.process is not None
    assert running["server"]["pid"] == system.process.pid
    assert running["ready"]["status"] == "ok"
    assert (running["hostname"], running["data_directory"]) == (HOST, str(system.home))
    assert set(running["stores"]) == {"database", "objects", "analytics"}
    assert all(store["bytes"] > 0 for store in running["stores"].values())
    assert running["last_mail"].startswith("20")
    assert (running["open_problems"], running["certificate"]) == (0, None)
    assert 0 < running["disk"]["free_bytes"] < running["disk"]["bytes"]
    shown = system.cli("status")
    assert shown.returncode == 0
    assert f"process {system.process.pid}, {system.http}" in shown.stdout
    assert system.stop() == 0
    stopped = system.json("status")
    assert (stopped["server"], stopped["ready"]) == (None, None)
    assert stopped["queue"] == running["queue"] == {"ready": 0, "delayed": 0, "leased": 0, "dead": 0, "oldest_age": 0.0}
    assert "not running" in system.cli("status").stdout
    system.start()
