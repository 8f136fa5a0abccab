"""Promise of analytics: inserted rows are there, whole and for good; a query reads, in its bounds, and no more."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import pytest_asyncio

from dmarcworks.bindings.chdb import ChdbAnalytics
from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.errors import QueryError, StoreError, UsageError
from tests.support.postgres import fill
from tests.support.waiting import wait_until

DURABLE = "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"
TABLE = (
    "CREATE TABLE t (name String, n UInt64, maybe Nullable(String), list Array(String), day Date,"
    f" at DateTime64(3, 'UTC')) ENGINE = MergeTree PARTITION BY toYYYYMM(day) ORDER BY name {DURABLE}"
)


def rows(count: int, name: str = "a", day: date = date(2026, 11, 24)) -> pa.Table:
    return pa.table(
        {
            "n": pa.array(range(count), pa.uint64()),
            "name": [name] * count,
            "maybe": pa.array([None if n % 2 else str(n) for n in range(count)], pa.string()),
            "list": pa.array([["x", f"ü'\\\n{n}"] for n in range(count)], pa.list_(pa.string())),
            "day": pa.array([day] * count, pa.date32()),
            "at": pa.array([datetime(2026, 11, 24, 12, 0, 0, 5000, tzinfo=UTC)] * count, pa.timestamp("ms", tz="UTC")),
        }
    )


@pytest_asyncio.fixture
async def store(analytics: Analytics) -> Analytics:
    await analytics.execute(TABLE)
    return analytics


async def ask(store: Analytics, statement: str, parameters: dict[str, Any] | None = None, **options: Any) -> Any:
    answer = await store.query(statement, parameters, **options)
    return [json.loads(line) for line in answer.splitlines()]


async def count(store: Analytics) -> int:
    return int(await store.query("SELECT count() FROM t", format="TabSeparated"))


async def test_rows_come_back_as_they_were_inserted(store: Analytics) -> None:
    """Columns go by name; null, list, date and time survive; an empty table is no error."""
    assert isinstance(store, Analytics)
    await store.insert("t", rows(2))
    await store.insert("t", rows(0))
    assert await ask(store, "SELECT * FROM t ORDER BY n") == [
        {
            "name": "a",
            "n": n,
            "maybe": None if n else "0",
            "list": ["x", f"ü'\\\n{n}"],
            "day": "2026-11-24",
            "at": "2026-11-24 12:00:00.005",
        }
        for n in range(2)
    ]


async def test_what_is_null_throughout_comes_back_as_null(store: Analytics) -> None:
    """A column without a value beside others, and rows of nothing at all."""
    nothing = pa.table({"maybe": pa.nulls(3, pa.string())})
    await store.insert("t", rows(3).set_column(2, "maybe", nothing["maybe"]))
    await store.insert("t", nothing)
    assert await ask(
        store, "SELECT name, count() AS n, countIf(maybe IS NULL) AS nulls FROM t GROUP BY name ORDER BY name"
    ) == [
        {"name": "", "n": 3, "nulls": 3},
        {"name": "a", "n": 3, "nulls": 3},
    ]


async def test_an_insert_is_one_block(store: Analytics) -> None:
    """However many rows: one part per partition, so that all of them are there or none."""
    await store.insert("t", rows(1_200_000).select(["n", "name", "day"]))
    assert await ask(store, "SELECT rows FROM system.parts WHERE table = 't' AND level = 0") == [{"rows": 1_200_000}]
    many = pa.concat_tables([rows(1, day=date(2011 + n // 12, 1 + n % 12, 1)) for n in range(150)])
    await store.insert("t", many)
    assert await count(store) == 1_200_150


async def test_a_bad_insert_changes_nothing(store: Analytics) -> None:
    """A wrong column, name or table is refused, and the store goes on."""
    with pytest.raises(QueryError):
        await store.insert("t", pa.table({"nope": [1]}))
    with pytest.raises(QueryError, match="UNKNOWN_TABLE"):
        await store.insert("u", rows(1))
    for name in ("t; DROP TABLE t", "`t`", ""):
        with pytest.raises(UsageError):
            await store.insert(name, rows(1))
    with pytest.raises(UsageError):
        await store.insert("t", pa.table({"n`) SELECT 1 --": [1]}))
    assert await count(store) == 0


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("String", "it's \\ a\ttab\nline\r\0 ü😀 {x:String} \\N", "it's \\ a\ttab\nline\r\0 ü😀 {x:String} \\N"),
        ("String", "", ""),
        ("UInt64", 2**63, 2**63),
        ("Int32", -5, -5),
        ("Float64", 0.5, 0.5),
        ("Bool", True, True),
        ("Nullable(String)", None, None),
        ("Date", date(2026, 2, 28), "2026-02-28"),
        ("DateTime64(3, 'UTC')", datetime(2026, 1, 2, 3, 4, 5, 678000), "2026-01-02 03:04:05.678"),  # noqa: DTZ001
        ("Array(String)", ["a'b", "c\\d", "e\nf\tg", "'], ['", "ü", ""], ["a'b", "c\\d", "e\nf\tg", "'], ['", "ü", ""]),
        ("Array(UInt8)", [1, 2], [1, 2]),
        ("Array(String)", (), []),
    ],
)
async def test_parameters_are_bound_by_the_engine(store: Analytics, kind: str, value: object, wanted: object) -> None:
    """A value is a value, whatever it says."""
    options = "output_format_json_quote_64bit_integers"
    bounds = QueryBounds(extra={options: 0})
    assert await ask(store, f"SELECT {{x:{kind}}} AS x", {"x": value}, bounds=bounds) == [{"x": wanted}]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t (name) VALUES ('x')",
        "INSERT INTO t SELECT * FROM t",
        "SELECT 1; INSERT INTO t (name) VALUES ('x')",
        "SELECT 1) ; INSERT INTO t (name) VALUES ('x'); SELECT (1",
        "DROP TABLE t",
        "TRUNCATE TABLE t",
        "ALTER TABLE t DELETE WHERE 1",
        "CREATE TABLE u (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE u (a Int8)",
        "SET readonly = 0",
        "SET max_execution_time = 1000",
        "SYSTEM SHUTDOWN",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 1000",
        "SELECT 1; SET readonly = 0; INSERT INTO t (name) VALUES ('x')",
        "SELECT * FROM file('{path}/secret', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/a.csv')",
        "SELECT * FROM remote('127.0.0.1:1', 'system.one')",
        "SELECT * FROM executable('id', 'TSV', 'a String')",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    ],
)
async def test_a_query_writes_no_table_and_changes_no_setting(store: Analytics, tmp_path: Path, statement: str) -> None:
    """A bound of the engine, for any text: its session is read-only, with bounds and without; inserts still work.

    What read-only lets through is refused for SQL of tenants in a layer above: tests/api/test_sql_checked.py.
    """
    (tmp_path / "secret").write_text("secret")
    for bounds in (None, QueryBounds(seconds=2)):
        with pytest.raises(QueryError):
            await store.query(statement.replace("{path}", str(tmp_path)), bounds=bounds)
    await store.insert("t", rows(1))
    assert await count(store) == 1


@pytest.mark.parametrize(
    ("statement", "bounds", "name"),
    [
        ("SELECT sleep(3)", QueryBounds(seconds=0.3), "TIMEOUT_EXCEEDED"),
        ("SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 1", QueryBounds(seconds=0.3), "TIMEOUT_EXCEEDED"),
        ("SELECT number FROM numbers(11)", QueryBounds(rows=10), "TOO_MANY_ROWS_OR_BYTES"),
        (
            "SELECT repeat('x', 1000000) FROM numbers(100)",
            QueryBounds(memory=30 << 20),
            "OR_BYTES|MEMORY",
        ),
        ("SELECT groupArray(number) FROM numbers(100000000)", QueryBounds(memory=20 << 20), "MEMORY_LIMIT_EXCEEDED"),
    ],
)
async def test_a_bound_is_held(store: Analytics, statement: str, bounds: QueryBounds, name: str) -> None:
    """Time, rows and memory: the engine stops the query, says which bound it was, and serves the next one."""
    with pytest.raises(QueryError, match=name):
        await store.query(statement, bounds=bounds)
    assert await ask(store, "SELECT number FROM numbers(10)", bounds=QueryBounds(rows=10)) == [
        {"number": n} for n in range(10)
    ]
    assert await ask(store, "SELECT 1 AS x") == [{"x": 1}]


async def test_an_engine_error_is_told_without_its_inside(store: Analytics) -> None:
    """The engine's sentence and its name stay; code, version and trace do not."""
    with pytest.raises(QueryError) as caught:
        await store.query("SELECT nope FROM t")
    text = str(caught.value)
    assert text.startswith("Unknown expression identifier `nope`")
    assert text.endswith("(UNKNOWN_IDENTIFIER)")
    assert not any(noise in text for noise in ("Code:", "DB::Exception", "version", "Stack trace"))
    with pytest.raises(QueryError, match="Syntax error"):
        await store.query("SELEKT 1")


ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number), {mark:String})"
RUNNING = "SELECT count() FROM system.processes WHERE startsWith(query, 'SELECT count() FROM numbers')"


async def test_the_event_loop_stays_free(store: Analytics) -> None:
    """A long query does not hold up the loop."""
    running = asyncio.create_task(store.query("SELECT sleep(1)"))
    order = 0
    while not running.done():
        await asyncio.sleep(0)
        order += 1
    # A loop that is held up turns once or twice.
    assert order > 100
    await running


async def test_questions_and_inserts_run_side_by_side(store: Analytics) -> None:
    """A long query holds up neither the next question nor an insert, and what was inserted is seen at once."""
    bounds = QueryBounds(seconds=300.0, rows=10, memory=1 << 30)
    running = asyncio.create_task(store.query(ENDLESS, {"mark": "m"}, bounds=bounds))
    await wait_until(lambda: asyncio.to_thread(_processes, store, RUNNING), "the long query in the engine")
    await store.insert("t", rows(3))
    assert await count(store) == 3
    assert not running.done()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_questions_side_by_side_keep_what_is_theirs(store: Analytics) -> None:
    """Parameters, bounds and answers of questions that run together, and rows inserted meanwhile, never mix."""

    async def one(number: int) -> None:
        if number % 10 == 0:
            await store.insert("t", rows(3, f"name {number}"))
            assert await ask(store, "SELECT count() AS n FROM t WHERE name = {a:String}", {"a": f"name {number}"}) == [
                {"n": 3}
            ]
        text = f"own {number}"
        row = {"text": text, "number": number, "rows": str(1000 + number)}
        asked = (
            "SELECT {text:String} AS text, {number:UInt32} AS number, toString(getSetting('max_result_rows')) AS rows"
        )
        assert await ask(store, asked, {"text": text, "number": number}, bounds=QueryBounds(rows=1000 + number)) == [
            row
        ]

    await asyncio.gather(*(one(number) for number in range(200)))
    assert await count(store) == 60


async def test_a_second_process_is_told_who_may_hold_the_folder(tmp_path: Path) -> None:
    """The folder has one owner; the other hears a StoreError, and may have it after a close."""
    first = await asyncio.to_thread(ChdbAnalytics, tmp_path / "analytics")
    await first.execute(f"CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a {DURABLE}")
    script = f"""
import asyncio
from pathlib import Path
from dmarcworks.bindings.chdb import ChdbAnalytics
from dmarcworks.errors import StoreError
try:
    analytics = ChdbAnalytics(Path({str(tmp_path / "analytics")!r}))
    print(asyncio.run(analytics.query("SELECT count() FROM t", format="TabSeparated")).decode())
except StoreError as error:
    print(error)
"""

    async def other() -> str:
        done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", script], capture_output=True, text=True)
        return done.stdout

    told = await other()
    assert str(tmp_path / "analytics") in told
    assert "dmarcworks serve" in told
    await first.close()
    await first.close()
    with pytest.raises(StoreError, match="closed"):
        await first.query("SELECT 1")
    assert (await other()).strip() == "0"


async def test_acknowledged_rows_survive_a_kill(tmp_path: Path) -> None:
    """kill -9 right after an insert returned: its rows are there, each batch whole."""
    script = f"""
import asyncio
from pathlib import Path
import pyarrow as pa
from dmarcworks.bindings.chdb import ChdbAnalytics
async def main():
    analytics = ChdbAnalytics(Path({str(tmp_path / "analytics")!r}))
    await analytics.execute("CREATE TABLE t (a UInt32, b UInt32) ENGINE = MergeTree ORDER BY a {DURABLE}")
    for n in range(100000):
        await analytics.insert("t", pa.table({{"a": [n] * 7, "b": range(7)}}))
        print(n, flush=True)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(40)]
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.read().split()
    last = int(acknowledged[-1])
    process.wait()
    store = await asyncio.to_thread(ChdbAnalytics, tmp_path / "analytics")
    counts = await ask(store, "SELECT a, count() AS c FROM t GROUP BY a ORDER BY a", bounds=QueryBounds(rows=100_000))
    assert [int(row["a"]) for row in counts] in ([*range(last + 1)], [*range(last + 2)])
    assert {int(row["c"]) for row in counts} == {7}
    await store.close()


async def test_a_full_disk_is_a_store_error_and_passes(small_disk: Path) -> None:
    """An insert that does not fit is a StoreError and leaves no row; with room again the store works by itself."""
    store = await asyncio.to_thread(ChdbAnalytics, small_disk / "analytics")
    await store.execute(f"CREATE TABLE t (a String) ENGINE = MergeTree ORDER BY a {DURABLE}")
    await store.insert("t", pa.table({"a": ["kept"]}))
    filler = fill(small_disk)
    for _ in range(2):
        with pytest.raises(StoreError, match="analytics"):
            await store.insert("t", pa.table({"a": [str(n) for n in range(1000)]}))
    filler.unlink()
    assert await count(store) == 1
    await store.insert("t", pa.table({"a": [str(n) for n in range(1000)]}))
    assert await count(store) == 1001
    await store.close()


async def test_a_query_whose_caller_is_cancelled_ends_in_the_engine(store: Analytics) -> None:
    """Cancelled while it runs, it is no longer among the engine's statements; more of them than there are threads end
    all, those that have not begun too, and the next query is answered."""
    bounds = QueryBounds(seconds=300.0, rows=10, memory=1 << 30)
    asked = [asyncio.create_task(store.query(ENDLESS, {"mark": "m"}, bounds=bounds)) for _ in range(6)]

    async def all_threads_busy() -> bool:
        return await asyncio.to_thread(_processes, store, RUNNING) == 4

    await wait_until(all_threads_busy, "every thread of the engine busy")
    for task in asked:
        task.cancel()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError] * 6
    assert await asyncio.to_thread(_processes, store, RUNNING) == 0
    assert await ask(store, "SELECT 1 AS one") == [{"one": 1}]


def _processes(store: Analytics, statement: str) -> int:
    """Past the store's own threads, which are all busy."""
    assert isinstance(store, ChdbAnalytics)
    with store._engine._opened() as session:
        return int(session.query(statement, "TabSeparated").bytes())
