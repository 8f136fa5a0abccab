"""`dmarcworks lint` as a person runs it: output and exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

GOOD = """<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version>
<report_metadata><org_name>Reporter</org_name><email>dmarc@reporter.example</email><report_id>r-1</report_id>
<date_range><begin>1790035200</begin><end>1790121599</end></date_range></report_metadata>
<policy_published><domain>example.com</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>1</count><policy_evaluated><disposition>pass</disposition>
<dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers>
<auth_results/></record></feedback>"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dmarcworks.cli import main; main()", "lint", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_report_without_departure_ends_with_0(tmp_path: Path) -> None:
    """One line, exit status 0."""
    path = tmp_path / "good.xml"
    path.write_text(GOOD)
    done = run(str(path))
    assert (done.stdout, done.stderr, done.returncode) == (
        f"{path}: aggregate report r-1: no deviations from RFC 9990\n",
        "",
        0,
    )


def test_departures_end_with_1_and_a_letter(tmp_path: Path) -> None:
    """The finding with place and clause, and the text to send."""
    path = tmp_path / "bad.xml"
    path.write_text(GOOD.replace("<count>1<", "<count>one<"))
    done = run(str(path))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:6] == [
        f"{path}: aggregate report r-1: 1 deviation from RFC 9990",
        '  error  /feedback/record[1]/row/count:5: count "one"; a whole number of messages [RFC 9990 Appendix A]',
        "",
        "Ready to send:",
        "",
        "To: dmarc@reporter.example",
    ]


def test_json_is_for_machines(tmp_path: Path) -> None:
    """An array of one object per report, letter included."""
    path = tmp_path / "bad.xml"
    path.write_text(GOOD.replace("<count>1<", "<count>one<"))
    done = run("--json", str(path))
    (document,) = json.loads(done.stdout)
    assert document.pop("letter").startswith("To: dmarc@reporter.example\n")
    assert document == {
        "path": str(path),
        "kind": "aggregate",
        "where": "bad.xml",
        "standard": "RFC 9990",
        "reporter": "Reporter",
        "contact": "dmarc@reporter.example",
        "report_id": "r-1",
        "domain": "example.com",
        "begin": "1790035200",
        "end": "1790121599",
        "findings": [
            {
                "clause": "RFC 9990 Appendix A",
                "where": "/feedback/record[1]/row/count",
                "line": 5,
                "found": 'count "one"',
                "should": "a whole number of messages",
                "severity": "error",
                "times": 1,
            }
        ],
        "to": "dmarc@reporter.example",
    }
    assert done.returncode == 1


def test_what_is_no_report_ends_with_2(tmp_path: Path) -> None:
    """A text file, a path that is not there, no path at all."""
    path = tmp_path / "note.txt"
    path.write_text("hello")
    done = run(str(path))
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == f"{path}: it contains no aggregate or TLS report\n"
    assert run(str(tmp_path / "absent")).returncode == 2
    assert run().returncode == 2
