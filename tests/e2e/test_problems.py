"""What went wrong stands on a page with its reason, and a person sets it right there by one click."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support import poisonous
from tests.support.mails import report_mail
from tests.support.poisonous import BROKEN
from tests.support.system import System, Visitor, wait_for

COMMAND = [sys.executable, poisonous.__file__]


@pytest.fixture(scope="module")
def bug(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As long as this file is there the reader has a bug."""
    path = tmp_path_factory.mktemp("bug") / "bug"
    path.touch()
    return path


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, bug: Path) -> Iterator[System]:
    settings = {"DMARCWORKS_QUEUE_MAX_RETRIES": "0", "POISON": str(bug)}
    running = System(tmp_path_factory.mktemp("problems") / "home", settings, command=COMMAND)
    running.start()
    running.add_domains("example.com")
    yield running
    if running.alive:
        running.stop()


@pytest.fixture(scope="module")
def page(system: System, visitor: Visitor) -> Page:
    visitor.log_in(system.login_link())
    return visitor.page


def open_problem(page: Page, system: System, words: str) -> None:
    page.goto(f"{system.http}/problems")
    page.get_by_role("link", name=words).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(words)


def test_a_dead_letter_is_read_by_one_click_after_a_repair(system: System, page: Page, bug: Path) -> None:
    """Its reason stands on the page; before the mend a click changes nothing, after it the report is counted."""
    rua = system.rua["example.com"]
    raw = BROKEN + b"\r\n" + report_mail("broken")
    assert system.send(rua, raw, report_mail("sound")) == [(250, "")] * 2
    wait_for(system.problems, "a problem")
    wait_for(lambda: system.total() == 5, "its neighbour counted")
    open_problem(page, system, "Parsing failed repeatedly")
    expect(page.locator("main")).to_contain_text("Reading this mail failed 1 time; the last error was")
    expect(page.locator("main")).to_contain_text("this reader has a bug")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the raw mail").click()
    assert Path(download.value.path()).read_bytes() == raw

    page.get_by_role("button", name="Reprocess").click()
    expect(page.get_by_text("not solved")).to_be_visible()
    assert len(system.rows("SELECT id FROM queue WHERE dead IS NOT NULL")) == 1

    bug.unlink()
    page.get_by_role("button", name="Reprocess").click()
    expect(page.get_by_text("Reprocessed: the mail contained 1 report.")).to_be_visible()
    assert system.total() == 10
    assert system.problems() == []
    assert system.rows("SELECT id FROM queue") == []
    page.goto(f"{system.http}/audit")
    expect(page.locator("main")).to_contain_text("Problem reprocessed")


def test_a_problem_is_discarded_only_after_a_question(system: System, page: Page) -> None:
    """The dialog asks; no changes nothing; yes takes it off the list and keeps row and mail, with who and when."""
    rua = system.rua["example.com"]
    broken = b"Subject: hello\r\nContent-Type: application/gzip\r\n\r\nNo report.\r\n"
    assert system.send(rua, broken) == [(250, "")]
    wait_for(system.problems, "a problem")
    page.goto(f"{system.http}/problems")
    page.locator("tbody a.row").first.click()
    page.get_by_role("link", name="Discard…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("link", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert len(system.problems()) == 1
    page.get_by_role("link", name="Discard…").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Discarded by admin@localhost")).to_be_visible()
    (row,) = system.rows("SELECT * FROM problems WHERE state = 'discarded'")
    assert row["changed_by"] == "admin@localhost"
    assert row["changed"] > 0
    assert (system.home / "objects" / row["object_key"]).exists()
    # Found again it stays discarded.
    assert system.json("problems", "retry", "--all") == {"mails": 0, "skipped": []}
    assert [found["id"] for found in system.json("problems", "list", "--state", "discarded")] == [row["id"]]
    assert system.json("audit", "--action", "problem.discard")[0]["target"] == str(row["id"])


def test_a_report_of_another_domain_is_adopted_once_its_domain_is_added(system: System, page: Page) -> None:
    """Counted nowhere, then by a click for the right domain, exactly once, however often its mail comes again."""
    rua = system.rua["example.com"]
    raw = report_mail("foreign", domain="mail.example.org")
    assert system.send(rua, raw, report_mail("other", domain="other.example")) == [(250, "")] * 2
    wait_for(lambda: len(system.problems()) == 2, "two problems")
    number = next(found["id"] for found in system.problems() if "mail.example.org" in found["detail"])
    refused = system.cli("problems", "adopt", str(number))
    assert (refused.returncode, "add it first" in refused.stderr) == (1, True)
    page.goto(f"{system.http}/problems/{number}")
    expect(page.get_by_role("button", name="Count it")).to_have_count(0)
    system.add_domains("example.org")
    page.reload()
    page.get_by_role("button", name="Count it for example.org").click()
    expect(page.get_by_text("The report is now counted.")).to_be_visible()
    assert system.total("mail.example.org") == 5
    assert system.sql("SELECT DISTINCT domain FROM dmarc_reports WHERE policy_domain = 'mail.example.org'") == [
        {"domain": "example.org"}
    ]
    assert system.send(rua, raw) == [(250, "")]
    system.settle()
    assert system.total("mail.example.org") == 5
    assert [found["id"] for found in system.problems()] != [number]

    added = system.cli("domain", "add", "other.example")
    assert "1 report about it arrived earlier at other addresses of the account" in added.stdout
    assert system.json("problems", "adopt", "--all") == {"mails": 1, "skipped": []}
    wait_for(lambda: system.total("other.example") == 5, "counted")
    assert system.json("problems", "adopt", "--all") == {"mails": 0, "skipped": []}
    system.settle()
    assert system.total("other.example") == 5
    assert system.problems() == []
    domains = system.rows("SELECT id, name FROM domains")
    names = {row["id"]: row["name"] for row in domains}
    states = system.rows(
        "SELECT domain_id, state FROM reports WHERE policy_domain LIKE '%example.org' OR policy_domain LIKE 'other%'"
    )
    assert sorted((names[row["domain_id"]], row["state"]) for row in states) == [
        ("example.org", "counted"),
        ("other.example", "counted"),
    ]
    told = json.loads(system.cli("verify", "--json").stdout)
    assert told["differences"] == []
