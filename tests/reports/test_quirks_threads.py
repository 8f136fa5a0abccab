"""QUIRKS §10: what public threads show to be read wrongly by others, each with the right value; and the shared cases.

The names of the tests are those of the table's rows.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmarcworks.reports.model import AggregateReport, TlsReport
from dmarcworks.reports.read import read_bytes
from tests.support.cases import case
from tests.support.report_samples import EVALUATED, METADATA, codes, one, read_one, record, xml


def dated(begin: str, end: str) -> AggregateReport:
    """A report with these texts as its date range."""
    metadata = METADATA.replace("1700000000", begin).replace("1700086399", end)
    return read_one(xml(metadata=metadata))


# T5


def test_T5_the_case() -> None:
    found = one(case("null-report-empty-source.xml"))
    assert (len(found.records), found.messages) == (0, 0)
    assert codes(found) == {"no_mail_seen"}


@pytest.mark.parametrize("address", ["", " ", "0.0.0.0", "::", "null", "N/A", "unknown", "nil"])
@pytest.mark.parametrize("count", ["0", " 0 ", "0.0"])
def test_T5_no_address_and_no_mail_is_no_sender(address: str, count: str) -> None:
    found = read_one(xml(record(count, address)))
    assert list(found.records) == []
    assert "no_mail_seen" in codes(found)


def test_T5_without_the_element_and_by_the_general_reader() -> None:
    text = xml(record(0, "")).replace(b"<source_ip></source_ip>", b"")
    assert list(read_one(text).records) == []
    assert list(read_one(xml(record(0, "")).replace(b"<record>", b"<!-- none --><record>")).records) == []


def test_T5_a_count_of_0_with_an_address_and_mail_without_one_stay() -> None:
    found = read_one(xml(record(0, "192.0.2.1"), record(3, ""), record(0, "")))
    assert [(one.source_ip, one.count) for one in found.records] == [("192.0.2.1", 0), ("", 3)]
    assert "no_mail_seen" not in codes(found)


# T6


def test_T6_the_case() -> None:
    found = one(case("reason-as-text.xml"))
    reasons = [[(reason.type, reason.comment) for reason in row.reasons] for row in found.records]
    assert reasons == [[("sampled_out", None)], []]
    assert "reason_as_text" in codes(found)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("<reason>sampled_out</reason>", ("sampled_out", None)),
        ("<reason> Forwarded\n</reason>", ("forwarded", None)),
        ('<reason type="mailing_list"/>', ("mailing_list", None)),
        ("<reason>local_policy<comment>arc=pass</comment></reason>", ("local_policy", "arc=pass")),
        ("<reason>the policy was not applied</reason>", (None, "the policy was not applied")),
        ("<reason><![CDATA[other]]></reason>", ("other", None)),
    ],
)
def test_T6_a_reason_as_text_is_read_as_its_type(reason: str, expected: tuple[str | None, str | None]) -> None:
    evaluated = EVALUATED.replace("</policy_evaluated>", f"{reason}</policy_evaluated>")
    found = read_one(xml(record(5, evaluated=evaluated), record(6, evaluated=evaluated)))
    assert [[(one.type, one.comment) for one in row.reasons] for row in found.records] == [[expected], [expected]]
    assert [w.detail[-9:] for w in found.warnings if w.code == "reason_as_text"] == ["(2 times)"]


def test_T6_a_reason_with_a_type_has_no_warning() -> None:
    evaluated = EVALUATED.replace("</policy_evaluated>", "<reason><type>other</type></reason></policy_evaluated>")
    assert codes(read_one(xml(record(evaluated=evaluated)))) == set()


# T7


@pytest.mark.parametrize("word", ["softfail", "Deliver", "accept", "discard", "nonee"])
def test_T7_an_unknown_disposition_is_kept_and_named(word: str) -> None:
    evaluated = EVALUATED.replace("<disposition>none", f"<disposition>{word}")
    found = read_one(xml(record(2, evaluated=evaluated), record(3, evaluated=evaluated), record(4)))
    assert [row.disposition for row in found.records] == [word.lower(), word.lower(), "none"]
    (warning,) = found.warnings
    assert warning.code == "disposition_odd"
    assert repr(word.lower()) in warning.detail
    assert warning.detail.endswith("(2 times)")


@pytest.mark.parametrize("word", ["none", "quarantine", "reject", "pass", "Reject"])
def test_T7_the_dispositions_of_the_standards_have_no_warning(word: str) -> None:
    evaluated = EVALUATED.replace("<disposition>none", f"<disposition>{word}")
    assert codes(read_one(xml(record(evaluated=evaluated)))) == set()


def test_T7_an_unknown_result_is_kept_and_named() -> None:
    auth = (
        "<auth_results><dkim><domain>a.example</domain><result>softfail</result></dkim>"
        "<spf><domain>b.example</domain><result>policy</result></spf></auth_results>"
    )
    found = read_one(xml(record(2, auth=auth), record(3, auth=auth)))
    assert [(row.dkim[0].result, row.spf[0].result) for row in found.records] == [("softfail", "policy")] * 2
    assert codes(found) == {"result_odd"}
    assert found.warnings[0].detail == "The DKIM result 'softfail' is none of the standard's. (4 times)"


def test_T7_an_alignment_that_is_no_word_of_the_schema_is_no_pass_and_named() -> None:
    evaluated = EVALUATED.replace("<spf>fail", "<spf>softfail")
    found = read_one(xml(record(2, evaluated=evaluated)))
    assert [row.spf_aligned for row in found.records] == ["fail"]
    assert [(w.code, "'softfail'" in w.detail) for w in found.warnings] == [("alignment_odd", True)]


# T8


def test_T8_the_case() -> None:
    found = one(case("ip-one-sender-three-spellings.xml"))
    sums: dict[str, int] = {}
    for row in found.records:
        sums[row.source_ip] = sums.get(row.source_ip, 0) + row.count
    assert sums == {"192.0.2.1": 12, "192.0.2.50": 81}
    assert "source_ip_odd" not in codes(found)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:0201", "192.0.2.1"),
        ("0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"),
        ("0000:0000:0000:0000:0000:ffff:c000:0201", "192.0.2.1"),
        ("2001:db8::192.0.2.33", "2001:db8::c000:221"),
        ("2001:DB8:0:0:0:0:C000:221", "2001:db8::c000:221"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
        ("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
    ],
)
def test_T8_one_address_has_one_text(text: str, address: str) -> None:
    found = read_one(xml(record(5, text), record(6, address)))
    assert [row.source_ip for row in found.records] == [address, address]
    assert codes(found) == set()


# T11


def test_T11_the_case() -> None:
    reading = case("tls-one-bad-detail-loses-policy.json")
    (item,) = reading.items
    assert isinstance(item.report, TlsReport)
    (policy,) = item.report.policies
    assert (policy.successful_sessions, policy.failed_sessions) == (7, 3)
    assert [(detail.result_type, detail.failed_sessions) for detail in policy.failures] == [
        ("starttls-not-supported", None),
        ("certificate-expired", 2),
    ]
    assert [(p.reason, p.where) for p in reading.problems] == [
        ("detail_invalid", "tls-one-bad-detail-loses-policy.json > policy 1 > failure 1")
    ]
    assert "details_invalid" in codes(item.report)


@pytest.mark.parametrize("bad", ["text", None, [], 7, {"failed-session-count": -1}, {"failed-session-count": [2]}])
def test_T11_a_bad_detail_takes_nothing_from_its_policy(bad: Any) -> None:
    policy = {
        "policy": {"policy-type": "sts", "policy-domain": "example.com"},
        "summary": {"total-successful-session-count": 5, "total-failure-session-count": 3},
        "failure-details": [bad, {"result-type": "certificate-expired", "failed-session-count": 2}],
    }
    document = {
        "organization-name": "Tls Example",
        "date-range": {"start-datetime": "2026-06-01T00:00:00Z", "end-datetime": "2026-06-01T23:59:59Z"},
        "contact-info": "t@tls.example",
        "report-id": "t1",
        "policies": [policy],
    }
    reading = read_bytes(json.dumps(document).encode(), "t.json")
    (item,) = reading.items
    assert isinstance(item.report, TlsReport)
    assert item.report.sessions == 8
    assert item.report.policies[0].failures[-1].failed_sessions == 2
    assert [(p.reason, p.where) for p in reading.problems] == [("detail_invalid", "t.json > policy 1 > failure 1")]


# T15


def test_T15_the_cases() -> None:
    days = one(case("date-yyyymmdd-becomes-1970.xml"))
    words = one(case("date-rfc2822-refused.xml"))
    assert (days.begin, days.end) == (1748736000, 1748822400)
    assert (words.begin, words.end) == (1748736000, 1748822399)
    assert codes(days) == codes(words) == {"date_odd"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20250601", 1748736000),
        ("20250601120000", 1748779200),
        ("202506011200", 1748779200),
        ("20250601T120000Z", 1748779200),
        ("2025/06/01", 1748736000),
        ("2025-06-01", 1748736000),
        ("2025/06/01 12:00:00", 1748779200),
        ("2025-06-01 12:00:00 UTC", 1748779200),
        ("Sun, 1 Jun 2025", 1748736000),
        ("01-Jun-2025", 1748736000),
        ("Sun, 01 Jun 2025 00:00:00 +0000", 1748736000),
        ("Sun, 1 Jun 2025 02:00:00 +0200 (CEST)", 1748736000),
        ("1 Jun 2025 00:00:00 GMT", 1748736000),
        ("Sat, 31 May 2025 20:00:00 EDT", 1748736000),
        ("1748736000000", 1748736000),
        ("1748736000000000", 1748736000),
    ],
)
def test_T15_a_date_is_read_as_the_date(text: str, seconds: int) -> None:
    found = dated(text, "1900000000")
    assert found.begin == seconds
    assert codes(found) == {"date_odd"}


@pytest.mark.parametrize("text", ["20251301", "20250631", "yesterday", "Sun", "1/6/2025", "01.06.2025", "2025-W22"])
def test_T15_what_is_no_date_is_refused_or_odd_and_never_guessed(text: str) -> None:
    metadata = METADATA.replace("1700000000", text)
    reading = read_bytes(xml(metadata=metadata), "r.xml")
    found = [item.report for item in reading.items]
    assert [p.reason for p in reading.problems] == ["bad_date_range"] or [codes(one) for one in found] == [{"date_odd"}]
    assert not found or text.isdigit()
