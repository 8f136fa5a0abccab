"""`dmarcworks parse` as a person runs it: output, order and exit status."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

XML = """<?xml version="1.0"?>
<feedback><report_metadata><org_name>{org}</org_name><email>dmarc@reporter.example</email><report_id>r-{n}</report_id>
<date_range><begin>1764547200</begin><end>1764633599</end></date_range></report_metadata>
<policy_published><domain>example.com</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>{n}</count><policy_evaluated><disposition>none</disposition>
<dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers>
<auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results></record></feedback>"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dmarcworks.cli import main; main()", "parse", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(1, 12):
        text = XML.format(org="Reporter", n=number).encode()
        (tmp_path / f"{number:02}.xml.gz").write_bytes(gzip.compress(text))
    return tmp_path


def test_the_summary_has_one_line_per_file_in_order(folder: Path) -> None:
    """path, kind, reports, records, messages, problems, by tabs; a file that is no report counts its problem."""
    (folder / "03b.txt").write_text("hello")
    done = run("--format", "summary", "--jobs", "2", str(folder))
    lines = done.stdout.splitlines()
    assert [line.split("\t")[1:] for line in lines[:3]] == [["aggregate", "1", "1", str(n), "0"] for n in (1, 2, 3)]
    assert lines[3] == f"{folder}/03b.txt\tnone\t0\t0\t0\t1"
    assert [line.split("\t")[0] for line in lines] == sorted(f"{folder}/{p.name}" for p in folder.iterdir())
    assert done.returncode == 1


def test_exit_status_is_0_when_all_was_read_and_2_for_wrong_usage(folder: Path) -> None:
    """Scripts rely on the status alone."""
    assert run("--format", "summary", str(folder)).returncode == 0
    absent = run(str(folder / "absent"))
    assert (absent.returncode, absent.stdout, absent.stderr) == (
        2,
        "",
        f"dmarcworks: {folder}/absent: No such file or directory\n",
    )
    assert run("--format", "xml", str(folder)).returncode == 2


def test_jsonl_has_a_report_or_a_problem_a_line(folder: Path) -> None:
    """Absent values are null; a problem is named by path, reason and detail."""
    (folder / "broken.xml").write_text("<feedback><report_metadata>")
    lines = [json.loads(line) for line in run("--format", "jsonl", str(folder)).stdout.splitlines()]
    assert len(lines) == 12
    first = lines[0]
    assert (first["path"], first["kind"], first["messages"]) == (f"{folder}/01.xml.gz", "aggregate", 1)
    assert first["policy"]["sp"] is None
    assert first["records"][0]["dkim_aligned"] == "pass"
    problem = lines[-1]
    assert problem["path"] == f"{folder}/broken.xml"
    assert problem["kind"] == "problem"
    assert set(problem) >= {"reason", "detail"}


def test_json_is_one_document_also_when_empty(tmp_path: Path) -> None:
    """An empty folder is an empty list, not a syntax error."""
    assert json.loads(run("--format", "json", str(tmp_path)).stdout) == []


def test_csv_cells_cannot_become_formulas(tmp_path: Path) -> None:
    """A reporter's name that a spreadsheet would run is text (and says so with an apostrophe)."""
    (tmp_path / "a.xml").write_text(XML.format(org="=HYPERLINK(1)", n=3))
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv", str(tmp_path)).stdout)))
    assert len(rows) == 1
    assert rows[0]["org_name"] == "'=HYPERLINK(1)"
    assert (rows[0]["count"], rows[0]["source_ip"], rows[0]["spf_aligned"]) == ("3", "192.0.2.1", "fail")


def test_a_mail_is_read_as_a_mail_and_a_report_as_a_report(tmp_path: Path) -> None:
    """Content decides, not the name: a mail called .xml and a report called .eml."""
    report = XML.format(org="Reporter", n=5)
    mail = f"From: a@example.net\nSubject: report\nContent-Type: text/xml\n\n{report}"
    (tmp_path / "1.xml").write_text(mail)
    (tmp_path / "2.eml").write_text(report)
    lines = run("--format", "summary", str(tmp_path)).stdout.splitlines()
    assert [line.split("\t")[1:] for line in lines] == [["aggregate", "1", "1", "5", "0"]] * 2
