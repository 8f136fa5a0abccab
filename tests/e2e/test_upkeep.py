"""Promise: whoever runs it can prove, mend and rebuild everything by command, beside the running server and without."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.mails import BEGIN, DAY, report_mail
from tests.support.peers import free_port
from tests.support.system import COMMAND, System, wait_for

REPORTS = 12


def test_verify_finds_and_mends_with_and_without_a_server(system: System) -> None:
    """The same differences from both; exit status 1 while one is left, 0 after the repair; the sums are as sent."""
    rua = system.add_domain("example.com")["rua"]
    assert system.send(rua, *(report_mail(f"r{n}") for n in range(REPORTS))) == [(250, "")] * REPORTS
    system.settle()
    compared = {"reports": REPORTS, "objects": REPORTS, "mails": REPORTS, "problems": 0}
    whole = {"differences": [], "compared": compared, "repaired": 0, "left": 0}
    assert system.json("verify") == whole
    (key,) = (row["object_key"] for row in system.rows("SELECT object_key FROM reports LIMIT 1"))
    path = system.home / "objects" / key
    path.write_bytes(b"\x1f" + path.read_bytes())
    neighbour = system.cli("verify", "--json")
    assert neighbour.returncode == 1
    assert [found["kind"] for found in json.loads(neighbour.stdout)["differences"]] == ["object_changed"]
    shown = system.cli("verify")
    assert shown.returncode == 1
    assert "object_changed report " in shown.stdout
    assert shown.stdout.endswith(f"{REPORTS} mails, 0 problems: 1 differences.\n")
    assert f"reports: {REPORTS} of {REPORTS}" in shown.stderr
    assert system.stop() == 0
    alone = system.cli("verify", "--json")
    assert (alone.returncode, json.loads(alone.stdout)) == (1, json.loads(neighbour.stdout))
    system.start()
    assert system.json("verify", "--repair")["repaired"] == 1
    assert system.json("verify") == whole
    assert system.cli("verify", "--domain", "nobody.example").returncode == 1
    assert system.total() == 5 * REPORTS


def days(system: System) -> list[dict[str, object]]:
    """Sums by domain and day."""
    return system.sql(
        "SELECT domain, day, COUNT() AS records, SUM(count) AS messages FROM dmarc_reports"
        " GROUP BY domain, day ORDER BY domain, day"
    )


def test_analytics_that_was_lost_is_rebuilt_while_mail_comes_in(system: System) -> None:
    """Without a server, killed in its middle, while the role smtp accepts mail: in the end the same sums by day."""
    rua = system.rua["example.com"]
    more = [report_mail(f"m{n}", begin=BEGIN + DAY * (n % 7)) for n in range(300)]
    assert system.send(rua, *more) == [(250, "")] * len(more)
    system.settle()
    before = days(system)
    assert len(before) == 7
    assert system.stop() == 0
    shutil.rmtree(system.home / "analytics")
    port = str(free_port())
    receiving = subprocess.Popen(
        [*COMMAND, "serve", "--roles", "smtp"],
        env={**system.environment, "DMARCWORKS_SMTP_PORT": port},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert receiving.stdout is not None
    assert any("is up" in line for line in receiving.stdout)
    rebuild = subprocess.Popen([*COMMAND, "replay"], env=system.environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: system.rows("SELECT id FROM replays"), "rebuilding")
    rebuild.kill()
    rebuild.wait()
    system.smtp = ("127.0.0.1", int(port))
    assert system.send(rua, report_mail("later", begin=BEGIN + 7 * DAY)) == [(250, "")]
    done = system.json("replay")
    assert done["result"]["state"] == "swapped"
    receiving.terminate()
    receiving.wait(60)
    receiving.stdout.close()
    system.start()
    system.settle()
    assert days(system)[:-1] == before
    assert days(system)[-1] | {"day": ""} == {"domain": "example.com", "day": "", "records": 2, "messages": 5}
    assert system.json("verify")["differences"] == []


def test_replay_tells_what_changes_and_can_be_undone(system: System) -> None:
    """On a terminal's words: the domain's figures, what was read again; a second one waits for --drop-old."""
    assert system.cli("replay").returncode == 1
    assert system.cli("replay", "--drop-old").stdout == "Dropped 1 version.\n"
    shown = system.cli("replay", "--domain", "example.com", "--since", "2026-01-01")
    assert shown.returncode == 0, shown.stderr
    reports = len(system.rows("SELECT key FROM reports"))
    assert f"Reprocessed {reports} reports in " in shown.stdout
    assert "0 changed, 0 could not be reprocessed and are unchanged." in shown.stdout
    assert system.cli("replay", "--back").returncode == 0
    assert system.cli("replay", "--back", "--drop-old").returncode == 2
    assert system.cli("replay", "--since", "yesterday", "--keep-old").returncode == 2
    assert system.json("replay", "--drop-old")["result"]["state"] == "dropped"
    assert system.json("verify")["differences"] == []


def test_retention_by_command(system: System) -> None:
    """Shown, set for an account, a dry run with counts, and taken by the running server."""
    mails = len(system.rows("SELECT id FROM mails"))
    assert {rule["kind"]: rule["days"] for rule in system.json("retention", "show")}["raw_mails"] == 0
    assert system.json("retention", "set", "raw_mails", "1")[0] == {"kind": "raw_mails", "days": 1, "own": True}
    assert system.cli("retention", "set", "raw_mails", "soon").returncode == 2
    assert system.cli("retention", "set", "mails", "3").returncode == 2
    assert system.json("retention", "run", "--dry-run")["things"] == 0
    with contextlib.closing(sqlite3.connect(system.home / "dmarcworks.db", timeout=10)) as connection:
        connection.execute("UPDATE mails SET received = received - 200000")
        connection.commit()
    assert system.json("retention", "run", "--dry-run")["things"] == mails
    assert f"{mails} items and " in system.cli("retention", "run").stdout
    assert list((system.home / "objects" / "inbox").rglob("*.eml")) == []
    assert system.json("verify")["differences"] == []


def test_backup_while_it_runs_and_restore_elsewhere(system: System, tmp_path: Path) -> None:
    """Mail comes in during the backup; restored into an empty home, the sums, the domain and its token are there."""
    rua = system.rua.get("example.com") or system.add_domain("example.com")["rua"]
    folder = tmp_path / "backup"
    first = system.json("backup", str(folder))
    assert (first["damaged"], first["copied"]) == (0, first["objects"])
    coming = [report_mail(f"b{n}", begin=BEGIN + DAY * (n % 7)) for n in range(50)]
    with ThreadPoolExecutor(1) as thread:
        sending = thread.submit(system.send, rua, *coming)
        during = system.json("backup", str(folder))
        assert sending.result() == [(250, "")] * len(coming)
    assert during["damaged"] == 0
    system.settle()
    last = system.json("backup", str(folder))
    before = days(system)
    assert system.cli("restore", str(folder)).returncode == 1
    assert system.stop() == 0
    refused = system.cli("restore", str(folder))
    assert refused.returncode == 1
    assert "is not empty" in refused.stderr
    other = System(tmp_path / "other", token=system.token, account_id=system.account_id, rua=dict(system.rua))
    shown = other.cli("restore", str(folder))
    assert (shown.returncode, shown.stderr) == (0, shown.stderr)
    assert f"{last['reports']} reports" in shown.stdout
    assert "0 differences" in shown.stdout
    other.start()
    assert days(other) == before
    assert other.send(rua, report_mail("after", begin=BEGIN + 8 * DAY)) == [(250, "")]
    other.settle()
    assert len(days(other)) == len(before) + 1
    assert other.json("verify")["differences"] == []
    assert other.stop() == 0
    system.start()
