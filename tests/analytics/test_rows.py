"""TLS and failure reports become rows that say what they said: absent is NULL, and no stranger's value breaks them."""

from __future__ import annotations

import dataclasses
import json
import uuid
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from dmarcworks.analytics import rows, schema
from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.errors import UsageError
from dmarcworks.reports.model import AggregateReport, FailureReport, Policy, TlsFailure, TlsPolicy, TlsReport

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECEIVED = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
NUMBERS = QueryBounds(extra={"output_format_json_quote_64bit_integers": 0})
FAILURE = TlsFailure("certificate-expired", "192.0.2.9", "mx1.example.com", None, "198.51.100.4", 100, None, None)
BARE = TlsFailure(None, None, None, None, None, None, "why?", "E_X")
POLICY = TlsPolicy(
    "sts", "example.com", ("version: STSv1", "mode: testing"), ("*.mail.example.com",), 5326, 103, (FAILURE, BARE)
)
TLS = TlsReport(
    organization_name="Größe-X", contact_info="sts@example.net", report_id="5065427c", begin=1_772_582_400,
    end=1_772_668_799, policies=(POLICY, TlsPolicy(None, None, (), (), None, None, ())), warnings=(),
)  # fmt: skip
REPORT = FailureReport(
    form="arf", feedback_type="auth-failure", version="1", user_agent="Lua/1.0", auth_failure="dmarc",
    delivery_result="reject", identity_alignment="dkim,spf", reported_domain="example.com", source_ip="192.0.2.1",
    incidents=2, arrival_date=1_772_582_400, original_mail_from="<x@example.org>",
    original_rcpt_to=("<a@example.net>", "<b@example.net>"), original_envelope_id=None,
    reporting_mta="dns; mx.example.net", authentication_results=(), reported_uri=(), dkim_domain=None,
    dkim_identity=None, dkim_selector=None, dkim_canonicalized_header=None, dkim_canonicalized_body=None, spf_dns=None,
    header_from="example.com", message_id="<1@example.org>", subject="Hello", original_headers="From: x@example.com",
    original_body=None, extensions=(), warnings=(),
)  # fmt: skip
LISTS = ("form", "original_rcpt_to", "authentication_results", "reported_uri", "extensions", "warnings")
NOTHING = dataclasses.replace(
    REPORT,
    **{
        field.name: None
        for field in dataclasses.fields(FailureReport)
        if field.name
        not in ("form", "original_rcpt_to", "authentication_results", "reported_uri", "extensions", "warnings")
    },
    original_rcpt_to=(),
)


def known(account: str, **changes: Any) -> dict[str, Any]:
    return {
        "account_id": account, "domain_id": "d" * 32, "domain": "example.com", "received": RECEIVED,
        "report_key": "k", "object_key": "2026/3/x", **changes,
    }  # fmt: skip


async def stored(analytics: Analytics, table: str, account: str) -> list[dict[str, Any]]:
    answer = await analytics.query(
        f"SELECT * FROM {table} WHERE account_id = {{a:String}} ORDER BY record_index", {"a": account}, bounds=NUMBERS
    )
    return [json.loads(line) for line in answer.splitlines()]


async def test_a_tls_report_is_a_row_per_policy(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    name, table = rows.rows_of(TLS, **known(account))
    assert (name, table.num_rows, table.schema) == ("tls_reports", 2, schema.TLS_REPORTS.schema)
    await analytics.insert(name, table)
    full, bare = await stored(analytics, name, account)
    assert full == {
        "account_id": account, "domain_id": "d" * 32, "domain": "example.com", "day": "2026-03-04",
        "begin": 1_772_582_400, "end": 1_772_668_799, "received": "2026-03-04 05:06:07.890", "report_key": "k",
        "report_id": "5065427c", "record_index": 0, "org_name": "Größe-X", "org_email": "sts@example.net",
        "object_key": "2026/3/x", "policy_type": "sts", "policy_domain": "example.com",
        "policy_string": ["version: STSv1", "mode: testing"], "mx_host": ["*.mail.example.com"],
        "successful_sessions": 5326, "failed_sessions": 103,
        "failures": [
            {
                "result_type": "certificate-expired", "sending_mta_ip": "192.0.2.9",
                "receiving_mx_hostname": "mx1.example.com", "receiving_mx_helo": None, "receiving_ip": "198.51.100.4",
                "failed_sessions": 100, "additional_information": None, "failure_reason_code": None,
            },
            {
                "result_type": None, "sending_mta_ip": None, "receiving_mx_hostname": None, "receiving_mx_helo": None,
                "receiving_ip": None, "failed_sessions": None, "additional_information": "why?",
                "failure_reason_code": "E_X",
            },
        ],
    }  # fmt: skip
    absent = ("policy_type", "policy_domain", "successful_sessions", "failed_sessions")
    assert [bare[name] for name in absent] == [None] * 4
    assert (bare["record_index"], bare["policy_string"], bare["mx_host"], bare["failures"]) == (1, [], [], [])


async def test_a_failure_report_is_one_row_without_the_message(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    name, table = rows.rows_of(REPORT, **known(account, report_id="f00"))
    assert (name, table.num_rows, table.schema) == ("failure_reports", 1, schema.FAILURE_REPORTS.schema)
    await analytics.insert(name, table)
    assert await stored(analytics, name, account) == [
        {
            "account_id": account, "domain_id": "d" * 32, "domain": "example.com", "day": "2026-03-04",
            "begin": 1_772_582_400, "end": 1_772_582_400, "received": "2026-03-04 05:06:07.890", "report_key": "k",
            "report_id": "f00", "record_index": 0, "org_name": "mx.example.net", "org_email": None,
            "object_key": "2026/3/x", "feedback_type": "auth-failure", "version": "1", "user_agent": "Lua/1.0",
            "auth_failure": "dmarc", "delivery_result": "reject", "identity_alignment": "dkim,spf",
            "reported_domain": "example.com", "dkim_domain": None, "dkim_selector": None, "spf_dns": None,
            "source_ip": "192.0.2.1", "incidents": 2, "original_mail_from": "<x@example.org>",
            "original_rcpt_to": ["<a@example.net>", "<b@example.net>"], "header_from": "example.com",
            "message_id": "<1@example.org>", "subject": "Hello",
        }
    ]  # fmt: skip


async def test_a_failure_report_that_says_nothing_is_of_the_day_that_it_came(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    await analytics.insert("failure_reports", rows.rows_of(NOTHING, **known(account))[1])
    (row,) = await stored(analytics, "failure_reports", account)
    assert (row["day"], row["begin"], row["end"]) == ("2026-03-04", 1_772_600_767, 1_772_600_767)
    said = ("org_name", "feedback_type", "source_ip", "incidents", "header_from", "subject", "reported_domain")
    assert [row[name] for name in said] == [None] * 7
    assert row["original_rcpt_to"] == []


async def test_a_strangers_values_never_stop_an_insert(analytics: Analytics) -> None:
    """Lone surrogates, quotes, huge numbers and times out of all reason: stored, and clamped where they must be."""
    account, odd = uuid.uuid4().hex, "\ud800'); DROP TABLE tls_reports --\x00"
    shown = "?'); DROP TABLE tls_reports --\x00"
    failure = TlsFailure(odd, odd, odd, odd, odd, 2**70, odd, odd)
    policy = TlsPolicy(odd, odd, (odd,), (odd,), 2**70, -5, (failure,))
    tls = dataclasses.replace(
        TLS,
        organization_name=odd * 1000,
        contact_info=odd,
        report_id=odd,
        begin=-(2**70),
        end=2**70,
        policies=(policy,),
    )
    await analytics.insert("tls_reports", rows.rows_of(tls, **known(account))[1])
    (row,) = await stored(analytics, "tls_reports", account)
    assert (row["day"], row["begin"], row["end"]) == ("2011-01-01", -(2**63), 2**63 - 1)
    assert len(row["org_name"]) == 2048
    assert (row["successful_sessions"], row["failed_sessions"]) == (2**64 - 1, 0)
    assert row["failures"][0]["failed_sessions"] == 2**64 - 1
    assert row["failures"][0]["additional_information"] == shown
    assert (row["policy_string"], row["mx_host"], row["policy_domain"]) == ([shown], [shown], shown)
    report = dataclasses.replace(
        REPORT, subject=odd, source_ip=odd, original_rcpt_to=(odd,), reporting_mta=odd, incidents=2**70,
        arrival_date=10**18, message_id=odd * 1000,
    )  # fmt: skip
    await analytics.insert("failure_reports", rows.rows_of(report, **known(account))[1])
    (row,) = await stored(analytics, "failure_reports", account)
    assert (row["subject"], row["source_ip"], row["original_rcpt_to"]) == (shown, shown, [shown])
    assert (row["day"], row["incidents"], len(row["message_id"])) == ("2100-12-31", 2**64 - 1, 2048)


async def test_published_asks_the_table_of_the_kind(analytics: Analytics) -> None:
    """A report's rows are looked for in its own table, and in one of ours only."""
    account = uuid.uuid4().hex
    await analytics.insert("tls_reports", rows.rows_of(TLS, **known(account))[1])
    report = SimpleNamespace(key="k", account_id=account, domain_id="d" * 32, day=date(2026, 3, 4))
    assert await schema.published_keys(analytics, [report], table="tls_reports") == ["k"]
    assert await schema.published_keys(analytics, [report], table="failure_reports") == []
    assert await schema.published_keys(analytics, [report]) == []
    with pytest.raises(UsageError):
        await schema.published_keys(analytics, [report], table="schema_versions; DROP TABLE tls_reports")


async def test_the_summary_of_each_kind() -> None:
    """What the catalogue notes: who, about what, when, how much."""
    assert rows.summary(TLS, received=RECEIVED, digest="f") == rows.Summary(
        "Größe-X", "sts@example.net", "5065427c", 1_772_582_400, 1_772_668_799, ("example.com",), 2, 5429
    )
    assert rows.summary(REPORT, received=RECEIVED, digest="f") == rows.Summary(
        "mx.example.net", "", "f", 1_772_582_400, 1_772_582_400, ("example.com",), 1, 1
    )
    fallback = dataclasses.replace(REPORT, reporting_mta=None, reported_domain=None, header_from="Mail.Example.com")
    assert rows.summary(fallback, received=RECEIVED, digest="f").org_name == "Lua/1.0"
    assert rows.summary(fallback, received=RECEIVED, digest="f").domains == ("mail.example.com",)
    assert rows.summary(NOTHING, received=RECEIVED, digest="f").begin == 1_772_600_767
    policy = Policy("example.com", *[None] * 9)  # type: ignore[arg-type]
    aggregate = AggregateReport("o", None, None, "r", 1, 2, None, None, (), policy, (), ())
    assert rows.summary(aggregate, received=RECEIVED, digest="f") == rows.Summary(
        "o", "", "r", 1, 2, ("example.com",), 0, 0
    )
    assert rows.rows_of(aggregate, **known("a"))[0] == "dmarc_reports"
