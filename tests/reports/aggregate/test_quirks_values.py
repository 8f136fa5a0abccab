"""QUIRKS §4: values as reporters write them; absent is no default, odd is noted, a wrong number is never counted."""

from __future__ import annotations

import pytest

from dmarcworks.reports.model import DkimResult, Reason, SpfResult
from dmarcworks.reports.read import read_bytes
from tests.support.report_samples import (
    AUTH,
    EVALUATED,
    METADATA,
    POLICY,
    codes,
    counts,
    read_one,
    record,
    refused,
    xml,
)


def auth(dkim: str = "pass", spf: str = "pass") -> str:
    return (
        f"<auth_results><dkim><domain>a.example</domain><result>{dkim}</result></dkim>"
        f"<spf><domain>b.example</domain><result>{spf}</result></spf></auth_results>"
    )


def evaluated(dkim: str = "pass", spf: str = "pass", disposition: str = "none", more: str = "") -> str:
    words = f"<disposition>{disposition}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf>"
    return f"<policy_evaluated>{words}{more}</policy_evaluated>"


def test_V1_upper_case_words() -> None:
    found = read_one(xml(record(evaluated=evaluated("Pass", "Fail", "None"), auth=auth("Pass", "FAIL"))))
    row = found.records[0]
    assert (row.dkim_aligned, row.spf_aligned, row.disposition) == ("pass", "fail", "none")
    assert (row.dkim[0].result, row.spf[0].result, found.warnings) == ("pass", "fail", ())


def test_V2_hardfail_is_fail() -> None:
    found = read_one(xml(record(auth=auth(spf="hardfail"))))
    assert (found.records[0].spf[0].result, codes(found)) == ("fail", {"result_mapped"})


def test_V3_unknown_is_temperror() -> None:
    found = read_one(xml(record(auth=auth("unknown", "unknown"))))
    assert (found.records[0].dkim[0].result, found.records[0].spf[0].result) == ("temperror", "temperror")
    assert codes(found) == {"result_mapped"}
    assert "'unknown'" in found.warnings[0].detail


def test_V4_invalid_stays_as_sent() -> None:
    found = read_one(xml(record(auth=auth("invalid"))))
    assert (found.records[0].dkim[0].result, found.warnings) == ("invalid", ())


def test_V5_an_empty_result_is_absent_and_noted() -> None:
    found = read_one(xml(record(auth=auth("", ""))))
    assert (found.records[0].dkim[0].result, found.records[0].spf[0].result) == (None, None)
    assert codes(found) == {"result_empty"}


@pytest.mark.parametrize(
    "reason", ["<reason/>", "<reason><type/><comment/></reason>", "<reason><type></type></reason>"]
)
def test_V6_an_empty_reason_is_none(reason: str) -> None:
    found = read_one(xml(record(evaluated=evaluated(more=reason))))
    assert (found.records[0].reasons, found.warnings) == ((), ())


def test_V7_several_reasons() -> None:
    more = (
        "<reason><type>forwarded</type></reason><reason><type>local_policy</type><comment>arc=pass</comment></reason>"
    )
    found = read_one(xml(record(evaluated=evaluated(more=more))))
    assert found.records[0].reasons == (Reason("forwarded", None), Reason("local_policy", "arc=pass"))


def test_V8_disposition_pass_as_sent() -> None:
    assert read_one(xml(record(evaluated=evaluated(disposition="pass")))).records[0].disposition == "pass"


@pytest.mark.parametrize("word", ["none", "softfail", "neutral", "passed"])
def test_V9_another_word_is_no_pass(word: str) -> None:
    found = read_one(xml(record(evaluated=evaluated(spf=word))))
    assert (found.records[0].spf_aligned, codes(found)) == ("fail", {"alignment_odd"})


@pytest.mark.parametrize("sp", ["", "nil", "  "])
def test_V10_an_empty_sp_is_absent(sp: str) -> None:
    found = read_one(xml(policy=POLICY.replace("<sp>quarantine", f"<sp>{sp}")))
    assert (found.policy.sp, found.policy.p) == (None, "reject")


@pytest.mark.parametrize(
    ("version", "read"), [("", None), ("<version>0.1</version>", "0.1"), ("<version>2.0</version>", "2.0")]
)
def test_V11_any_version_or_none(version: str, read: str | None) -> None:
    assert read_one(xml(version=version)).version == read


def test_V12_a_decimal_instant() -> None:
    found = read_one(xml(metadata=METADATA.replace("1700000000", "1337270400.0")))
    assert (found.begin, found.warnings) == (1337270400, ())


def test_V13_end_equal_to_begin() -> None:
    found = read_one(xml(metadata=METADATA.replace("1700086399", "1700000000")))
    assert (found.begin, found.end, found.warnings) == (1700000000, 1700000000, ())


@pytest.mark.parametrize("seconds", [97 * 3600, 4836 * 3600])
def test_V14_a_long_span(seconds: int) -> None:
    found = read_one(xml(metadata=METADATA.replace("1700086399", str(1700000000 + seconds))))
    assert (found.end - found.begin, found.warnings) == (seconds, ())


def test_V15_a_short_span() -> None:
    found = read_one(xml(metadata=METADATA.replace("1700086399", "1700000900")))
    assert (found.end - found.begin, found.warnings) == (900, ())


def test_V16_milliseconds_and_iso_dates() -> None:
    metadata = METADATA.replace("1700000000", "1700000000000").replace("1700086399", "2023-11-15T22:13:19Z")
    found = read_one(xml(metadata=metadata))
    assert (found.begin, found.end, codes(found)) == (1700000000, 1700086399, {"date_odd"})
    for text in ("yesterday", "1.7e9", "99999999999999999999", "2023-13-45"):
        assert refused(xml(metadata=METADATA.replace("1700000000", text))) == "bad_date_range"


@pytest.mark.parametrize("begin", [-86400, 0, 1, 4_200_000_000, 253_402_300_799])
def test_V17_dates_of_other_times(begin: int) -> None:
    found = read_one(xml(metadata=METADATA.replace("1700000000", str(begin)).replace("1700086399", str(begin))))
    assert (found.begin, found.end, codes(found)) == (begin, begin, {"date_odd"})


def test_V18_a_count_of_nothing_and_a_huge_one() -> None:
    found = read_one(xml(record(0), record(2**63 - 1)))
    assert (counts(found), found.warnings) == ([0, 2**63 - 1], ())


@pytest.mark.parametrize(
    "ip",
    [
        "",
        "bad.com",
        "108r.166.1.1",
        "fe80::1%eth0",
        "::ffff:192.0.2.1%eth0",
        "192.0.2.1 (name)",
        "010.1.1.1",
        "1.2.3.256",
    ],
)
def test_V19_an_odd_address_keeps_its_text(ip: str) -> None:
    found = read_one(xml(record(3, ip=ip)))
    assert (found.records[0].source_ip, found.messages, codes(found)) == (ip, 3, {"source_ip_odd"})


@pytest.mark.parametrize("ip", ["2001:db8::1", "2001:DB8:0:0:0:0:0:1", "2001:0db8:0000::0001"])
def test_V20_ipv6_in_one_form(ip: str) -> None:
    found = read_one(xml(record(3, ip=ip)))
    assert (found.records[0].source_ip, found.warnings) == ("2001:db8::1", ())


@pytest.mark.parametrize("name", ["a:b!c/d@e", "&lt;1.2@x&gt;", "../../x", "with space", "x" * 1024])
def test_V21_the_report_id_is_opaque(name: str) -> None:
    found = read_one(xml(metadata=METADATA.replace("r-1", name)))
    assert found.report_id == name.replace("&lt;", "<").replace("&gt;", ">")
    assert found.warnings == ()


def test_V21_a_longer_report_id_is_cut_and_noted() -> None:
    found = read_one(xml(metadata=METADATA.replace("r-1", "x" * 5000)))
    assert (len(found.report_id), codes(found)) == (1024, {"report_id_cut"})


def test_V22_missing_metadata() -> None:
    dates = "<date_range><begin>1700000000</begin><end>1700086399</end></date_range>"
    data = xml(metadata=f"<report_metadata><org_name></org_name>{dates}</report_metadata>")
    reading = read_bytes(data, "a.xml")
    found = read_one(data)
    assert (found.org_name, found.email, found.report_id) == (None, None, reading.items[0].digest)
    assert codes(found) == {"no_org_name", "no_email", "no_report_id"}
    assert refused(xml(metadata=METADATA.replace(dates, ""))) == "no_date_range"
    assert refused(xml(metadata=METADATA.replace("<end>1700086399</end>", ""))) == "no_date_range"
    assert refused(xml(metadata="")) == "no_date_range"


def test_V22_no_policy_domain_is_named() -> None:
    assert refused(xml(policy="")) == "no_policy_domain"
    assert refused(xml(policy=POLICY.replace("<domain>example.com</domain>", "<domain/>"))) == "no_policy_domain"


@pytest.mark.parametrize("envelope", ["", "<envelope_from/>", "<envelope_from> </envelope_from>"])
def test_V23_no_envelope_from(envelope: str) -> None:
    identifiers = f"<identifiers>{envelope}<header_from>example.com</header_from></identifiers>"
    row = read_one(xml(record(identifiers=identifiers))).records[0]
    assert (row.envelope_from, row.envelope_to, row.header_from) == (None, None, "example.com")


def test_V24_lists_and_holes_in_auth_results() -> None:
    for text in ("<auth_results/>", "<auth_results></auth_results>", ""):
        row = read_one(xml(record(auth=text))).records[0]
        assert (row.dkim, row.spf) == ((), ())
    text = (
        "<auth_results><dkim><domain/><result/></dkim><dkim><domain>a.example</domain><result>pass</result></dkim>"
        "<dkim><domain>a.example</domain><selector>s</selector><result>fail</result></dkim>"
        "<spf><scope>helo</scope><result>none</result></spf><spf><domain>c.example</domain><result>pass</result></spf></auth_results>"
    )
    row = read_one(xml(record(auth=text))).records[0]
    assert row.dkim == (
        DkimResult(None, None, None, None),
        DkimResult("a.example", None, "pass", None),
        DkimResult("a.example", "s", "fail", None),
    )
    assert row.spf == (SpfResult(None, "helo", "none", None), SpfResult("c.example", None, "pass", None))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("EXAMPLE.COM", "example.com"),
        ("example.com.", "example.com"),
        ("A.com, B.com", "a.com, b.com"),
        ("x@Y.com", "x@y.com"),
    ],
)
def test_V25_domains_in_odd_forms(text: str, read: str) -> None:
    found = read_one(xml(record(identifiers=f"<identifiers><header_from>{text}</header_from></identifiers>")))
    assert found.records[0].header_from == read


@pytest.mark.parametrize("text", ["bücher.example", "BÜCHER.example.", "xn--bcher-kva.example"])
def test_V26_international_names_compare_as_a_labels(text: str) -> None:
    assert read_one(xml(policy=POLICY.replace("example.com", text))).policy.domain == "xn--bcher-kva.example"


def test_V27_absent_is_not_default() -> None:
    policy = read_one(xml(policy="<policy_published><domain>example.com</domain><p>none</p></policy_published>")).policy
    assert (policy.adkim, policy.aspf, policy.pct, policy.sp, policy.fo, policy.np) == (None,) * 6


def test_V28_fields_of_rfc_9990_in_any_version() -> None:
    more = "<np>reject</np><testing>y</testing><discovery_method>psl</discovery_method></policy_published>"
    metadata = METADATA.replace("</report_metadata>", "<generator>g</generator></report_metadata>")
    found = read_one(xml(policy=POLICY.replace("</policy_published>", more), metadata=metadata))
    assert (found.policy.np, found.policy.testing, found.policy.discovery_method, found.generator) == (
        "reject",
        "y",
        "psl",
        "g",
    )


def test_V29_language_attributes() -> None:
    more = "<error lang='en'>one</error><extra_contact_info lang='de'>zwei</extra_contact_info></report_metadata>"
    found = read_one(
        xml(
            record(evaluated=evaluated(more="<reason><type>other</type><comment lang='fr'>trois</comment></reason>")),
            metadata=METADATA.replace("</report_metadata>", more),
        )
    )
    assert (found.errors, found.extra_contact_info, found.records[0].reasons[0].comment) == (("one",), "zwei", "trois")


def test_V30_rf_and_ri_are_passed_over() -> None:
    found = read_one(
        xml(policy=POLICY.replace("</policy_published>", "<rf>afrf</rf><ri>86400</ri></policy_published>"))
    )
    assert (found.policy.p, found.warnings) == ("reject", ())


def test_V31_an_unknown_override_type_is_text() -> None:
    more = "<reason><type>Policy_Test_Mode</type></reason>"
    assert read_one(xml(record(evaluated=evaluated(more=more)))).records[0].reasons[0].type == "policy_test_mode"


def test_V32_space_around_values() -> None:
    data = xml(
        record("\n 3\t", "  192.0.2.1\r\n", EVALUATED.replace("pass", " pass "), auth=AUTH.replace("s1", "\n s1 \n"))
    )
    row = read_one(data).records[0]
    assert (row.count, row.source_ip, row.dkim_aligned, row.dkim[0].selector) == (3, "192.0.2.1", "pass", "s1")


@pytest.mark.parametrize("pct", ["101", "-1", "many", "5.5"])
def test_an_impossible_pct_is_absent_and_noted(pct: str) -> None:
    """A percentage is 0 to 100 or absent."""
    found = read_one(xml(policy=POLICY.replace("<pct>100", f"<pct>{pct}")))
    assert (found.policy.pct, codes(found)) == (None, {"pct_odd"})
