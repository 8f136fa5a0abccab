"""Who knows the original's SQL API finds it here: its README query, its formats, its errors, exact values."""

# ruff: noqa: E501 - a statement stands whole on its line
from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from dmarcworks.analytics.schema import DMARC_REPORTS
from dmarcworks.api.sql import route
from dmarcworks.api.sql.allow import TEXT_BYTES
from dmarcworks.api.sql.internal_route import owner
from dmarcworks.api.sql.service import QueryService, count_rows
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.errors import StoreError
from tests.support.http_deps import app_with
from tests.support.readme_query import README_QUERY

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _data(tenants: Any, statement: str) -> list[dict[str, Any]]:
    answer = await tenants.mine.ask(statement)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["data"]
    return rows


async def test_the_query_of_the_originals_readme_runs_verbatim(tenants: Any) -> None:
    answer = await tenants.mine.ask(README_QUERY)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["rows"] == 2
    assert [column["name"] for column in body["meta"]][:4] == [
        "timestamp", "reportMetadataReportId", "reportMetadataOrgName", "reportMetadataDateRangeBegin",
    ]  # fmt: skip
    row = {key: value for key, value in body["data"][0].items() if key != "timestamp"}
    assert row == {
        "reportMetadataReportId": "id_7",
        "reportMetadataOrgName": "7",
        "reportMetadataDateRangeBegin": "2026-03-04 00:00:00",
        "reportMetadataDateRangeEnd": "2026-03-04 23:59:59",
        "reportMetadataError": "",
        "policyPublishedDomain": "example.com",
        "policyPublishedADKIM": 0,
        "policyPublishedASPF": 1,
        "policyPublishedP": 1,
        "policyPublishedSP": 0,
        "policyPublishedPct": 100,
        "recordRowSourceIP": "192.0.2.1",
        "recordRowCount": 5,
        "recordRowPolicyEvaluatedDKIM": 1,
        "recordRowPolicyEvaluatedSPF": 0,
        "recordRowPolicyEvaluatedDisposition": 0,
        "recordRowPolicyEvaluatedReasonType": 1,
        "recordIdentifiersEnvelopeTo": "",
        "recordIdentifiersHeaderFrom": "example.com",
    }


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("SELECT SUM(double8) FROM dmarc_reports", {"SUM(double8)": 10}),
        ("SELECT 9007199254740993 AS big, toUInt64(18446744073709551615) AS bigger", {"big": 2**53 + 1, "bigger": 2**64 - 1}),
        ("SELECT SUM(_sample_interval) AS n, count() AS c, COUNT(*) AS d FROM dmarc_reports", {"n": 2, "c": 2, "d": 2}),
        ("select blob2 as org, sum(double8) as n from dmarc_reports group by org order by n desc limit 1", {"org": "7", "n": 10}),
        ("SELECT count(DISTINCT source_ip) AS n FROM dmarc_reports WHERE blob5 LIKE '192.0.2.%'", {"n": 2}),
        ("SELECT quantileWeighted(0.5, double8, _sample_interval) AS a, quantileExactWeighted(0.5)(double8, 1) AS b FROM dmarc_reports", {"a": 5, "b": 5}),
        ("SELECT toStartOfWeek(toDateTime('2026-03-04 10:00:00')) AS monday, toDayOfWeek(toDateTime('2026-03-04 10:00:00')) AS d", {"monday": "2026-03-02", "d": 3}),
        ("SELECT extract(YEAR FROM toDateTime(1772582400)) AS y, position('b' IN 'abc') AS p, length('é') AS l", {"y": 2026, "p": 2, "l": 1}),
        ("SELECT dkim[1].domain AS d, reasons[1].type AS r, length(spf) AS n FROM dmarc_reports LIMIT 1", {"d": "example.com", "r": "forwarded", "n": 1}),
        ("WITH q AS (SELECT source_ip, sum(count) AS n FROM dmarc_reports GROUP BY source_ip) SELECT sum(n) AS s, max(q.n) AS m FROM q", {"s": 10, "m": 5}),
        ("SELECT sum(a.count) AS n FROM dmarc_reports AS a INNER JOIN (SELECT source_ip FROM dmarc_reports LIMIT 1) AS b ON a.source_ip = b.source_ip", {"n": 5}),
        ("SELECT sum(n) AS n FROM (SELECT count AS n FROM dmarc_reports WHERE day IN ('2026-03-04') AND source_ip NOT IN ('192.0.2.9'))", {"n": 10}),
        ("SELECT if(1 = 2, 'a', 'it''s \\\\') AS t, -1 AS n, 7 / 2 AS h, 7 % 3 AS m, NULL IS NULL AS x", {"t": "it's \\", "n": -1, "h": 3.5, "m": 1, "x": 1}),
        ("-- a comment\nSELECT /* another */ 1 AS a;", {"a": 1}),
        ("SHOW TIMEZONE", {"timezone": "Etc/UTC"}),
    ],
)  # fmt: skip
async def test_statements_answer_exactly(tenants: Any, statement: str, row: dict[str, Any]) -> None:
    assert await _data(tenants, statement) == [row]


async def test_data_points_answer_to_whom_they_belong(tenants: Any) -> None:
    """Each account has its own, of a domain and of none; nobody's are the operator's alone."""
    ask = "SELECT dataset, domain_id, index1, blob1, blob20, double1, double20, _sample_interval FROM data_points ORDER BY domain_id"
    row = {
        "dataset": "7",
        "domain_id": "",
        "index1": "7",
        "blob1": "example.com",
        "blob20": "",
        "double1": 5,
        "double20": 0,
        "_sample_interval": 1,
    }
    assert await _data(tenants, ask) == [row, {**row, "domain_id": "d" * 32}]
    original = "SELECT blob1 AS b, SUM(_sample_interval * double1) AS n FROM data_points WHERE timestamp > NOW() - INTERVAL '1' DAY GROUP BY b"
    assert await _data(tenants, original) == [{"b": "example.com", "n": 10}]
    count = "SELECT count() AS n FROM data_points"
    assert (await tenants.theirs.ask(count)).json()["data"] == [{"n": 2}]
    service = QueryService(tenants.analytics, QueryBounds())
    nobodys = await service.query(
        count, await owner(tenants.accounts, ""), who="operator", source="command", format="CSV"
    )
    assert nobodys.body == b"2\n"


async def test_show_tables_and_timezones(tenants: Any) -> None:
    assert await _data(tenants, "SHOW TABLES") == [
        {"dataset": "data_points"}, {"dataset": "dmarc_reports"}, {"dataset": "failure_reports"}, {"dataset": "tls_reports"},
    ]  # fmt: skip
    assert {"timezone": "Europe/Lisbon"} in await _data(tenants, "show timezones format json")


@pytest.mark.parametrize(
    ("form", "media", "body"),
    [
        ("JSONEachRow", "application/x-ndjson", b'{"a":1,"b":"x\\ty"}\n'),
        ("TabSeparated", "text/tab-separated-values; charset=utf-8", b"1\tx\\ty\n"),
        ("csv", "text/csv; charset=utf-8", b'1,"x\ty"\n'),
    ],
)
async def test_formats(tenants: Any, form: str, media: str, body: bytes) -> None:
    answer = await tenants.mine.ask(f"SELECT 1 AS a, 'x\ty' AS b FORMAT {form}")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, media, body)


async def test_json_has_the_originals_shape(tenants: Any) -> None:
    assert (await tenants.mine.ask("SELECT 1 AS a")).json() == {
        "meta": [{"name": "a", "type": "UInt8"}], "data": [{"a": 1}], "rows": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("SELECT CASE WHEN 1 THEN 2 END", "Input was invalid: unsupported expression type: CASE WHEN ..."),
        ("SELECT c FROM dmarc_reports", "Input was invalid: unable to find type of column: c"),
        ("SELECT blob21 FROM dmarc_reports", "Input was invalid: unable to find type of column: blob21; did you mean blob2?"),
        ("SELECT 1 FROM dmarc_report", "Input was invalid: unknown table: dmarc_report; did you mean dmarc_reports?"),
        ("SELECT tostrng(1)", "Input was invalid: unsupported function: tostrng; did you mean toString?"),
        ("SELECT 1 FORMAT Vertical", "Input was invalid: unsupported format: Vertical; choose one of "),
        ("SELECT 1; SELECT 2", "Input was invalid: send one statement at a time"),
        ("SELECT toUInt8('abc')", "Input was invalid: Cannot parse string 'abc' as UInt8"),
        ("INSERT INTO dmarc_reports VALUES (1)", "Input was invalid: unsupported statement: INSERT"),
        ("SELECT a FROM dmarc_reports LIMIT x", "Input was invalid: LIMIT takes a whole number"),
        ("SELECT 1 +", "Input was invalid: "),
        ("  ;; ", "Input was invalid: the query is empty"),
        ("", "Input was invalid: the query is empty"),
        (b"SELECT '\xff'", "Input was invalid: the query is not UTF-8"),
    ],
)  # fmt: skip
async def test_what_is_refused_is_422_with_a_sentence(tenants: Any, statement: str | bytes, text: str) -> None:
    answer = await tenants.mine.ask(statement)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "text/plain; charset=utf-8")
    assert answer.text.startswith(text)
    for inside in ("DB::Exception", "PREWHERE", "chdb", tenants.mine.account_id):
        assert inside not in answer.text


async def test_bounds_are_held_and_said(tenants: Any) -> None:
    rows = "SELECT a.source_ip FROM dmarc_reports AS a " + "".join(
        f"JOIN dmarc_reports AS j{n} ON j{n}.domain = a.domain " for n in range(12)
    )
    answer = await tenants.mine.ask(rows)
    assert (answer.status_code, "1000 rows" in answer.text) == (422, True), answer.text
    slow = rows.replace("SELECT a.source_ip", "SELECT count()") + "".join(
        f"JOIN dmarc_reports AS k{n} ON k{n}.domain = a.domain " for n in range(19)
    )
    answer = await tenants.mine.ask(slow)
    assert answer.status_code == 422
    assert "longer than 2 seconds" in answer.text or "more than 1024 MiB" in answer.text
    assert (await _data(tenants, "SELECT 1 AS still_well")) == [{"still_well": 1}]


def _envelope(code: int, message: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


async def test_a_text_that_is_too_long_is_413(tenants: Any) -> None:
    answer = await tenants.mine.ask("SELECT '" + "x" * TEXT_BYTES + "'")
    assert answer.status_code == 413
    assert answer.json() == _envelope(1004, f"the query is longer than {TEXT_BYTES} bytes")


async def test_get_with_the_query_in_the_address(tenants: Any) -> None:
    path = f"/client/v4/accounts/{tenants.mine.account_id}/analytics_engine/sql"
    headers = {"Authorization": f"Bearer {tenants.mine.token}"}
    answer = await tenants.client.get(path, params={"query": "SELECT 1 AS a FORMAT TabSeparated"}, headers=headers)
    assert (answer.status_code, answer.text) == (200, "1\n")


async def test_the_requests_content_type_says_nothing(tenants: Any) -> None:
    path = f"/client/v4/accounts/{tenants.mine.account_id}/analytics_engine/sql"
    for kind in ("application/x-www-form-urlencoded", "application/json", "x"):
        headers = {"Authorization": f"Bearer {tenants.mine.token}", "Content-Type": kind}
        answer = await tenants.client.post(path, content="SELECT 1 AS a FORMAT CSV", headers=headers)
        assert (answer.status_code, answer.text) == (200, "1\n")


async def test_a_store_that_is_away_is_503_with_retry_after(tenants: Any) -> None:
    class Away:
        async def query(self, *_: Any, **__: Any) -> bytes:
            raise StoreError("cannot lock /secret/path")

    answer = await _ask(tenants, _app(tenants, Away()))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == _envelope(10503, "the store is unavailable; try again")


async def test_an_accounts_statements_run_one_at_a_time_and_few_may_wait(tenants: Any) -> None:
    class Slow:
        gate = asyncio.Event()
        inside = most = 0

        async def query(self, statement: str, parameters: Any = None, **_: Any) -> bytes:
            if "FROM system." in statement:
                return b"file\n"  # the names that the check asks for
            if "formatQuerySingleLine" in statement:
                return str(parameters["q"]).encode()
            Slow.inside += 1
            Slow.most = max(Slow.most, Slow.inside)
            await Slow.gate.wait()
            Slow.inside -= 1
            return b"{}"

    app = _app(tenants, Slow())
    asked = [asyncio.create_task(_ask(tenants, app)) for _ in range(route.WAITING + 1)]
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    refused = done.pop().result()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    Slow.gate.set()
    assert sorted([(await task).status_code for task in asked]) == [200] * route.WAITING + [429]
    assert Slow.most == 1
    assert (await _ask(tenants, app)).status_code == 200


def _app(tenants: Any, analytics: Any) -> FastAPI:
    return app_with(route.routes, sql=QueryService(analytics, QueryBounds()), accounts=tenants.accounts)


async def _ask(tenants: Any, app: FastAPI) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://x.example") as client:
        path = f"/client/v4/accounts/{tenants.mine.account_id}/analytics_engine/sql"
        return await client.post(path, content="SELECT 1", headers={"Authorization": f"Bearer {tenants.mine.token}"})


async def test_star_means_the_stored_columns_whatever_else_is_named(tenants: Any) -> None:
    stored = [column.name for column in DMARC_REPORTS.columns]
    for statement, more in (
        ("SELECT * FROM dmarc_reports WHERE timestamp > NOW() - INTERVAL '1' DAY LIMIT 1", []),
        ("SELECT blob1, d.* FROM dmarc_reports AS d LIMIT 1", ["blob1"]),
        ("SELECT (SELECT 1) AS one, * FROM dmarc_reports WHERE blob1 != '' LIMIT 1", ["one"]),
        ("SELECT * FROM (SELECT *, blob1 FROM dmarc_reports) LIMIT ALL", ["blob1"]),
    ):
        answer = await tenants.mine.ask(statement)
        assert answer.status_code == 200, answer.text
        assert sorted(column["name"] for column in answer.json()["meta"]) == sorted(stored + more)


async def test_answers_are_json_that_any_client_reads(tenants: Any) -> None:
    answer = await tenants.mine.ask("SELECT org_name, object_key FROM dmarc_reports LIMIT 1")
    assert json.loads(answer.content)["data"] == [{"org_name": "7", "object_key": "o-7"}]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "item",
    [
        "length('ü')", "LENGTH( 'x' )", "SUM(double8)", "count(*)", "count( DISTINCT blob1 )", "1+1", "-double8",
        "toStartOfWeek(timestamp)", "quantileWeighted(0.5, double8, toUInt32(double8))", "[1,2][1]", "if(1, 'a', 'b')",
        "position('b' IN 'abc')", "'it''s `quoted` \\\\ text'", "toUInt8(1) IN (1, 2)", "(SELECT max(double8) FROM dmarc_reports)",
    ],
)  # fmt: skip
async def test_a_column_is_named_as_it_was_asked(tenants: Any, item: str) -> None:
    """What we make of a function does not show in the result; an alias and a plain column keep their own names."""
    grouped = " GROUP BY blob1, timestamp, double8" if any(name in item for name in ("-", "Week")) else ""
    answer = await tenants.mine.ask(f"SELECT {item} FROM dmarc_reports{grouped} LIMIT 1")
    assert answer.status_code == 200, answer.text
    assert [column["name"] for column in answer.json()["meta"]] == [item]


async def test_spaces_and_comments_between_words_become_one_space(tenants: Any) -> None:
    answer = await tenants.mine.ask(
        "SELECT max( /* a */ double8\n  +   1 ) , double8 AS x FROM dmarc_reports GROUP BY x LIMIT 1"
    )
    assert [column["name"] for column in answer.json()["meta"]] == ["max( double8 + 1 )", "x"]
    nested = await tenants.mine.ask("SELECT `max(double8)` + 1 AS m FROM (SELECT max(double8) FROM dmarc_reports)")
    assert nested.status_code == 200, nested.text


@pytest.mark.parametrize("form", ["JSON", "JSONCompact"])
async def test_the_log_counts_rows_under_a_limit(tenants: Any, form: str) -> None:
    statement = f"SELECT blob1, count() AS n FROM dmarc_reports GROUP BY blob1 LIMIT 1 FORMAT {form}"
    body = (await tenants.mine.ask(statement)).content
    assert b"rows_before_limit_at_least" in body
    assert count_rows(body, form) == 1
