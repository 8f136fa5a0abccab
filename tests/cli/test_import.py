"""`dmarcworks import`: each report of files, mails and mailboxes is counted once, for its own domain, or named."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import run
from tests.support.rest import aggregate


def mail(*files: tuple[str, bytes]) -> bytes:
    """A mail with these attachments."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "dmarc@mail.example", "x@reports.example.net", "Reports"
    message.set_content("see attachments")
    for name, data in files:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def imported(home: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = run(home, "import", *arguments, "--json")
    assert done.returncode == status, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def total(home: Path) -> list[list[str]]:
    """Domain and messages, as SQL counts them."""
    done = run(home, "sql", "SELECT domain, sum(count) FROM dmarc_reports GROUP BY domain ORDER BY domain")
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("one.example", "two.example"):
        assert run(tmp_path / "home", "domain", "add", name).returncode == 0
    return tmp_path / "home"


def test_a_folder_goes_to_the_domains_that_its_reports_are_about(home: Path, tmp_path: Path) -> None:
    """XML, gzip, a mail, a mail for two domains and an mbox; twice is once; unknown domains are named."""
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "a.xml").write_bytes(aggregate("one.example", "a"))
    (folder / "b.xml.gz").write_bytes(gzip.compress(aggregate("sub.two.example", "b", count=7)))
    (folder / "c.eml").write_bytes(mail(("c.xml", aggregate("one.example", "c"))))
    both = mail(("d1.xml", aggregate("one.example", "d")), ("d2.xml", aggregate("two.example", "d", count=2)))
    (folder / "d.eml").write_bytes(both)
    box = b"".join(
        b"From dmarc@mail.example Mon Nov 23 00:00:00 2026\n" + mail((f"{n}.xml", aggregate("two.example", n))) + b"\n"
        for n in ("e", "f")
    )
    (folder / "e.mbox").write_bytes(box)
    clean = imported(home, str(folder))
    assert (clean["files"], clean["mails"], clean["known"], clean["left"]) == (6, 7, 0, [])
    assert clean["reports"] == {"new": 7, "duplicate": 0, "foreign": 0}
    assert clean["problems"] == []
    assert total(home) == [["one.example", "30"], ["two.example", "38"]]
    again = imported(home, str(folder))
    assert (again["mails"], again["known"], again["reports"]["new"], again["reports"]["duplicate"]) == (7, 7, 0, 7)
    (folder / "g.xml").write_bytes(aggregate("nowhere.example", "g"))
    (folder / "h.txt").write_bytes(b"no report")
    left = imported(home, str(folder), status=1)
    assert left["unknown_domains"] == {"nowhere.example": 1}
    assert [(Path(x["path"]).name, x["reason"]) for x in left["left"]] == [
        ("g.xml", "unknown_domain"),
        ("h.txt", "not_xml"),
    ]
    assert total(home) == [["one.example", "30"], ["two.example", "38"]]
    told = run(home, "import", str(folder))
    assert told.returncode == 1
    assert "1 about nowhere.example: `dmarcworks domain add nowhere.example`, then import again" in told.stdout
    rows = json.loads(run(home, "audit", "--action", "report.import", "--json").stdout)
    assert [row["actor"] for row in rows] == ["command"]


def test_a_named_domain_takes_all_and_problems_are_listed(home: Path, tmp_path: Path) -> None:
    """With --domain a report about another is kept as a problem, and so is what is no report."""
    (tmp_path / "a.xml").write_bytes(aggregate("one.example", "a"))
    (tmp_path / "b.xml").write_bytes(aggregate("elsewhere.example", "b"))
    (tmp_path / "c.xml").write_bytes(b"<feedback>")
    paths = [str(tmp_path / name) for name in ("a.xml", "b.xml", "c.xml")]
    told = imported(home, *paths, "--domain", "one.example", status=1)
    assert told["reports"] == {"new": 1, "duplicate": 0, "foreign": 1}
    assert sorted(problem["reason"] for problem in told["problems"])[0] == "other_domain"
    assert (len(told["problems"]), told["left"]) == (2, [])
    assert len(json.loads(run(home, "problems", "list", "--json").stdout)) == 2
    assert run(home, "import", *paths, "--domain", "nowhere.example").returncode == 1
    assert run(home, "import", str(tmp_path / "nothing-here")).returncode == 2


def test_a_large_file_is_compressed_on_its_way(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that is larger than a mail as XML comes in; what is too large even so is named."""
    monkeypatch.setenv("DMARCWORKS_MAIL_BYTES", "100000")
    data = aggregate("one.example", "large")
    record = data[data.index(b"<record>") : data.index(b"</feedback>")]
    padded = data.replace(b"</feedback>", record * 1500 + b"</feedback>")
    assert len(padded) > 1_000_000
    (tmp_path / "large.xml").write_bytes(padded)
    assert imported(home, str(tmp_path / "large.xml"))["reports"]["new"] == 1
    assert total(home) == [["one.example", str(1501 * 10)]]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("r.xml", padded)
    (tmp_path / "large.zip").write_bytes(out.getvalue())
    told = imported(home, str(tmp_path / "large.zip"), "--domain", "one.example", status=1)
    assert [x["reason"] for x in told["left"]] == ["mail_bytes"]
