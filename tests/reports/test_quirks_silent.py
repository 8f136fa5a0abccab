"""QUIRKS §1: what the most used peer loses in silence is read here, to the message, or named as a problem."""

from __future__ import annotations

import gzip

import pytest

from dmarcworks.reports.read import read_bytes, read_mail
from tests.support.report_samples import (
    DECLARATION,
    METADATA,
    POLICY,
    TEXT,
    attachment,
    codes,
    counts,
    feedback,
    gz,
    mail,
    mailed,
    one,
    one_tls,
    read_one,
    record,
    refused,
    single,
    xml,
    zipped,
)
from tests.support.tls_samples import report, tls


def test_S1_two_attachments_are_two_reports() -> None:
    reading = read_mail(
        mail(TEXT, attachment(gz(xml(record(3)))), attachment(zipped(("b.xml", xml(record(4), record(5))))))
    )
    assert [counts(item) for item in reading.items] == [[3], [4, 5]]
    assert reading.problems == ()
    assert [item.part.where.split(" > ")[0] for item in reading.items] == ["part 2", "part 3"]


def test_S2_a_zip_with_two_reports_is_two_reports() -> None:
    reading = mailed(zipped(("a.xml", xml(record(3))), ("b.xml", xml(record(4)))), name="r.zip")
    assert [counts(item) for item in reading.items] == [[3], [4]]
    assert [item.part.where for item in reading.items] == ["part 2 > r.zip > a.xml", "part 2 > r.zip > b.xml"]
    assert len({item.digest for item in reading.items}) == 2


def test_S3_a_truncated_attachment_is_named_and_its_neighbour_read() -> None:
    reading = read_mail(
        mail(TEXT, attachment(gz(xml(record(3)))[:-20], name="cut.xml.gz"), attachment(gz(xml(record(4)))))
    )
    assert [counts(item) for item in reading.items] == [[4]]
    assert [(p.reason, p.where) for p in reading.problems] == [("gzip_truncated", "part 2 > cut.xml.gz")]


def test_S4_a_row_with_a_bad_address_is_kept_with_its_text() -> None:
    found = read_one(xml(record(4), record(3, ip="not-an-ip")))
    assert [(r.source_ip, r.count) for r in found.records] == [("192.0.2.1", 4), ("not-an-ip", 3)]
    assert found.messages == 7
    assert codes(found) == {"source_ip_odd"}


def test_S5_an_absent_dkim_evaluation_is_absent_and_no_pass() -> None:
    evaluated = "<policy_evaluated><disposition>none</disposition><spf>pass</spf></policy_evaluated>"
    found = read_one(xml(record(1, evaluated=evaluated), record(2, evaluated=evaluated)))
    assert [(r.count, r.dkim_aligned, r.spf_aligned) for r in found.records] == [(1, None, "pass"), (2, None, "pass")]
    assert codes(found) == {"alignment_absent"}


def test_S6_every_member_of_a_gzip_is_read() -> None:
    data = xml(record(3), record(4))
    half = len(data) // 2
    assert counts(one(mailed(gzip.compress(data[:half]) + gzip.compress(data[half:])))) == [3, 4]


def test_S7_a_utf8_mark_is_read_over() -> None:
    found = read_one(b"\xef\xbb\xbf" + xml(record(3)))
    assert (found.messages, found.warnings) == (3, ())


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_S8_utf16_is_read(codec: str) -> None:
    text = feedback(record(3), declaration='<?xml version="1.0" encoding="UTF-16"?>')
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(codec, "")
    assert read_one((mark + text).encode(codec)).messages == 3


def test_S9_space_and_text_before_the_declaration() -> None:
    assert read_one(b"\r\n\n  " + xml(record(3))).warnings == ()
    found = read_one(b"Checked by the gateway, no threat found.\r\n" + xml(record(3)))
    assert (found.messages, codes(found)) == (3, {"leading_text"})


def test_S10_folders_and_macos_entries_of_a_zip_are_passed_over() -> None:
    data = zipped(("reports/", b""), ("__MACOSX/._a.xml", b"\0\5\x16\7"), ("reports/a.xml", xml(record(3))))
    assert counts(one(mailed(data))) == [3]


def test_S11_archives_inside_archives() -> None:
    data = xml(record(3))
    assert counts(one(mailed(gz(gz(data))))) == [3]
    assert counts(one(mailed(zipped(("a.xml.gz", gz(data)))))) == [3]
    assert counts(one(mailed(zipped(("a.zip", zipped(("a.xml", data))))))) == [3]
    assert counts(one(mailed(gz(zipped(("a.xml", data)))))) == [3]


def test_S12_a_report_without_records_is_a_report() -> None:
    found = read_one(f"{DECLARATION}<feedback>{METADATA}{POLICY}</feedback>")
    assert (found.records, found.messages, codes(found)) == ((), 0, {"no_records"})


def test_S13_an_absent_p_stays_absent() -> None:
    found = read_one(xml(policy="<policy_published><domain>example.com</domain></policy_published>"))
    policy = found.policy
    assert (policy.p, policy.sp, policy.adkim, policy.aspf, policy.pct, policy.fo) == (None,) * 6
    assert codes(found) == {"no_p"}


def test_S14_a_prefixed_namespace() -> None:
    text = feedback(record(3), record(4)).replace("</", "</n:").replace("<", "<n:")
    text = text.replace("<n:/n:", "</n:").replace("<n:?", "<?").replace("<n:feedback>", '<n:feedback xmlns:n="urn:x">')
    assert counts(read_one(text)) == [3, 4]


def test_S15_declared_latin1_keeps_its_letters() -> None:
    metadata = METADATA.replace("reporter.example</org", "über.example</org")
    text = feedback(metadata=metadata, declaration='<?xml version="1.0" encoding="ISO-8859-1"?>')
    assert read_one(text.encode("latin-1")).org_name == "über.example"


@pytest.mark.parametrize(
    ("count", "reason"), [("-5", "count_invalid"), ("1" + "0" * 30, "count_too_large"), (2**63, "count_too_large")]
)
def test_S16_an_impossible_count_is_left_out_by_name(count: object, reason: str) -> None:
    reading = read_bytes(xml(record(4), record(count), record(3)), "a.xml")
    (item,) = reading.items
    assert counts(item) == [4, 3]
    assert codes(item.report) == {"records_left_out"}
    assert [(p.reason, p.where) for p in reading.problems] == [(reason, "a.xml > record 2")]


def test_S16_a_sum_past_the_largest_number_is_left_out_by_name() -> None:
    reading = read_bytes(xml(record(2**63 - 1), record(1)), "a.xml")
    assert counts(reading.items[0]) == [2**63 - 1]
    assert [p.reason for p in reading.problems] == ["count_too_large"]


def test_S17_a_tls_report_without_contact_or_policy_domain() -> None:
    document = report()
    del document["contact-info"]
    del document["policies"][0]["policy"]["policy-domain"]
    found = one_tls(tls(document))
    assert (found.contact_info, found.policies[0].policy_domain, found.sessions) == (None, None, 108)
    assert codes(found) == {"no_contact_info", "no_policy_domain"}


def test_S18_an_end_before_the_begin() -> None:
    found = read_one(xml(metadata=METADATA.replace("1700086399", "1600000000")))
    assert (found.begin, found.end, codes(found)) == (1700000000, 1600000000, {"end_before_begin"})


def test_S19_a_decimal_count_and_an_empty_one() -> None:
    found = read_one(xml(record("3.0"), record(4)))
    assert (counts(found), codes(found)) == ([3, 4], {"count_decimal"})
    reading = read_bytes(xml(record(""), record(4)), "a.xml")
    assert counts(reading.items[0]) == [4]
    assert [p.reason for p in reading.problems] == ["count_missing"]
    reading = read_bytes(xml(record("3.5"), record(4)), "a.xml")
    assert counts(reading.items[0]) == [4]
    assert [p.reason for p in reading.problems] == ["count_invalid"]


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "quoted-printable", ""])
@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "text/plain"])
def test_S20_xml_that_is_not_base64(encoding: str, kind: str) -> None:
    data = xml(record(3))
    if encoding == "quoted-printable":
        data = data.replace(b"=", b"=3D").replace(b"\n", b"\r\n")
    assert counts(one(read_mail(mail(TEXT, attachment(data, "r.xml", kind, encoding=encoding))))) == [3]


def test_S21_a_part_without_content_type() -> None:
    part = attachment(gz(xml(record(3))), kind=None)
    assert counts(one(read_mail(mail(TEXT, part)))) == [3]
    assert counts(one(read_mail(mail(TEXT, b'ContentType: application/gzip; name="a.gz"\r\n' + part)))) == [3]
    assert counts(one(read_mail(single(part)))) == [3]


def test_S22_tls_json_with_a_mark_and_a_policy_without_summary() -> None:
    document = report()
    del document["policies"][0]["summary"]
    found = one_tls(tls(document, mark=b"\xef\xbb\xbf"))
    assert (found.policies[0].successful_sessions, found.policies[0].failed_sessions) == (None, None)
    assert codes(found) == {"no_summary"}


def test_S23_a_negative_session_count_leaves_its_policy_out_by_name() -> None:
    document = report()
    document["policies"].append(report()["policies"][0])
    document["policies"][0]["summary"]["total-failure-session-count"] = -1
    reading = tls(document)
    assert reading.items[0].report.sessions == 108  # type: ignore[union-attr]
    assert codes(reading.items[0].report) == {"policies_left_out"}
    assert [(p.reason, p.where) for p in reading.problems] == [("sessions_invalid", "part 2 > r.json.gz > policy 1")]


def test_a_repeated_row_is_never_guessed() -> None:
    """Two counts in one record cannot both be right."""
    reading = read_bytes(xml(record("3</count><count>4"), record(1)), "a.xml")
    assert counts(reading.items[0]) == [1]
    assert [p.reason for p in reading.problems] == ["count_ambiguous"]


def test_no_record_is_lost_behind_many_bad_ones() -> None:
    """A hundred left out records are listed one by one, the rest as a number."""
    reading = read_bytes(xml(*[record("x")] * 150, record(2)), "a.xml")
    assert counts(reading.items[0]) == [2]
    assert len(reading.problems) == 101
    assert reading.problems[-1].reason == "more_records_left_out"
    assert reading.problems[-1].detail.startswith("50 more")


def test_nothing_at_all_is_named() -> None:
    assert refused(b"") == "empty"
    assert refused(b"\r\n  \0") == "empty"
