"""A sum over SQL is exact or an error, never wrapped: not even where a reporter writes counts at the end of 64 bits."""

# ruff: noqa: E501 - a statement stands whole on its line
from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dmarcworks.analytics import schema
from dmarcworks.api.sql import sums
from tests.support.sql_tenants import _report

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 2**64 - 1
SMALL = "(SELECT count FROM dmarc_reports WHERE org_name = '7')"


@pytest.fixture
async def large(tenants: Any) -> Any:
    """Two records of 2^64-1 messages in a report of my account, once."""
    found = await tenants.mine.ask("SELECT count() AS n FROM dmarc_reports WHERE org_name = 'large'")
    if found.json()["data"] == [{"n": 0}]:
        table = schema.rows(
            _report("large", MOST, "example.com"), account_id=tenants.mine.account_id, domain_id="d" * 32,
            domain="example.com", received=datetime.now(UTC), report_key="k-large", object_key="o-large",
        )  # fmt: skip
        await tenants.analytics.insert("dmarc_reports", table)
    return tenants


LARGE = "FROM dmarc_reports WHERE org_name = 'large'"


@pytest.mark.parametrize(
    "statement",
    [
        f"SELECT sum(count) {LARGE}",
        f"SELECT SUM(count) AS n, blob2 {LARGE} GROUP BY blob2 ORDER BY SUM(count) DESC",
        f"SELECT sumIf(count, dmarc = 'pass') {LARGE}",
        f"SELECT sum(count) OVER (ORDER BY record_index) {LARGE}",
        f"SELECT arraySum(groupArray(count)) {LARGE}",
        f"SELECT blob2 {LARGE} GROUP BY blob2 HAVING sum(count) > 5",
        f"SELECT sum(DISTINCT bitXor(count, record_index)) {LARGE}",
        f"SELECT sum(n) FROM (SELECT max(count) AS n {LARGE} UNION ALL SELECT count AS n {LARGE})",
        f"SELECT (SELECT sum(count) {LARGE}) AS n",
        f"SELECT sum(toInt64(count / 4)) FROM (SELECT count {LARGE} UNION ALL SELECT count {LARGE} UNION ALL SELECT count {LARGE})",
        "SELECT sum(count) FROM dmarc_reports",
    ],
)
async def test_a_sum_past_the_end_is_an_error(large: Any, statement: str) -> None:
    answer = await large.mine.ask(statement)
    assert answer.status_code == 422, answer.text
    assert sums.TOO_LARGE in answer.text


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        (f"SELECT sum(count) {LARGE} AND record_index = 0", {"sum(count)": MOST}),
        (f"SELECT sum(toFloat64(count)) AS n, sum(double8) AS d {LARGE}", {"n": 2.0**65, "d": 2.0**65}),
        (f"SELECT avg(count) AS a, AVG(count) AS b, avgWeighted(count, 1) AS c {LARGE}", {"a": 2.0**64, "b": 2.0**64, "c": 2.0**64}),
        (f"SELECT SUM(count) FROM {SMALL} AS q", {"SUM(count)": 10}),
        (f"SELECT sum(count) / 4, sum(toInt64(count) - 9) AS m FROM {SMALL} AS q", {"sum(count) / 4": 2.5, "m": -8}),
        (f"SELECT sum(DISTINCT count) AS n, avg(count) AS a, arraySum([1, 2]) AS s FROM {SMALL} AS q", {"n": 5, "a": 5, "s": 3}),
        ("SELECT sum(pct) AS n, sum(asn) AS none, sumIf(count, dmarc = 'pass') AS p FROM dmarc_reports WHERE org_name = '7'", {"n": 200, "none": None, "p": 10}),
        (f"SELECT sum(sum(count)) OVER () AS n FROM {SMALL} AS q", {"n": 10}),
        ("SELECT sum(count) AS n FROM dmarc_reports WHERE 1 = 0", {"n": 0}),
    ],
)  # fmt: skip
async def test_any_other_sum_is_as_ever(large: Any, statement: str, row: dict[str, Any]) -> None:
    """In value, type and name."""
    answer = await large.mine.ask(statement)
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["data"]
    # JSON writes a large float without an exponent, which Python takes for a whole number.
    assert {name: float(n) if type(row[name]) is float else n for name, n in found.items()} == row


async def test_what_a_statement_counts_itself_is_exact_in_128_bits(large: Any) -> None:
    """As the documentation says: in 64 bits it goes around, in 128 it does not."""
    row = f"SELECT count * 3 AS a, toInt128(count) * 3 AS b, toInt128(count) + count AS c, 5 - toInt128(count) AS d {LARGE} LIMIT 1"
    assert (await large.mine.ask(row)).json()["data"] == [
        {"a": MOST * 3 % 2**64, "b": MOST * 3, "c": MOST * 2, "d": 5 - MOST}
    ]
    sums = f"SELECT sum(toInt128(count)) AS a, toUInt128(max(count)) + max(count) AS b {LARGE}"
    assert (await large.mine.ask(sums)).json()["data"] == [{"a": MOST * 2, "b": MOST * 2}]


async def test_the_types_of_sums_stay(large: Any) -> None:
    answer = await large.mine.ask(
        "SELECT sum(count), sum(double8), sum(toInt32(count)), sum(pct), sum(_sample_interval)"
        " FROM dmarc_reports WHERE org_name = '7'"
    )
    kinds = [(column["name"], column["type"]) for column in json.loads(answer.content)["meta"]]
    assert kinds == [
        ("sum(count)", "UInt64"),
        ("sum(double8)", "Float64"),
        ("sum(toInt32(count))", "Int64"),
        ("sum(pct)", "Nullable(Int64)"),
        ("sum(_sample_interval)", "UInt64"),
    ]


async def test_sums_in_sums_do_not_grow_without_end(large: Any) -> None:
    for statement in ("sum(" * 25 + "count" + ")" * 25, "sum((SELECT " * 9 + "sum(count)" + "))" * 9):
        answer = await large.mine.ask(f"SELECT {statement} FROM dmarc_reports")
        assert answer.status_code == 422
        assert "sums are nested more than" in answer.text or "nested deeper" in answer.text, answer.text
