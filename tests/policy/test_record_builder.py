"""Records from choices: exact ones, everything that is refused, and that no combination builds a wrong record."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.dmarc_findings import record_findings
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.dns_records.finding import Severity
from dmarcworks.policy.dns_records.https_fetch import FetchedDocument
from dmarcworks.policy.dns_records.mta_sts import policy_findings, sts_record_fault
from dmarcworks.policy.dns_records.tls_rpt import tls_rpt_findings
from dmarcworks.policy.record_builder import (
    DmarcChoices,
    RecordPolicy,
    StsMode,
    dmarc_to_publish,
    mta_sts_to_publish,
    parked_to_publish,
    tls_rpt_to_publish,
)

POLICIES = st.sampled_from(list(RecordPolicy))
ADDRESSES = st.lists(
    st.sampled_from(["a@example.com", "b+c@example.org", "d!e@example.net", "f,g;h@x.example", "i%j@y.example"]),
    max_size=4,
)


def test_the_exact_records() -> None:
    """In the order that people write them; what is the default has no tag."""
    choices = DmarcChoices(
        RecordPolicy.reject, RecordPolicy.quarantine, RecordPolicy.reject, ("a@example.com",), (), True, True, True
    )
    built = dmarc_to_publish("Example.COM.", choices)
    assert (built.record.name, built.record.type) == ("_dmarc.example.com", "TXT")
    assert built.record.value == (
        "v=DMARC1; p=reject; sp=quarantine; np=reject; adkim=s; aspf=s; t=y; rua=mailto:a@example.com"
    )
    assert len(built.choices) == 7
    assert dmarc_to_publish("example.com", DmarcChoices()).record.value == "v=DMARC1; p=none"
    assert [(one.record.name, one.record.type, one.record.value) for one in parked_to_publish("example.com")] == [
        ("example.com", "MX", "0 ."),
        ("example.com", "TXT", "v=spf1 -all"),
        ("*._domainkey.example.com", "TXT", "v=DKIM1; p="),
        ("_dmarc.example.com", "TXT", "v=DMARC1; p=reject; adkim=s; aspf=s"),
    ]
    sts = mta_sts_to_publish("example.com", StsMode.enforce, ["MX.example.com."], "20260101")
    assert sts.record.value == "v=STSv1; id=20260101;"
    assert sts.document == "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n"


def test_what_cannot_be_published_is_refused() -> None:
    """With a sentence that names it."""
    for address in ("", "a", "a@", "@b.example", "a@localhost", "a b@c.example", "ä@b.example", "a@b..example"):
        with pytest.raises(UsageError, match="is not a mail address"):
            dmarc_to_publish("example.com", DmarcChoices(reports=(address,)))
    for domain in ("", "a b", "x" * 64 + ".example", "example.com/"):
        with pytest.raises(UsageError, match="is not a domain name"):
            dmarc_to_publish(domain, DmarcChoices())
    with pytest.raises(UsageError, match="needs an address"):
        tls_rpt_to_publish("example.com", [])
    for hosts, policy_id, age in (([], "1", 86_400), (["a b"], "1", 86_400), (["mx.a.example"], "1-2", 86_400)):
        with pytest.raises(UsageError):
            mta_sts_to_publish("example.com", StsMode.enforce, hosts, policy_id, age)
    with pytest.raises(UsageError, match="max_age"):
        mta_sts_to_publish("example.com", StsMode.enforce, ["mx.a.example"], "1", 3_600)


@given(
    st.builds(
        DmarcChoices,
        POLICIES,
        st.none() | POLICIES,
        st.none() | POLICIES,
        ADDRESSES.map(tuple),
        ADDRESSES.map(tuple),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    )
)
def test_no_combination_builds_a_wrong_record(choices: DmarcChoices) -> None:
    """The checks find no error in it, and read the choices back."""
    built = dmarc_to_publish("example.com", choices)
    record = dmarc_record(built.record.value)
    assert record is not None
    assert [uri.address for uri in record.rua] == list(dict.fromkeys(choices.reports))
    assert [uri.address for uri in record.ruf] == list(dict.fromkeys(choices.failure_reports))
    assert (record.policy("p"), record.policy("sp"), record.policy("np")) == (
        choices.policy,
        choices.subdomains,
        choices.nonexistent,
    )
    assert record.testing is choices.testing
    findings = record_findings(record, "example.com", "example.com")
    assert [finding.code for finding in findings if finding.severity is Severity.error] == []


@given(ADDRESSES, st.sampled_from(list(StsMode)), st.integers(86_400, 31_557_600))
def test_the_other_records_are_right_too(addresses: list[str], mode: StsMode, age: int) -> None:
    """TLS-RPT and MTA-STS through their checks."""
    if addresses:
        value = tls_rpt_to_publish("example.com", addresses).record.value
        assert {finding.code for finding in tls_rpt_findings([value], "example.com")} == {"tls-rpt-present"}
    built = mta_sts_to_publish("example.com", mode, ["mx.example.com", "*.example.com"], "1", age)
    assert sts_record_fault(built.record.value) == ""
    document = FetchedDocument(200, "text/plain", built.document.encode())
    assert {finding.code for finding in policy_findings(document, ["mx.example.com"])} == {f"mta-sts-mode-{mode}"}
