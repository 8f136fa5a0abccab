"""Lint names each way in which a report departs from its standard: clause, place, what was found, what it should be."""

from __future__ import annotations

import gzip
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.reports.lint.check import Linted, contact, letter, lint_bytes, lint_mail
from dmarcworks.reports.lint.finding import Finding

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "fuzz"))

import properties  # noqa: E402

OLD = """<?xml version="1.0" encoding="UTF-8"?>
<feedback>
<version>1.0</version>
<report_metadata>
<org_name>Reporter</org_name>
<email>dmarc@reporter.example</email>
<report_id>r-1</report_id>
<date_range><begin>1790035200</begin><end>1790121599</end></date_range>
</report_metadata>
<policy_published>
<domain>example.com</domain>
<adkim>r</adkim>
<aspf>r</aspf>
<p>none</p>
<sp>none</sp>
<pct>100</pct>
<fo>0</fo>
</policy_published>
<record>
<row>
<source_ip>192.0.2.1</source_ip>
<count>2</count>
<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>
</row>
<identifiers><envelope_from>example.com</envelope_from><header_from>example.com</header_from></identifiers>
<auth_results>
<dkim><domain>example.com</domain><selector>s1</selector><result>pass</result></dkim>
<spf><domain>example.com</domain><scope>mfrom</scope><result>fail</result></spf>
</auth_results>
</record>
</feedback>
"""
NEW = (
    OLD.replace("<feedback>", '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">')
    .replace("<pct>100</pct>\n", "<np>none</np>\n<testing>n</testing>\n")
    .replace("</policy_published>", "<discovery_method>treewalk</discovery_method>\n</policy_published>")
)
TLS: dict[str, Any] = {
    "organization-name": "Reporter",
    "date-range": {"start-datetime": "2026-09-22T00:00:00Z", "end-datetime": "2026-09-22T23:59:59Z"},
    "contact-info": "tls@reporter.example",
    "report-id": "t-1",
    "policies": [
        {
            "policy": {"policy-type": "sts", "policy-string": ["version: STSv1"], "policy-domain": "example.com"},
            "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "192.0.2.1",
                    "receiving-mx-hostname": "mx.example.com",
                    "failed-session-count": 2,
                }
            ],
        }
    ],
}
OLD_CLAUSE, NEW_CLAUSE, TLS_CLAUSE = "RFC 7489 Appendix C", "RFC 9990 Appendix A", "RFC 8460 §4.4"
NAME = "reporter.example!example.com!1790035200!1790121599.xml.gz"


def judged(data: str | bytes, name: str = "") -> Linted:
    (found,) = lint_bytes(data.encode() if isinstance(data, str) else data, name)
    return found


def mailed(data: bytes, name: str = NAME, kind: str = "application/gzip", subject: str = "") -> tuple[Finding, ...]:
    subject = subject or "Report Domain: example.com Submitter: reporter.example Report-ID: <r-1@reporter.example>"
    head = (
        f"From: dmarc@reporter.example\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: {kind}\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
    )
    (found,) = lint_mail(head.encode() + data)
    return found.findings


@pytest.mark.parametrize(
    ("document", "standard"), [(OLD, "RFC 7489"), (NEW, "RFC 9990"), (json.dumps(TLS), "RFC 8460")]
)
def test_a_report_as_the_standard_wants_it_has_no_departure(document: str, standard: str) -> None:
    """Nothing is found where nothing departs, and the standard is told from the document."""
    found = judged(document)
    assert (found.outline.standard, found.findings) == (standard, ())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "<count>2<",
            "<count>2.5<",
            ("/feedback/record[1]/row/count", 22, 'count "2.5"', "a whole number of messages", "error"),
        ),
        (
            "<count>2</count>\n",
            "",
            ("/feedback/record[1]/row/count", 20, "no count in row", "count is required", "error"),
        ),
        (
            "<version>1.0</version>\n",
            "",
            ("/feedback/version", 2, "no version in feedback", "version is required", "warning"),
        ),
        (
            "<sp>none<",
            "<sp><",
            ("/feedback/policy_published/sp", 15, "an empty sp", "one of none, quarantine, reject", "warning"),
        ),
        (
            "<p>none<",
            "<p>block<",
            ("/feedback/policy_published/p", 14, 'p "block"', "one of none, quarantine, reject", "error"),
        ),
        (
            "<p>none<",
            "<p>None<",
            ("/feedback/policy_published/p", 14, 'p "None"', "one of none, quarantine, reject", "warning"),
        ),
        (
            "<disposition>none<",
            "<disposition>pass<",
            (
                "/feedback/record[1]/row/policy_evaluated/disposition",
                23,
                'disposition "pass"',
                "one of none, quarantine, reject",
                "error",
            ),
        ),
        (
            "<envelope_from>example.com</envelope_from>",
            "",
            (
                "/feedback/record[1]/identifiers/envelope_from",
                25,
                "no envelope_from in identifiers",
                "envelope_from is required",
                "warning",
            ),
        ),
        (
            "<header_from>example.com</header_from>",
            "",
            (
                "/feedback/record[1]/identifiers/header_from",
                25,
                "no header_from in identifiers",
                "header_from is required",
                "error",
            ),
        ),
        (
            "192.0.2.1",
            "192.0.2",
            ("/feedback/record[1]/row/source_ip", 21, 'source_ip "192.0.2"', "an IPv4 or IPv6 address", "error"),
        ),
        (
            "<end>1790121599<",
            "<end>1790035199<",
            (
                "/feedback/report_metadata/date_range",
                None,
                "end 1790035199 before begin 1790035200",
                "end after begin",
                "error",
            ),
        ),
        (
            "<begin>1790035200<",
            "<begin>1790035200000<",
            (
                "/feedback/report_metadata/date_range/begin",
                8,
                'begin "1790035200000"',
                "seconds since 1970-01-01 00:00 UTC, not milliseconds",
                "error",
            ),
        ),
        (
            "<fo>0</fo>",
            "<fo>0</fo><rf>afrf</rf>",
            (
                "/feedback/policy_published",
                17,
                'the element "rf"',
                "one of domain, adkim, aspf, p, sp, np, pct, fo",
                "warning",
            ),
        ),
        (
            "<scope>mfrom</scope>",
            "",
            ("/feedback/record[1]/auth_results/spf[1]/scope", 28, "no scope in spf", "scope is required", "warning"),
        ),
        (
            "<feedback>",
            '<feedback xmlns="urn:other">',
            ("/feedback", 2, 'the namespace "urn:other"', "the namespace http://dmarc.org/dmarc-xml/0.1", "warning"),
        ),
    ],
)
def test_one_departure_from_rfc_7489_is_one_finding(
    old: str, new: str, expected: tuple[str, int | None, str, str, str]
) -> None:
    """Each change to a good report is found alone, at its place."""
    assert OLD.count(old) >= 1
    where, line, found, should, severity = expected
    document = OLD.replace(old, new, 1)
    assert judged(document).findings == (Finding(OLD_CLAUSE, where, line, found, should, severity),)


@pytest.mark.parametrize(
    ("old", "new", "where", "found", "should", "severity"),
    [
        (
            "<selector>s1</selector>",
            "",
            "/feedback/record[1]/auth_results/dkim[1]/selector",
            "no selector in dkim",
            "selector is required",
            "error",
        ),
        (
            ' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"',
            "",
            "/feedback",
            "no namespace",
            "the namespace urn:ietf:params:xml:ns:dmarc-2.0",
            "warning",
        ),
        (
            "<np>none</np>",
            "<np>none</np><pct>100</pct>",
            "/feedback/policy_published",
            'the element "pct"',
            "one of domain, discovery_method, p, sp, np, fo, adkim, aspf, testing",
            "warning",
        ),
        (
            "<scope>mfrom<",
            "<scope>helo<",
            "/feedback/record[1]/auth_results/spf/scope",
            'scope "helo"',
            "one of mfrom",
            "error",
        ),
        ("<version>1.0<", "<version>0.1<", "/feedback/version", 'version "0.1"', "1.0", "warning"),
    ],
)
def test_one_departure_from_rfc_9990_is_one_finding(
    old: str, new: str, where: str, found: str, should: str, severity: str
) -> None:
    """Selector, namespace, scope and version are stricter there, and pct is gone."""
    assert NEW.count(old) == 1
    (finding,) = judged(NEW.replace(old, new)).findings
    assert (finding.clause, finding.where, finding.found, finding.should, finding.severity) == (
        NEW_CLAUSE,
        where,
        found,
        should,
        severity,
    )


def test_rfc_9990_knows_the_disposition_pass_and_extensions() -> None:
    """A foreign namespace in a record and the word pass are its own."""
    document = NEW.replace("<disposition>none<", "<disposition>pass<")
    document = document.replace("</record>", '<x:a xmlns:x="urn:x">1</x:a></record>')
    assert judged(document).findings == ()


def test_the_order_of_elements_is_held() -> None:
    """RFC 7489's sequence: date_range after report_id."""
    dates = "<date_range><begin>1790035200</begin><end>1790121599</end></date_range>\n"
    document = OLD.replace(dates, "").replace("<org_name>", dates + "<org_name>")
    assert [(finding.found, finding.severity) for finding in judged(document).findings] == [
        ("org_name after date_range", "warning"),
        ("email after date_range", "warning"),
        ("report_id after date_range", "warning"),
    ]


def test_a_departure_in_every_record_is_said_once() -> None:
    """The first place and how often."""
    record = OLD[OLD.index("<record>") : OLD.index("</feedback>")].replace("<scope>mfrom</scope>", "")
    document = OLD[: OLD.index("<record>")] + record * 5 + "</feedback>"
    (finding,) = judged(document).findings
    assert (finding.where, finding.times) == ("/feedback/record[1]/auth_results/spf[1]/scope", 5)


def test_broken_and_dangerous_xml_is_said() -> None:
    """Text before the document, bytes of another encoding, a tag that is not closed, a DOCTYPE."""
    assert judged("  \n" + OLD).findings == (
        Finding("XML 1.0 §2.1", "line 1", 1, "3 characters before the document", "the document alone", "error"),
    )
    wrong = OLD.replace("Reporter", "Sueño").encode("latin-1")
    assert [(finding.clause, finding.line) for finding in judged(wrong).findings] == [("XML 1.0", 5)]
    unclosed = judged(OLD.replace("</sp>", ""))
    assert {finding.clause for finding in unclosed.findings if finding.line == 18} >= {"XML 1.0"}
    evil = judged(OLD.replace("<feedback>", '<!DOCTYPE feedback [<!ENTITY a "b">]><feedback>'))
    assert [finding.found for finding in evil.findings] == ["a DOCTYPE"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda d: d.pop("contact-info"), ("/contact-info", "no contact-info", "a string that is not empty", "error")),
        (
            lambda d: d.update({"policies": {}}),
            ("/policies", "policies of another type", "an array of policies", "error"),
        ),
        (
            lambda d: d["date-range"].update({"start-datetime": "2026-09-22"}),
            (
                "/date-range/start-datetime",
                'start-datetime "2026-09-22"',
                "a date-time of RFC 3339, as 2026-09-22T00:00:00Z",
                "error",
            ),
        ),
        (
            lambda d: d["policies"][0]["policy"].update({"policy-type": "dane"}),
            ("/policies/0/policy/policy-type", 'policy-type "dane"', "one of tlsa, sts, no-policy-found", "error"),
        ),
        (
            lambda d: d["policies"][0]["policy"].update({"policy-string": "version: STSv1"}),
            ("/policies/0/policy/policy-string", "policy-string of another type", "an array of strings", "warning"),
        ),
        (
            lambda d: d["policies"][0]["summary"].update({"total-successful-session-count": "5"}),
            (
                "/policies/0/summary/total-successful-session-count",
                'total-successful-session-count ""5""',
                "a whole number of sessions",
                "error",
            ),
        ),
        (
            lambda d: d["policies"][0]["failure-details"][0].update({"failed-session-count": 3}),
            (
                "/policies/0/failure-details",
                "3 failed sessions in the details, 2 in the summary",
                "no more than the summary's total-failure-session-count",
                "error",
            ),
        ),
        (
            lambda d: d["policies"][0]["failure-details"][0].pop("sending-mta-ip"),
            (
                "/policies/0/failure-details/0/sending-mta-ip",
                "no sending-mta-ip",
                "a string that is not empty",
                "warning",
            ),
        ),
    ],
)
def test_one_departure_from_rfc_8460_is_one_finding(change: Any, expected: tuple[str, str, str, str]) -> None:
    """Members, types, dates and sums; a place is a JSON pointer."""
    document = json.loads(json.dumps(TLS))
    change(document)
    where, found, should, severity = expected
    assert judged(json.dumps(document)).findings == (Finding(TLS_CLAUSE, where, None, found, should, severity),)


def test_a_json_that_is_not_i_json_is_said() -> None:
    """A mark, a name twice, and JSON that ends too soon."""
    text = json.dumps(TLS)
    assert [f.clause for f in judged(b"\xef\xbb\xbf" + text.encode()).findings] == ["RFC 8259 §8.1"]
    twice = judged(text.replace('"policies"', '"report-id": "x", "policies"')).findings
    assert [(f.clause, f.found) for f in twice] == [("RFC 7493 §2.3", 'the name "report-id" twice in one object')]
    assert [(f.clause, f.line) for f in judged(text[:-2]).findings] == [("RFC 8259", 1)]


def test_the_form_of_the_mail_is_judged() -> None:
    """File name, media type, compression and Subject (RFC 7489 §7.2.1.1)."""
    packed = gzip.compress(OLD.encode())
    assert mailed(packed) == ()
    clause = "RFC 7489 §7.2.1.1"
    assert [f.found for f in mailed(packed, "report.xml.gz")] == ['the name "report.xml.gz"']
    assert mailed(packed, NAME.replace("xml.gz", "xml")) == (
        Finding(clause, "the file name", None, "the extension .xml", ".xml.gz", "warning"),
    )
    assert mailed(packed, NAME.replace("1790121599", "1790121600")) == (
        Finding(clause, "the file name", None, "the end 1790121600", "the report's own 1790121599", "warning"),
    )
    assert mailed(packed, kind="application/octet-stream") == (
        Finding(
            clause, "Content-Type", None, 'the media type "application/octet-stream"', "application/gzip", "warning"
        ),
    )
    assert [f.where for f in mailed(packed, subject="DMARC report")] == ["Subject"]
    assert [f.found for f in mailed(OLD.encode(), NAME[:-3], "text/xml")] == ["no compression"]


def test_a_damaged_archive_is_a_departure_and_its_neighbour_is_judged() -> None:
    """What cannot be unpacked is not passed over in silence."""
    (found,) = lint_bytes(gzip.compress(OLD.encode())[:-20], "a.xml.gz")
    assert (found.kind, [finding.clause for finding in found.findings]) == ("unknown", ["RFC 1952"])


def test_the_letter_goes_to_the_reporter_and_names_report_and_departures() -> None:
    """Every line of it, exactly."""
    found = judged(OLD.replace("<count>2<", "<count>two<"))
    assert contact(found) == "dmarc@reporter.example"
    assert letter(found) == (
        "To: dmarc@reporter.example\n"
        "Subject: Your DMARC aggregate report r-1: 1 deviation from RFC 7489\n\nHello,\n\n"
        "thank you for sending reports. We received this DMARC aggregate report from you:\n\n"
        "  Report id:     r-1\n  Reporter:      Reporter\n  Policy domain: example.com\n"
        "  Period:        1790035200 to 1790121599\n\nIt deviates from the standard as follows:\n\n"
        "1. RFC 7489 Appendix C, error\n   at:     /feedback/record[1]/row/count, line 22\n"
        '   found:  count "two"\n   should: a whole number of messages\n\n'
        "Could you look into it?\n\nKind regards\n"
    )


def test_a_report_cannot_write_its_own_lines_into_the_letter() -> None:
    """Line breaks in its id, an address that is none."""
    evil = OLD.replace("r-1", "x&#10;Bcc: all@example.org&#10;").replace("dmarc@reporter.example", "a@b&#10;Bcc: c@d")
    text = letter(judged(evil))
    assert text.startswith(
        "To: (the report states no mail address)\nSubject: Your DMARC aggregate report x Bcc: all@example.org: "
    )
    assert "\nBcc" not in text


def test_what_a_failure_report_quotes_is_not_judged() -> None:
    """The quoted message carries a report; the mail's sender did not send it as one."""
    assert lint_mail((ROOT / "tests/corpus/failure/smuggled-report.eml").read_bytes()) == ()


def test_no_bytes_make_lint_raise() -> None:
    """1,000 damaged samples: a judgement each, text that UTF-8 can hold, never more than 201 findings."""
    chance = random.Random(9990)
    seeds = list(properties.seeds(ROOT / "tests" / "corpus"))
    for _ in range(1_000):
        data = bytearray(chance.choice(seeds)[1:])
        for _ in range(chance.randint(0, 3)):
            begin = chance.randrange(len(data) + 1)
            data[begin : begin + chance.choice((1, 30, 300))] = chance.choice(
                (b"", b"<", b'"\\ud800"', b"\xff", b"9" * 40)
            )
        for found in (*lint_bytes(bytes(data), "a!b!1!2.xml"), *lint_mail(bytes(data))):
            assert len(found.findings) <= 201
            letter(found).encode()
            json.dumps([found.outline.report_id, found.outline.reporter], ensure_ascii=False).encode()
