"""The corrections that are proposed, and hostile texts: no parser raises, and everything is bounded."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dmarcworks.policy.dns_records.bimi import bimi_findings
from dmarcworks.policy.dns_records.bimi_logo import logo_findings
from dmarcworks.policy.dns_records.dkim_record import key_findings
from dmarcworks.policy.dns_records.dmarc_findings import not_a_record_findings, record_findings
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.dns_records.dmarc_repair import repaired_record
from dmarcworks.policy.dns_records.finding import DnsFinding, Severity
from dmarcworks.policy.dns_records.https_fetch import FetchedDocument
from dmarcworks.policy.dns_records.mta_sts import policy_findings, sts_record_fault
from dmarcworks.policy.dns_records.tls_rpt import tls_rpt_findings

U = "mailto:a@example.com"


def findings_of(text: str) -> list[DnsFinding]:
    record = dmarc_record(text)
    if record is None:
        return not_a_record_findings(text, "_dmarc.example.com")
    return record_findings(record, "example.com", "example.com")


@pytest.mark.parametrize(
    ("published", "corrected"),
    [
        (f"v=dmarc1; p=none; rua={U}", f"v=DMARC1; p=none; rua={U}"),
        (f"v=DMARC1 p=none rua={U}", f"v=DMARC1; p=none; rua={U}"),
        (f"v=DMARC1, p=none, rua={U}", f"v=DMARC1; p=none; rua={U}"),
        (f"“v=DMARC1; p=none; rua={U}”", f"v=DMARC1; p=none; rua={U}"),
        (f"p=reject; v=DMARC1; rua={U}", f"v=DMARC1; p=reject; rua={U}"),
        (f"v=DMARC1; p=quarentine; rua={U}", f"v=DMARC1; p=quarantine; rua={U}"),
        ("v=DMARC1; p=none; rua=a@example.com", f"v=DMARC1; p=none; rua={U}"),
        (f"v=DMARC1; p=none; rua={U};mailto:b@example.com", f"v=DMARC1; p=none; rua={U},mailto:b@example.com"),
        (f"v=DMARC1; p=none; rua={U} b@example.com", f"v=DMARC1; p=none; rua={U},mailto:b@example.com"),
        ("v=DMARC1; p=none; rua=mailto: a@example.com", f"v=DMARC1; p=none; rua={U}"),
        (f"v=DMARC1; p=reject; rua={U}!10m; pct=100; rf=afrf", f"v=DMARC1; p=reject; rua={U}"),
        (f"v=DMARC1; p=reject; pct=20; rua={U}", f"v=DMARC1; p=reject; rua={U}; t=y"),
        (f"v=DMARC1; rua={U}", f"v=DMARC1; p=none; rua={U}"),
        (f"v=DMARC1; p=none; adkim=strict; rua={U}", f"v=DMARC1; p=none; adkim=s; rua={U}"),
        (f"v=DMARC1; p=none; p=reject; rua={U}; junk", f"v=DMARC1; p=none; rua={U}"),
        (f"v=DMARC2; p=none; rua={U}", f"v=DMARC1; p=none; rua={U}"),
    ],
)
def test_the_correction_is_the_exact_record(published: str, corrected: str) -> None:
    """As a fix of a finding; and nothing is wrong with what is proposed."""
    assert corrected in [finding.fix for finding in findings_of(published)]
    assert repaired_record(corrected) == corrected
    bad = {Severity.error, Severity.warning} if "t=y" not in corrected else {Severity.error}
    assert [finding.code for finding in findings_of(corrected) if finding.severity in bad] == []


def test_a_record_without_rua_gets_one_appended() -> None:
    """The other bytes stay."""
    fixes = {finding.code: finding.fix for finding in findings_of("v=DMARC1;p=reject;")}
    assert fixes["dmarc-rua-missing"] == "v=DMARC1;p=reject; rua=mailto:dmarc-reports@example.com;"


WORDS = [
    "v=DMARC1",
    "v=dmarc1",
    ";",
    "; ",
    ",",
    " ",
    "p=",
    "none",
    "rua=",
    "mailto:",
    "a@b.example",
    "!1m",
    "“",
    "\x1b[0m",
    "=",
]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=20).map("".join) | st.text(max_size=200)


@given(TEXTS)
@example("v=DMARC1; rua=v=DMARC1a@b.example")
def test_no_text_is_too_odd(text: str) -> None:
    """Every parser answers; a corrected record is a record that stays as it is."""
    for finding in findings_of(text):
        assert len(finding.message) < 1_000
    fixed = repaired_record(text)
    assert dmarc_record(fixed) is not None
    assert repaired_record(fixed) == fixed
    sts_record_fault(text)
    tls_rpt_findings([text], "example.com")
    tls_rpt_findings(["v=TLSRPTv1;" + text], "example.com")
    bimi_findings("v=BIMI1;" + text)
    key_findings(text, "s", "example.com")
    policy_findings(FetchedDocument(200, "text/plain", text.encode("utf-8", "replace")), ["mx.example.com"])
    logo_findings(text.encode("utf-8", "replace"))


def test_a_long_record_is_read_to_its_bound() -> None:
    """What is long is cut in the findings, and named."""
    codes = {finding.code for finding in findings_of("v=DMARC1; p=reject; " + "x=1;" * 5_000)}
    assert "dmarc-too-long" in codes
    many = findings_of("v=DMARC1; p=reject; rua=" + ",".join(f"a{number}" for number in range(5_000)))
    assert len(many) < 200
    assert all(len(finding.record) <= 4_096 for finding in many)
