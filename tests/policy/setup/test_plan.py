"""The set-up as values: difference of records, forms of the builder, lines of a file, stored answers. All pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.domain_lines import domain_lines
from dmarcworks.catalogue.domain_setup import StoredSetup, next_check
from dmarcworks.catalogue.setup_records import policy_record
from dmarcworks.dashboard.record_form import KINDS, RecordForm, build, defaults, dropped_tags, record_changes
from dmarcworks.dashboard.uploaded_form import uploaded_form
from dmarcworks.errors import BoundError, DmarcworksError, UsageError
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.record_builder import DmarcChoices, dmarc_to_publish
from dmarcworks.policy.record_difference import record_difference
from dmarcworks.policy.rua import append_tls_rua, has_rua
from dmarcworks.policy.setup.dmarc_item import dmarc_item, start_record
from dmarcworks.policy.setup.ownership import evidence_of
from dmarcworks.policy.setup.plan import domain_setup, records_to_publish
from dmarcworks.policy.setup.published import PublishedRecords, ReportTarget, bounded_texts

HOST, TOKEN = "reports.example.net", "0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 11, 29, tzinfo=UTC)
DOMAIN = Domain("1" * 32, "2" * 32, "example.com", f"{TOKEN}@{HOST}", NOW)
TEXTS = st.lists(st.text(max_size=60) | st.builds("v=DMARC1;{}".format, st.text(max_size=60)), max_size=4)


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_pieces_of_a_difference_are_both_records(before: str, after: str) -> None:
    """Same and removed pieces are the old text, same and added ones the new one; equal texts have no other piece."""
    pieces = record_difference(before, after)
    assert "".join(one.text for one in pieces if one.state != "added") == before
    assert "".join(one.text for one in pieces if one.state != "removed") == after
    assert {one.state for one in record_difference(before, before)} <= {"same"}


def test_a_long_difference_is_replaced_whole() -> None:
    assert [one.state for one in record_difference("a;" * 300, "b;" * 300)] == ["removed", "added"]


@given(TEXTS)
def test_whatever_is_published_the_proposal_requests_reports_here(texts: list[str]) -> None:
    """One valid record with our address; the answers survive storage; a single record is only appended to."""
    published = PublishedRecords(DOMAIN.rua, dmarc=bounded_texts(texts), targets=(ReportTarget(HOST, True, True),))
    assert PublishedRecords.from_json(published.to_json()) == published
    value = records_to_publish(DOMAIN, HOST, published)[0].value
    record = dmarc_record(value)
    assert record is not None
    assert has_rua(value, DOMAIN.rua)
    domain_setup(DOMAIN, HOST, StoredSetup(published.to_json()))
    if len(published.dmarc_records) == 1:
        item = dmarc_item(DOMAIN, published)
        assert item.status == "done" or item.changes[0].before == published.dmarc_records[0]
    assert evidence_of(published, "f" * 32, frozenset({HOST})) == ""


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", '{"targets": 1}', '{"targets": [{"x": 1}]}', '{"targets": []}']
)
def test_answers_of_another_version_are_none(text: str) -> None:
    assert PublishedRecords.from_json(text) is None


def test_the_start_record_is_the_builders() -> None:
    """For a domain without a record, one that inherits a policy, and a parked one."""
    built = dmarc_to_publish("example.com", DmarcChoices(reports=(DOMAIN.rua,))).record.value
    assert start_record(DOMAIN, None) == built == policy_record("example.com", DOMAIN.rua).value
    inherited = PublishedRecords(DOMAIN.rua, dmarc=(), inherited_policy="reject", inherited_testing=True)
    assert start_record(DOMAIN, inherited) == f"v=DMARC1; p=reject; t=y; rua=mailto:{DOMAIN.rua}"
    assert start_record(DOMAIN, None, "p=quarantine; t=y") == f"v=DMARC1; p=quarantine; t=y; rua=mailto:{DOMAIN.rua}"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=TLSRPTv1; rua=mailto:a@b.example", f"v=TLSRPTv1; rua=mailto:a@b.example,mailto:{DOMAIN.rua}"),
        ("v=TLSRPTv1;rua=https://b.example/r;", f"v=TLSRPTv1;rua=https://b.example/r,mailto:{DOMAIN.rua};"),
        (f"v=TLSRPTv1; rua=mailto:{DOMAIN.rua}", f"v=TLSRPTv1; rua=mailto:{DOMAIN.rua}"),
    ],
)
def test_a_tls_record_is_appended_to(record: str, expected: str) -> None:
    assert append_tls_rua(record, DOMAIN.rua) == expected


def test_what_is_no_tls_record_is_refused() -> None:
    with pytest.raises(UsageError, match="is not a TLS-RPT record"):
        append_tls_rua("v=DMARC1; p=none", DOMAIN.rua)


def test_checks_grow_rarer() -> None:
    assert [next_check(tries) for tries in (0, 1, 2, 10, 11, 1000)] == [60, 120, 240, 61440, 86400, 86400]


FIELDS = st.dictionaries(
    st.sampled_from(["p", "sp", "np", "adkim", "aspf", "t", "rua", "ruf", "mode", "mx", "max_age"]),
    st.sampled_from(["", "none", "reject", "s", "y", "a@b.example", "x; p=none", "mx.a.example", "86400", "a b", "ä"]),
)


@given(st.sampled_from(list(KINDS)), FIELDS)
def test_no_form_builds_a_wrong_record(kind: str, fields: dict[str, str]) -> None:
    """Whatever a form contains: a record that is recognised, or a refusal."""
    form = RecordForm(kind, defaults(kind, DOMAIN, None) | fields)
    try:
        built = build(form, DOMAIN, NOW)
    except UsageError:
        return
    for one in built:
        if one.record.name.startswith("_dmarc."):
            record = dmarc_record(one.record.value)
            assert record is not None
            assert not record.faulty_policy
        assert one.record.value.isascii()
        assert one.choices


def test_the_form_begins_with_what_is_published() -> None:
    """Choices and addresses of the record, ours added; tags without a choice are named."""
    published = PublishedRecords(
        DOMAIN.rua,
        dmarc=("v=DMARC1; p=reject; sp=none; aspf=s; t=y; fo=1; psd=n; rua=mailto:a@b.example;ruf=mailto:f@b.example",),
        tls=("v=TLSRPTv1; rua=mailto:t@b.example",),
        mail_hosts=("10 mx.example.com",),
    )
    fields = defaults("dmarc", DOMAIN, published)
    assert fields == {
        "p": "reject", "sp": "none", "np": "", "adkim": "r", "aspf": "s", "t": "y", "ruf": "f@b.example",
        "rua": f"a@b.example, {DOMAIN.rua}",
    }  # fmt: skip
    form = RecordForm("dmarc", fields)
    ((built, change),) = record_changes(form, build(form, DOMAIN, NOW), published)
    assert built.record.value == change.after
    assert change.after == (
        f"v=DMARC1; p=reject; sp=none; aspf=s; t=y; rua=mailto:a@b.example,mailto:{DOMAIN.rua}; ruf=mailto:f@b.example"
    )
    assert change.before == published.dmarc_records[0]
    assert dropped_tags(form, published) == ("fo", "psd")
    assert defaults("tls-rpt", DOMAIN, published) == {"rua": f"t@b.example, {DOMAIN.rua}"}
    assert defaults("mta-sts", DOMAIN, published)["mx"] == "mx.example.com"


def test_lines_of_a_file() -> None:
    """With and without a header; a byte order mark, comments and quotes; what cannot be used keeps its line."""
    plain = domain_lines("\ufeffa.example\n# x\n\nb.example # y\nA.example\n", 10)
    assert [(one.line, one.name) for one in plain] == [(1, "a.example"), (4, "b.example")]
    named = domain_lines('Parked,Domain,account\nyes,"a.example",acme\n,b.example\nperhaps,c.example,\n', 10)
    assert [(one.line, one.name, one.account, one.parked) for one in named] == [
        (2, "a.example", "acme", True),
        (3, "b.example", "", False),
        (4, "c.example", "", False),
    ]
    assert named[2].wrong == "parked must be yes or no, not 'perhaps'"
    assert domain_lines("a.example,x", 10)[0].wrong == "the line has more than 1 column"
    for text, error in (
        ("domain,x\na.example", "no column 'x'"),
        ("account\nx", "no column is called"),
        ("#", "no dom"),
    ):
        with pytest.raises(UsageError, match=error):
            domain_lines(text, 10)
    with pytest.raises(BoundError, match="more than 1 domains"):
        domain_lines("a.example\nb.example", 1)


@given(st.text(max_size=200))
def test_no_file_breaks_the_reader(text: str) -> None:
    """Lines, or a refusal."""
    try:
        assert domain_lines(text, 10)
    except DmarcworksError:
        return


def test_an_uploaded_form() -> None:
    """Fields and a file as text; anything else is refused."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="csrf"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; '
        b'name="file"; filename="d.csv"\r\nContent-Type: text/csv\r\n\r\na.example\r\n\xc3\xa4.example\r\n--b--\r\n'
    )
    kind = "multipart/form-data; boundary=b"
    assert uploaded_form(kind, body) == {"csrf": "x", "file": "a.example\r\nä.example"}
    for content_type, content in (("multipart/form-data", body), (kind, b""), (kind, body.replace(b"\xc3", b"\xff"))):
        with pytest.raises(UsageError):
            uploaded_form(content_type, content)


@given(st.binary(max_size=200))
def test_no_upload_breaks_the_reader(body: bytes) -> None:
    try:
        uploaded_form("multipart/form-data; boundary=b", b"--b\r\n" + body)
    except UsageError:
        return
