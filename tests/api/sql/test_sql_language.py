"""Every statement, function and literal that the SQL page promises works, with the values that a person works out."""

# ruff: noqa: E501 - a statement stands whole on its line

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dmarcworks.api.sql.functions import ANY_CASE, FUNCTIONS

pytestmark = pytest.mark.asyncio(loop_scope="module")

T = "toDateTime('2026-03-04 05:06:07')"
# Aggregates over the numbers 1, 1, 2, 4 with weights 1, 1, 1, 5.
FOUR = "(SELECT arrayJoin([(1, 1), (1, 1), (2, 1), (4, 5)]) AS p, p.1 AS c, p.2 AS w, toString(c) AS s)"

# The functions of the original's documentation, each with a value.
DOCUMENTED = {
    # aggregates
    f"count() FROM {FOUR}": 4,
    f"count(DISTINCT c) FROM {FOUR}": 3,
    f"sum(c) FROM {FOUR}": 8,
    f"sum(DISTINCT c) FROM {FOUR}": 7,
    f"avg(c) FROM {FOUR}": 2,
    f"avg(DISTINCT c) FROM {FOUR}": 7 / 3,
    f"min(c) FROM {FOUR}": 1,
    f"MAX(c) FROM {FOUR}": 4,
    f"quantileExactWeighted(0.5)(c, w) FROM {FOUR}": 4,
    f"quantileExactWeighted(0.1)(c, w) FROM {FOUR}": 1,
    f"quantileWeighted(0.5, c, w) FROM {FOUR}": 4,
    f"argMax(s, c) FROM {FOUR}": "4",
    f"argMin(s, c) FROM {FOUR}": "1",
    f"first_value(c) FROM {FOUR}": 1,
    f"last_value(c) FROM {FOUR}": 4,
    f"topK(1)(c) FROM {FOUR}": [1],
    f"arraySort(topK(c)) FROM {FOUR}": [1, 2, 4],
    f"topKWeighted(1)(c, w) FROM {FOUR}": [4],
    f"arraySort(topKWeighted(c, w)) FROM {FOUR}": [1, 2, 4],
    # dates
    f"formatDateTime({T}, '%Y/%m/%d %H')": "2026/03/04 05",
    f"formatDateTime({T}, '%H', 'Asia/Tokyo')": "14",
    f"NOW() > {T}": 1,
    f"today() > {T}": 1,
    "toDateTime(1772600767)": "2026-03-04 05:06:07",
    "toDateTime('1772600767')": "2026-03-04 05:06:07",
    T: "2026-03-04 05:06:07",
    "toDateTime(1772600767, 'Asia/Tokyo')": "2026-03-04 14:06:07",
    f"toYear({T})": 2026,
    f"toMonth({T})": 3,
    f"toDayOfWeek({T})": 3,
    f"toDayOfMonth({T})": 4,
    f"toHour({T})": 5,
    f"toMinute({T})": 6,
    f"toSecond({T})": 7,
    f"toUnixTimestamp({T})": 1772600767,
    f"toYYYYMM({T})": 202603,
    f"toStartOfInterval({T}, INTERVAL '15' MINUTE)": "2026-03-04 05:00:00",
    f"toStartOfInterval({T}, INTERVAL '1' DAY, 'Asia/Tokyo')": "2026-03-04 00:00:00",
    f"toStartOfYear({T})": "2026-01-01",
    f"toStartOfMonth({T})": "2026-03-01",
    f"toStartOfWeek({T})": "2026-03-02",
    f"toStartOfDay({T})": "2026-03-04 00:00:00",
    f"toStartOfHour({T})": "2026-03-04 05:00:00",
    f"toStartOfFifteenMinutes({T})": "2026-03-04 05:00:00",
    f"toStartOfTenMinutes({T})": "2026-03-04 05:00:00",
    f"toStartOfFiveMinutes({T})": "2026-03-04 05:05:00",
    f"toStartOfMinute({T})": "2026-03-04 05:06:00",
    f"extract(YEAR FROM {T})": 2026,
    f"EXTRACT(minute FROM {T})": 6,
    # text
    "length('größe')": 5,
    "empty('')": 1,
    "lower('ABC')": "abc",
    "lowerUTF8('GRÖSSE')": "grösse",
    "toLower('GRÖSSE')": "grösse",
    "upper('abc')": "ABC",
    "upperUTF8('größe')": "GRÖSSE",
    "toUpper('abc')": "ABC",
    "startsWith('mail.example', 'mail')": 1,
    "endsWith('mail.example', 'mail')": 0,
    "position('a' IN 'mail')": 2,
    "position('z' IN 'mail')": 0,
    "substring('example', 3)": "ample",
    "substring('example', 3, 2)": "am",
    "format('{}-{}', 'a', 'b')": "a-b",
    # conversion and sums
    "toUInt8('7')": 7,
    "toUInt32(7.9)": 7,
    "intDiv(7, 2)": 3,
    "log(1)": 0,
    "ln(1)": 0,
    "pow(2, 10)": 1024,
    "round(2.6)": 3,
    "floor(2.6)": 2,
    "ceil(2.1)": 3,
    # bits
    "bitAnd(6, 3)": 2,
    "bitOr(6, 3)": 7,
    "bitXor(6, 3)": 5,
    "bitNot(toUInt8(1))": 254,
    "bitCount(7)": 3,
    "bitHammingDistance(1, 6)": 3,
    "bitRotateLeft(toUInt8(129), 1)": 3,
    "bitRotateRight(toUInt8(3), 1)": 129,
    "bitShiftLeft(1, 3)": 8,
    "bitShiftRight(8, 3)": 1,
    "bitTest(5, 2)": 1,
    "bin(5)": "00000101",
    "hex('AB')": "4142",
    "hex(255)": "FF",
    "if(1 > 0, 'yes', 'no')": "yes",
    # literals and operators
    "1 + 2 * 3 - 4 / 2 % 3": 5,
    "1.5e1": 15,
    "'it''s'": "it's",
    "true": True,
    "false OR NOT true": False,
    "-(3)": -3,
    "2 IN (1, 2)": 1,
    "2 NOT IN (1, 2)": 0,
    "2 BETWEEN 1 AND 3": 1,
    "2 NOT BETWEEN 1 AND 3": 0,
    "'mail' LIKE 'm%l'": 1,
    "'mail' NOT LIKE 'M__l'": 1,
    "'mail' ILIKE 'M__L'": 1,
    "'mail' NOT ILIKE 'M__L'": 0,
    "1 = 1 AND 1 <> 2 AND 1 != 2 AND 1 <= 1 AND 2 >= 1": 1,
    f"{T} - INTERVAL '1' YEAR": "2025-03-04 05:06:07",
    f"{T} + INTERVAL '1' MONTH": "2026-04-04 05:06:07",
    f"{T} + INTERVAL '1' DAY - INTERVAL '1' HOUR": "2026-03-05 04:06:07",
    f"{T} + INTERVAL '1' MINUTE + INTERVAL '42' SECOND": "2026-03-04 05:07:49",
}


async def _one(tenants: Any, statement: str, **values: str) -> Any:
    """The only value of the only row."""
    path = f"/client/v4/accounts/{tenants.mine.account_id}/analytics_engine/sql"
    headers = {"Authorization": f"Bearer {tenants.mine.token}"}
    parameters = {f"param_{name}": value for name, value in values.items()}
    answer = await tenants.client.post(path, content=statement, headers=headers, params=parameters)
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["data"]
    (value,) = row.values()
    return value


@pytest.mark.parametrize("expression", DOCUMENTED)
async def test_what_the_original_documents_has_its_value(tenants: Any, expression: str) -> None:
    assert await _one(tenants, f"SELECT {expression}") == DOCUMENTED[expression]


async def test_every_function_on_the_list_is_one_of_the_engine(tenants: Any) -> None:
    """A name that is listed and unknown to the engine would be a promise that nobody keeps."""
    answer = await tenants.analytics.query("SELECT lower(name) FROM system.functions", format="TabSeparatedRaw")
    known = set(answer.decode().split())
    ours = {"tolower", "toupper", "quantileweighted"}  # written as others
    combined = {name for name in FUNCTIONS if name.endswith("if") and name[:-2] in known}
    assert {*FUNCTIONS, *ANY_CASE} - known - ours - combined == set()


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("SELECT 1 AS a UNION ALL SELECT 1 UNION ALL SELECT 2", [[1], [1], [2]]),
        ("SELECT 1 AS a UNION DISTINCT SELECT 1 UNION DISTINCT SELECT 2", [[1], [2]]),
        ("(SELECT 2 AS a) UNION ALL (SELECT 1)", [[1], [2]]),
        (
            "WITH q AS (SELECT source_ip AS a FROM dmarc_reports) SELECT a FROM q UNION ALL SELECT 'x' UNION ALL SELECT max(a) FROM q",
            [["192.0.2.1"], ["192.0.2.2"], ["192.0.2.2"], ["x"]],
        ),
        ("SELECT sum(n) AS s FROM (SELECT count AS n FROM dmarc_reports UNION ALL SELECT 100 AS n)", [[110]]),
        ("SELECT 7 IN (SELECT 1 UNION ALL SELECT 7) AS a", [[1]]),
        ("SELECT count() AS a FROM dmarc_reports UNION ALL SELECT count() FROM tls_reports", [[0], [2]]),
    ],
)
async def test_union(tenants: Any, statement: str, rows: list[list[Any]]) -> None:
    answer = await tenants.mine.ask(statement)
    assert answer.status_code == 200, answer.text
    assert sorted([list(row.values()) for row in answer.json()["data"]], key=str) == rows


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("row_number() OVER (ORDER BY source_ip)", [1, 2]),
        ("row_number() OVER (PARTITION BY source_ip ORDER BY count DESC)", [1, 1]),
        ("rank() OVER (ORDER BY count)", [1, 1]),
        ("sum(count) OVER (ORDER BY source_ip)", [5, 10]),
        ("sum(count) OVER ()", [10, 10]),
        ("sum(count) OVER (ORDER BY source_ip ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING)", [0, 5]),
        ("sum(count) OVER (ORDER BY source_ip ROWS UNBOUNDED PRECEDING)", [5, 10]),
        ("max(count) OVER (ORDER BY record_index RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", [5, 5]),
        ("lagInFrame(source_ip, 1, '-') OVER (ORDER BY source_ip)", ["-", "192.0.2.1"]),
        ("round(count / sum(count) OVER (), 2)", [0.5, 0.5]),
    ],
)
async def test_window_functions(tenants: Any, expression: str, values: list[Any]) -> None:
    answer = await tenants.mine.ask(f"SELECT source_ip, {expression} AS v FROM dmarc_reports ORDER BY source_ip")
    assert answer.status_code == 200, answer.text
    assert [row["v"] for row in answer.json()["data"]] == values


@pytest.mark.parametrize(
    ("statement", "sent", "value"),
    [
        ("SELECT {x:String}", {"x": "it's \\ \t {y:String}"}, "it's \\ \t {y:String}"),
        ("SELECT {n:UInt64} + 1", {"n": "9007199254740993"}, 9007199254740994),
        ("SELECT {d:Date} + 1", {"d": "2026-03-04"}, "2026-03-05"),
        ("SELECT {t:DateTime}", {"t": "2026-03-04 05:06:07"}, "2026-03-04 05:06:07"),
        ("SELECT {x:Nullable(String)} IS NULL", {"x": "\\N"}, 0),
        ("SELECT sum(count) FROM dmarc_reports WHERE source_ip = {ip:String}", {"ip": "192.0.2.1"}, 5),
        (
            "SELECT sum(count) FROM dmarc_reports WHERE source_ip IN {ips:Array(String)}",
            {"ips": "['192.0.2.1', '192.0.2.2']"},
            10,
        ),
        (
            "SELECT sum(count) FROM dmarc_reports WHERE source_ip IN ({a:String}, {b:String})",
            {"a": "192.0.2.1", "b": "x"},
            5,
        ),
        ("SELECT count() FROM (SELECT * FROM dmarc_reports LIMIT {n:UInt32})", {"n": "1", "unused": "x"}, 1),
        ("SELECT count() FROM dmarc_reports WHERE timestamp > now() - INTERVAL {n:UInt32} DAY", {"n": "1"}, 2),
        ("SELECT count() FROM dmarc_reports WHERE org_name = {x:String}", {"x": "' OR 1 = 1 --"}, 0),
        ("SELECT count() FROM dmarc_reports WHERE {account_id:String} = account_id", {"account_id": "x"}, 0),
    ],
)
async def test_parameters_are_values_and_nothing_else(
    tenants: Any, statement: str, sent: dict[str, str], value: Any
) -> None:
    assert await _one(tenants, statement, **sent) == value


@pytest.mark.parametrize(
    ("statement", "sent", "text"),
    [
        ("SELECT {x:String}", {}, "Input was invalid: parameter x has no value; send it as param_x"),
        (
            "SELECT {x:UInt8}",
            {"x": "many"},
            "Input was invalid: Value many cannot be parsed as UInt8 for query parameter 'x'",
        ),
        ("SELECT * FROM {x:Identifier}", {"x": "dmarc_reports"}, "Input was invalid: unknown table: "),
        (
            "SELECT {x:Identifier} FROM dmarc_reports",
            {"x": "org_name"},
            "Input was invalid: write a parameter like {name:String}",
        ),
        (
            "SELECT {x:Map(String, String)}",
            {"x": "{}"},
            "Input was invalid: unsupported type of a parameter; choose one of ",
        ),
        ("SELECT {x:FixedString(9999999)}", {"x": "1"}, "Input was invalid: "),
        ("SELECT 1 AS a UNION SELECT 2", {}, "Input was invalid: Expected DISTINCT or ALL for Union"),
        ("SELECT 1 AS a UNION ALL SELECT 2 AS b, 3 AS c", {}, "Input was invalid: "),
        (
            "SELECT sum(count) OVER w FROM dmarc_reports WINDOW w AS ()",
            {},
            "Input was invalid: unsupported expression type: SELECT with WINDOWS",
        ),
        ("SELECT row_number() FROM dmarc_reports", {}, "Input was invalid: "),
        (
            "SELECT sum(count) OVER (ORDER BY source_ip ROWS BETWEEN sleep(1) PRECEDING AND CURRENT ROW) FROM dmarc_reports",
            {},
            "Input was invalid: ",
        ),
    ],
)
async def test_what_cannot_be_said_is_named(tenants: Any, statement: str, sent: dict[str, str], text: str) -> None:
    path = f"/client/v4/accounts/{tenants.mine.account_id}/analytics_engine/sql"
    headers = {"Authorization": f"Bearer {tenants.mine.token}"}
    answer = await tenants.client.post(
        path, content=statement, headers=headers, params={f"param_{k}": v for k, v in sent.items()}
    )
    assert answer.status_code == 422, answer.text
    assert answer.text.startswith(text)


async def test_parameters_come_in_the_address_of_a_get_too(tenants: Any) -> None:
    path = f"/client/v4/accounts/{tenants.mine.account_id}/analytics_engine/sql"
    headers = {"Authorization": f"Bearer {tenants.mine.token}"}
    sent = {"query": "SELECT {x:String} AS a FORMAT CSV", "param_x": 'a "b"'}
    answer = await tenants.client.get(path, params=sent, headers=headers)
    assert (answer.status_code, answer.text) == (200, '"a ""b"""\n')


async def test_parquet_and_arrow_open_in_any_reader(tenants: Any) -> None:
    statement = "SELECT source_ip, count FROM dmarc_reports ORDER BY source_ip FORMAT "
    for table in (
        pq.read_table(io.BytesIO((await tenants.mine.ask(statement + "Parquet")).content)),
        pa.ipc.open_file((await tenants.mine.ask(statement + "Arrow")).content).read_all(),
    ):
        found = [
            [value.decode() if isinstance(value, bytes) else value for value in row.values()]
            for row in table.to_pylist()
        ]
        assert found == [["192.0.2.1", 5], ["192.0.2.2", 5]]
