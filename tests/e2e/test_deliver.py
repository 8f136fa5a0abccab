"""A mail server's pipe: `dmarcworks deliver` keeps a mail durably with and without a running server, by sysexits."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.system import COMMAND, HOST, System, wait_for


def pipe(system: System, mail: bytes, *arguments: str, **settings: str) -> tuple[int, str]:
    """The exit status and what was said."""
    done = subprocess.run(
        [*COMMAND, "deliver", *arguments],
        input=mail,
        env={**system.environment, **settings},
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.decode().strip() or done.stdout.decode()


@pytest.fixture(scope="module")
def rua(system: System) -> str:
    return str(system.add_domain("example.com")["rua"])


def test_a_mail_is_taken_while_the_server_runs(system: System, rua: str) -> None:
    """Status 0, and the running server reads and counts the report without being told."""
    assert pipe(system, report_mail("piped"), "--to", rua, "--from", "dmarc@mail.example") == (0, "")
    wait_for(lambda: system.total() == 5, "counted")
    # The mail's own line is written after its report's rows.
    wait_for(lambda: system.rows("SELECT id FROM mails") != [], "noted")
    (mail,) = system.rows("SELECT sender, recipient, peer FROM mails")
    assert mail == {"sender": "dmarc@mail.example", "recipient": rua, "peer": ""}


def test_the_line_of_a_mailbox_is_no_part_of_the_mail(system: System, rua: str) -> None:
    """`From sender date`, which some pipes put first, is left out; line ends stay as they come."""
    report = report_mail("with-from").replace(b"\r\n", b"\n")
    assert pipe(system, b"From dmarc@mail.example Tue Nov 24 17:00:00 2026\n" + report, "--to", rua)[0] == 0
    wait_for(lambda: system.total() == 10, "counted")
    stored = [path.read_bytes() for path in (system.home / "objects" / "inbox").rglob("*") if path.is_file()]
    assert report in stored


@pytest.mark.parametrize(
    ("arguments", "settings", "mail", "status", "says"),
    [
        (["--to", f"nobody@{HOST}"], {}, b"Subject: x\n\nx\n", 67, "5.1.1 No such recipient here"),
        (["--to", "someone@example.org"], {}, b"Subject: x\n\nx\n", 67, "5.1.1 No such recipient here"),
        (["--to", "RUA"], {}, b"", 65, "5.6.0 there is no mail"),
        (
            ["--to", "RUA"],
            {"DMARCWORKS_MAIL_BYTES": "2000"},
            b"x" * 2001,
            65,
            "5.3.4 the mail is larger than 2000 bytes",
        ),
        ([], {}, b"Subject: x\n\nx\n", 64, "--to"),
        (["--to", "RUA", "--wrong"], {}, b"Subject: x\n\nx\n", 64, "--wrong"),
        (["--to", "RUA"], {"DMARCWORKS_SMTP_PORTT": "1"}, b"Subject: x\n\nx\n", 75, "DMARCWORKS_SMTP_PORTT"),
        (["--to", "RUA"], {"DMARCWORKS_HOME": "/proc/nowhere"}, b"Subject: x\n\nx\n", 75, "/proc/nowhere"),
        (["--to", "RUA"], {"DMARCWORKS_OBJECTS_URL": "file:///proc/objects"}, b"Subject: x\n\nx\n", 75, "4.3.0"),
    ],
    ids=["unknown", "elsewhere", "nothing", "too large", "no recipient", "usage", "settings", "no home", "no store"],
)
def test_each_failure_has_its_status(
    system: System, rua: str, arguments: list[str], settings: dict[str, str], mail: bytes, status: int, says: str
) -> None:
    """What may work later is 75, so that the mail server keeps the mail; the text says why."""
    code, text = pipe(system, mail, *[rua if word == "RUA" else word for word in arguments], **settings)
    assert (code, says in text) == (status, True), text


def test_several_recipients(system: System, rua: str) -> None:
    """Each has its reply; one that does not exist makes the status, and the others have their mail."""
    code, _ = pipe(system, report_mail("two"), "--to", rua, "--to", f"nobody@{HOST}")
    assert code == 67
    wait_for(lambda: system.total() == 15, "counted")
    done = subprocess.run(
        [*COMMAND, "deliver", "--to", rua, "--json"],
        input=report_mail("json"),
        env=system.environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [{"to": rua, "reply": "250 2.0.0 Accepted"}]


def test_a_mail_waits_for_the_server(tmp_path: Path) -> None:
    """Without a running server it is kept all the same, and the next start reads it."""
    system = System(tmp_path / "home")
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    assert pipe(system, report_mail("early"), "--to", rua) == (0, "")
    token = system.json("token", "create")
    system.token, system.account_id = token["token"], token["account_id"]
    system.start()
    try:
        wait_for(lambda: system.total() == 5, "counted")
    finally:
        system.stop()


def test_a_refusal_by_a_rule_has_its_status(system: System, rua: str) -> None:
    """77 with the rule's own words; of several recipients the one that may be tried again decides, else the worst."""
    system.json("route", "add", "gone@example.com", "--reject", "Nobody works here any more")
    said = "5.7.1 Nobody works here any more: gone@example.com"
    assert pipe(system, b"Subject: x\n\nx\n", "--to", "gone@example.com") == (77, said)
    both = pipe(system, b"Subject: x\n\nx\n", "--to", f"nobody@{HOST}", "--to", "gone@example.com", "--to", rua)
    assert both == (77, said)
