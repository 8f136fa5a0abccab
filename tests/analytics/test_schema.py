"""A report becomes rows that hold exactly what it said, nothing that it did not say, and never fail to be stored."""

from __future__ import annotations

import dataclasses
import json
import uuid
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from dmarcworks.analytics import schema
from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.errors import UsageError
from dmarcworks.reports.model import AggregateReport
from tests.support.analytics_samples import BARE, POLICY, RECORD, REPORT

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECEIVED = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
NUMBERS = QueryBounds(extra={"output_format_json_quote_64bit_integers": 0})


def _rows(report: AggregateReport, account_id: str, key: str = "k") -> pa.Table:
    return schema.rows(
        report, account_id=account_id, domain_id="d" * 32, domain="example.com", received=RECEIVED, report_key=key,
        object_key="2026/3/x",
    )  # fmt: skip


async def _stored(analytics: Analytics, what: str, account_id: str) -> list[dict[str, Any]]:
    answer = await analytics.query(
        f"SELECT {what} FROM dmarc_reports WHERE account_id = {{a:String}} ORDER BY report_key, record_index",
        {"a": account_id},
        bounds=NUMBERS,
    )
    return [json.loads(line) for line in answer.splitlines()]


async def test_rows_have_the_schemas_columns_and_types() -> None:
    table = _rows(REPORT, "a" * 32)
    assert table.schema == schema.DMARC_REPORTS.schema
    assert table.num_rows == 2
    assert table.column("count").to_pylist() == [12, 3]
    assert table.column("dmarc").to_pylist() == ["pass", "fail"]
    assert table.column("day").to_pylist() == [date(2026, 3, 4)] * 2


async def test_migrate_is_safe_to_repeat(analytics: Analytics) -> None:
    assert await schema.migrate(analytics) == await schema.migrate(analytics) == 10
    answer = await analytics.query("SELECT version, name FROM schema_versions ORDER BY version", format="TabSeparated")
    names = ["reports", "daily sums", "daily sums in 128 bits", "data points of accounts", "quiet months in one part"]
    names += ["ten parts in a merge", "addresses quick to read", "identity of the system"]
    names += ["names of sources", "decisions about senders"]
    assert answer.decode().splitlines() == [f"{number}\t{name}" for number, name in enumerate(names, 1)]


async def test_named_columns_hold_what_the_report_said_and_null_for_what_it_did_not(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    await analytics.insert("dmarc_reports", _rows(REPORT, account))
    full, bare = await _stored(analytics, "*", account)
    assert full["reasons"] == [{"type": "mailing_list", "comment": "a list"}, {"type": "other", "comment": None}]
    assert full["dkim"] == [
        {"domain": "example.com", "selector": "s1", "result": "pass", "human_result": None},
        {"domain": "example.org", "selector": None, "result": "fail", "human_result": "bad sig"},
    ]
    assert full["spf"] == [
        {"domain": "bounce.example.com", "scope": "mfrom", "result": "softfail", "human_result": None}
    ]
    assert full["received"] == "2026-03-04 05:06:07.890"
    assert (full["begin"], full["end"], full["record_index"], full["pct"]) == (1_772_582_400, 1_772_668_799, 0, 50)
    assert (full["domain"], full["policy_domain"], full["object_key"]) == (
        "example.com",
        "mail.example.com",
        "2026/3/x",
    )
    assert (full["np"], full["testing"], full["asn"], full["generator"]) == (None, None, None, None)
    assert (bare["source_ip"], bare["disposition"], bare["header_from"]) == ("not an address", None, None)
    assert bare["envelope_to"] == ""  # told as empty, not absent
    assert (bare["reasons"], bare["dkim"], bare["spf"], bare["record_index"]) == ([], [], [], 1)


async def test_alias_columns_answer_the_originals_names(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    await analytics.insert("dmarc_reports", _rows(REPORT, account))
    names = [f"blob{n}" for n in range(1, 21)] + [f"double{n}" for n in range(1, 21)]
    full, bare = await _stored(analytics, ", ".join([*names, "timestamp, index1, _sample_interval, dataset"]), account)
    blobs = [
        "a_b-c/é 1",
        "Größe & Söhne",
        '"no \\"key\\""',
        "mail.example.com",
        "192.0.2.7",
        "example.net",
        "example.com",
    ]
    doubles = [1_772_582_400, 1_772_668_799, 1, 0, 2, 1, 50, 12, 1, 0, 1, 4]
    assert [full[f"blob{n}"] for n in range(1, 21)] == blobs + [""] * 13
    assert [full[f"double{n}"] for n in range(1, 21)] == doubles + [0] * 8
    assert full["timestamp"] == "2026-03-04 05:06:07"
    assert full["index1"] == "a-b-c/%C3%A9%201-0"  # encodeURI(report_id + '-' + i)
    assert (full["_sample_interval"], full["dataset"]) == (1, "dmarc_reports")
    assert [bare[f"blob{n}"] for n in range(5, 8)] == ["not an address", "", ""]
    assert [bare[f"double{n}"] for n in range(8, 13)] == [3, 0, 0, 0, 0]


async def test_absent_tags_have_the_defaults_of_the_rfc_in_the_originals_columns(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    policy = dataclasses.replace(POLICY, adkim=None, aspf=None, sp=None, pct=None)
    report = dataclasses.replace(REPORT, policy=policy, errors=(), report_id="x" * 40)
    await analytics.insert("dmarc_reports", _rows(report, account))
    row = (await _stored(analytics, "double3, double4, double5, double6, double7, blob3, index1, sp, pct", account))[0]
    assert row == {
        "double3": 0, "double4": 0, "double5": 2, "double6": 2, "double7": 100, "blob3": "", "index1": "x" * 32,
        "sp": None, "pct": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("begin", "day"),
    [
        (-5, date(2011, 1, 1)),
        (0, date(2011, 1, 1)),
        (1_337_270_400, date(2012, 5, 17)),
        (4_133_980_800, date(2100, 12, 31)),
        (10**30, date(2100, 12, 31)),
        (-(10**30), date(2011, 1, 1)),
    ],
)
async def test_an_odd_begin_never_fails_the_insert(analytics: Analytics, begin: int, day: date) -> None:
    account = uuid.uuid4().hex
    await analytics.insert("dmarc_reports", _rows(dataclasses.replace(REPORT, begin=begin), account))
    assert schema.day_of(begin) == day
    first, second = await _stored(analytics, "begin, day", account)
    assert first == second
    stored = first
    assert stored == {"begin": min(max(begin, -(2**63)), 2**63 - 1), "day": day.isoformat()}


async def test_hostile_values_never_fail_the_insert(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    record = dataclasses.replace(RECORD, source_ip="\x00\udcff'\\`", header_from="<script>", count=10**30)
    report = dataclasses.replace(
        REPORT,
        records=(record,),
        org_name="\ud800",
        errors=("e" * 5000,) * 100,
        policy=dataclasses.replace(POLICY, pct=10**30),
    )
    await analytics.insert("dmarc_reports", _rows(report, account))
    row = (await _stored(analytics, "source_ip, header_from, org_name, count, pct, length(errors) AS n", account))[0]
    assert row == {
        "source_ip": "\x00?'\\`", "header_from": "<script>", "org_name": "?", "count": 2**64 - 1, "pct": 2**63 - 1,
        "n": 20,
    }  # fmt: skip


async def test_published_keys_are_those_whose_rows_are_there(analytics: Analytics) -> None:
    """Of several reports at once: whose rows are in the table of that account, domain and day, and of no other."""
    account = uuid.uuid4().hex
    for key in ("k1", "k2"):
        await analytics.insert("dmarc_reports", _rows(REPORT, account, key))

    def row(key: str, account_id: str = account, day: date = date(2026, 3, 4)) -> SimpleNamespace:
        return SimpleNamespace(key=key, account_id=account_id, domain_id="d" * 32, day=day)

    found = await schema.published_keys(analytics, [row("k1"), row("k2"), row("k3")])
    assert sorted(found) == ["k1", "k2"]
    assert await schema.published_keys(analytics, [row("k1", day=date(2026, 3, 5))]) == []
    assert await schema.published_keys(analytics, [row("k1", "b" * 32)]) == []
    assert await schema.published_keys(analytics, []) == []
    # However many are asked about.
    others = [row(f"{n:064x}") for n in range(10_000)]
    found = await schema.published_keys(analytics, [row("k1"), *others, row("k2")])
    assert sorted(found) == ["k1", "k2"]
    with pytest.raises(UsageError):
        await schema.published_keys(analytics, [row("k1")], table="x")


async def test_a_report_of_200_000_records_is_a_row_each() -> None:
    report = dataclasses.replace(REPORT, records=(RECORD, BARE) * 100_000)
    table = _rows(report, "a" * 32)
    assert table.num_rows == 200_000
    assert table.column("record_index")[-1].as_py() == 199_999


async def test_a_large_report_is_stored_row_by_row_as_it_is(analytics: Analytics) -> None:
    """20,000 records: the head, which lies in memory once, stands in every row, and every row is its own."""
    records = tuple(
        dataclasses.replace(BARE if number % 3 else RECORD, source_ip=f"ip {number}", count=number)
        for number in range(20_001)
    )
    table = _rows(dataclasses.replace(REPORT, records=records), "e" * 32)
    table.validate(full=True)
    assert table.schema == schema.DMARC_REPORTS.schema
    await analytics.insert("dmarc_reports", table)
    (found,) = await _stored_once(analytics, "e" * 32)
    assert found == {
        "rows": 20_001, "messages": sum(range(20_001)), "right": 20_001, "rich": 6_667, "signed": 2 * 6_667,
        "orgs": ["Größe & Söhne"], "nps": [], "pcts": [50], "errors": [['no "key"']], "objects": ["2026/3/x"],
    }  # fmt: skip


async def _stored_once(analytics: Analytics, account_id: str) -> list[dict[str, Any]]:
    answer = await analytics.query(
        "SELECT count() AS rows, sum(count) AS messages, countIf(record_index = count AND source_ip ="
        " concat('ip ', toString(count)) AND day = toDate('2026-03-04')) AS right,"
        " countIf(disposition = 'quarantine' AND reasons[2].type = 'other' AND isNull(reasons[2].comment)) AS rich,"
        " sum(length(dkim)) AS signed, groupUniqArray(org_name) AS orgs, groupUniqArray(np) AS nps,"
        " groupUniqArray(pct) AS pcts, groupUniqArray(errors) AS errors, groupUniqArray(object_key) AS objects"
        " FROM dmarc_reports WHERE account_id = {a:String}",
        {"a": account_id},
        bounds=NUMBERS,
    )
    return [json.loads(line) for line in answer.splitlines()]
