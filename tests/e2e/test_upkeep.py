"""Promise: whoever runs it can prove, mend and rebuild everything by command, beside the running server and without."""

from __future__ import annotations

import json

from mails import report_mail

from .conftest import System

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
    beside = system.cli("verify", "--json")
    assert beside.returncode == 1
    assert [found["kind"] for found in json.loads(beside.stdout)["differences"]] == ["object_changed"]
    shown = system.cli("verify")
    assert shown.returncode == 1
    assert "object_changed report " in shown.stdout
    assert shown.stdout.endswith(f"{REPORTS} mails, 0 problems: 1 differences.\n")
    assert f"reports: {REPORTS} of {REPORTS}" in shown.stderr
    assert system.stop() == 0
    alone = system.cli("verify", "--json")
    assert (alone.returncode, json.loads(alone.stdout)) == (1, json.loads(beside.stdout))
    system.start()
    assert system.json("verify", "--repair")["repaired"] == 1
    assert system.json("verify") == whole
    assert system.cli("verify", "--domain", "nobody.example").returncode == 1
    assert system.total() == 5 * REPORTS
