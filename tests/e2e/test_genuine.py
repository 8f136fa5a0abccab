"""Promise: a forged report mail has its 250, is marked as what it is, and is counted only where that is wanted."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from mails import report_mail
from outside import Names, answering

from .conftest import System, wait_for

RECORDS = {
    ("genuine.example", "TXT"): "v=spf1 ip4:127.0.0.1 -all",
    ("_dmarc.genuine.example", "TXT"): "v=DMARC1; p=reject",
    ("forged.example", "TXT"): "v=spf1 -all",
    ("_dmarc.forged.example", "TXT"): "v=DMARC1; p=none",
}


@pytest.mark.parametrize(
    ("mode", "messages", "states", "reasons"),
    [
        ("accept", 3 * 5, ["counted"] * 3, []),
        ("quarantine", 2 * 5, ["counted", "counted", "quarantined"], ["not_genuine"]),
        ("reject", 2 * 5, ["counted", "counted"], ["not_genuine"]),
    ],
)
def test_a_forged_report_is_marked_or_kept_apart(
    tmp_path: Path, mode: str, messages: int, states: list[str], reasons: list[str]
) -> None:
    """A genuine, a forged and an unprovable mail: results, state, figures and problem for each mode."""
    names = Names()
    names.add(RECORDS)
    with answering(names):
        settings = {"DMARCWORKS_REPORT_AUTH": mode, "DMARCWORKS_DNS_SERVER": names.server}
        system = System(tmp_path / "home", settings=settings)
        system.start()
        domain = system.add_domain("example.com")
        with smtplib.SMTP(*system.smtp, local_hostname="mail.example", timeout=30) as client:
            for report, author in (("1", "genuine.example"), ("2", "forged.example"), ("3", "unknown.example")):
                raw = report_mail(report).replace(b"From: dmarc@mail.example", f"From: dmarc@{author}".encode())
                assert client.sendmail(f"dmarc@{author}", [domain["rua"]], raw) == {}
        wait_for(lambda: len(system.rows("SELECT id FROM mails")) == 3, "all mails read")
        wait_for(lambda: len(system.rows("SELECT id FROM activity")) == 3, "three lines")
        assert system.total() == messages
        assert sorted(row["state"] for row in system.rows("SELECT state FROM reports")) == states
        assert [problem["reason"] for problem in system.problems()] == reasons
        found = system.rows(
            "SELECT m.sender, a.spf, a.dkim, a.dmarc, a.arc FROM authenticity a JOIN mails m ON m.id = a.mail_id"
        )
        assert {row["sender"]: (row["spf"], row["dkim"], row["dmarc"], row["arc"]) for row in found} == {
            "dmarc@genuine.example": ("pass", "none", "pass", "none"),
            "dmarc@forged.example": ("fail", "none", "fail", "none"),
            "dmarc@unknown.example": ("none", "none", "none", "none"),
        }
        rows = system.sql("SELECT report_id, any(report_authentic) AS proof FROM dmarc_reports GROUP BY report_id")
        proven = {row["report_id"]: row["proof"] for row in rows}
        assert proven == {"1": "pass", "3": "none", **({"2": "fail"} if mode == "accept" else {})}
        assert system.stop() == 0


def test_without_dns_reports_are_counted(tmp_path: Path) -> None:
    """A name server that never answers costs a pause in reading, no report and no problem."""
    settings = {
        "DMARCWORKS_REPORT_AUTH": "reject",
        "DMARCWORKS_DNS_SERVER": "127.0.0.1:9",
        "DMARCWORKS_AUTH_SECONDS": "1",
    }
    system = System(tmp_path / "home", settings=settings)
    system.start()
    domain = system.add_domain("example.com")
    assert system.send(domain["rua"], report_mail("1"), report_mail("2")) == [(250, "")] * 2
    system.settle()
    assert system.total() == 10
    assert system.problems() == []
    assert system.rows("SELECT mail_id FROM authenticity") == []
    assert "DNS gives no answers" in system.log.read_text()
    assert system.stop() == 0
