"""QUIRKS §5: TLS reports (RFC 8460) of every sender are read whole; attacks on the JSON are refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.model import TlsFailure
from dmarcworks.reports.read import read_bytes, read_mail
from tests.support.report_samples import TEXT, attachment, codes, gz, mail, one_tls, refused
from tests.support.tls_samples import _REPORT, report, tls


def test_every_field_of_rfc_8460_is_read() -> None:
    """Nothing of a report is left behind, and absent is nowhere made up."""
    found = one_tls(tls(report()))
    assert (found.organization_name, found.contact_info) == ("Company-X", "sts-reporting@company-x.example")
    assert (found.report_id, found.begin, found.end) == (_REPORT["report-id"], 1459468800, 1459555199)
    (policy,) = found.policies
    assert (policy.policy_type, policy.policy_domain) == ("sts", "company-y.example")
    assert policy.policy_string == ("version: STSv1", "mode: testing")
    assert policy.mx_host == ("*.mail.company-y.example",)
    assert (policy.successful_sessions, policy.failed_sessions, found.sessions) == (100, 8, 108)
    assert policy.failures == (
        TlsFailure(
            "certificate-expired",
            "2001:db8:abcd:12::1",
            "mx1.mail.company-y.example",
            "mx1",
            "203.0.113.56",
            8,
            "https://reports.company-x.example/",
            "X509_V_ERR",
        ),
    )
    assert found.warnings == ()


@pytest.mark.parametrize(
    "kind",
    [
        "application/tlsrpt+gzip",
        "application/tlsrpt+json",
        "application/tlsrpt",
        "application/gzip",
        "application/json",
        "text/plain",
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_T1_any_type_packed_or_plain(kind: str, packed: bool) -> None:
    data = json.dumps(report()).encode()
    part = attachment(gz(data) if packed else data, "r.json.gz" if packed else "r.json", kind)
    assert one_tls(read_mail(mail(TEXT, part, kind="multipart/report; report-type=tlsrpt"))).sessions == 108


def test_T2_absent_addresses_of_a_failure() -> None:
    document = report()
    document["policies"][0]["failure-details"] = [{"result-type": "sts-policy-fetch-error", "failed-session-count": 8}]
    (failure,) = one_tls(tls(document)).policies[0].failures
    assert failure == TlsFailure("sts-policy-fetch-error", None, None, None, None, 8, None, None)


@pytest.mark.parametrize("absent", [True, False])
def test_T3_no_contact(absent: bool) -> None:
    document = report()
    document["contact-info"] = None
    if absent:
        del document["contact-info"]
    found = one_tls(tls(document))
    assert (found.contact_info, codes(found)) == (None, {"no_contact_info"})


def test_T4_no_policy_domain() -> None:
    document = report()
    document["policies"][0]["policy"] = {"policy-type": "no-policy-found"}
    found = one_tls(tls(document))
    assert (found.policies[0].policy_domain, found.policies[0].policy_type) == (None, "no-policy-found")
    assert codes(found) == {"no_policy_domain"}


@pytest.mark.parametrize(
    ("value", "read"), [("version: STSv1", ("version: STSv1",)), (["a", "b"], ("a", "b")), (None, ()), ([], ())]
)
def test_T5_policy_string_and_mx_host_as_text_or_list(value: Any, read: tuple[str, ...]) -> None:
    document = report()
    document["policies"][0]["policy"]["policy-string"] = value
    document["policies"][0]["policy"]["mx-host"] = value
    policy = one_tls(tls(document)).policies[0]
    assert policy.policy_string == read
    assert policy.mx_host == tuple(text.lower() for text in read)


def test_T6_no_policies() -> None:
    document = report()
    document["policies"] = []
    found = one_tls(tls(document))
    assert (found.policies, found.sessions) == ((), 0)


@pytest.mark.parametrize("value", [None, []])
def test_T7_no_failure_details(value: Any) -> None:
    document = report()
    document["policies"][0]["failure-details"] = value
    assert one_tls(tls(document)).policies[0].failures == ()
    del document["policies"][0]["failure-details"]
    assert one_tls(tls(document)).policies[0].failures == ()


def test_T8_counts_as_text() -> None:
    document = report()
    document["policies"][0]["summary"] = {"total-successful-session-count": "42", "total-failure-session-count": 7.0}
    found = one_tls(tls(document))
    assert (found.policies[0].successful_sessions, found.policies[0].failed_sessions) == (42, 7)
    assert codes(found) == {"count_text"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2016-04-01T02:00:00+02:00", 1459468800),
        ("2016-04-01T00:00:00.123456Z", 1459468800),
        ("2016-04-01T00:00:00", 1459468800),
        ("2016-04-01", 1459468800),
    ],
)
def test_T9_dates_with_offset_fraction_or_no_zone(text: str, seconds: int) -> None:
    document = report()
    document["date-range"]["start-datetime"] = text
    assert one_tls(tls(document)).begin == seconds


def test_T10_the_report_id_is_opaque() -> None:
    document = report()
    document["report-id"] = "2024-01-01T00:00:00Z_idx1_<a+b@c>:/../x"
    assert one_tls(tls(document)).report_id == "2024-01-01T00:00:00Z_idx1_<a+b@c>:/../x"


def test_T11_all_policies() -> None:
    document = report()
    document["policies"].append(report()["policies"][0])
    document["policies"][1]["policy"]["policy-type"] = "tlsa"
    found = one_tls(tls(document))
    assert [policy.policy_type for policy in found.policies] == ["sts", "tlsa"]
    assert found.sessions == 216


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"report-id": "1", "report-id": "2", "policies": []}', "json_duplicate_key"),
        ('{"report-id": "1", "policies": [NaN]}', "json_number"),
        ('{"report-id": "1", "policies": [1e400]}', "json_number"),
        ('{"report-id": "1", "policies": [1' + "0" * 400 + "]}", "json_number"),
        ('{"report-id": "1", "policies": ' + "[" * 60 + "]" * 60 + "}", "json_depth"),
        ('{"report-id": "1", "policies": ' + "[" * 500_000, "json_depth"),
        ('{"report-id": "1", "policies": [', "json_truncated"),
        ('{"report-id": "1" "policies": []}', "json_broken"),
        ('{"report-id": "1", "policies": {}, "date-range": {}}', "bad_policies"),
        ('{"report-id": "1", "policies": []}', "no_date_range"),
        ('[{"report-id": "1", "policies": []}]', "other_json"),
    ],
)
def test_T12_attacks_and_broken_json_are_refused_by_name(text: str, reason: str) -> None:
    assert refused(text.encode(), "r.json") == reason


def test_T12_the_bounds_of_json_are_named() -> None:
    data = json.dumps(report()).encode()
    assert refused(data, "r.json", Bounds(json_depth=3)) == "json_depth"
    assert refused(data, "r.json", Bounds(json_bytes=300)) == "json_bytes"
    reading = read_bytes(data, "r.json", Bounds(json_bytes=300))
    assert "json_bytes = 300" in reading.problems[0].detail


def test_T13_the_payload_of_a_post_reads_as_a_file() -> None:
    data = json.dumps(report()).encode()
    assert one_tls(read_bytes(data)).sessions == one_tls(read_bytes(gz(data))).sessions == 108


def test_other_json_is_no_tls_report() -> None:
    assert refused(b'{"hello": "world"}', "a.json") == "other_json"
