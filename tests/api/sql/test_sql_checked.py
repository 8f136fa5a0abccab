"""SQL of tenants, checked by the engine's own reading before it runs: the second line of defence, at every surface."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import pytest_asyncio

from dmarcworks.api.sql import service
from dmarcworks.api.sql.allow import Statement
from dmarcworks.api.sql.checked import CheckedQueries
from dmarcworks.bindings.contracts import Analytics, QueryBounds
from dmarcworks.bindings.open import open_analytics
from dmarcworks.errors import QueryError, StoreError
from tests.support.attacks import SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")

# `{path}` is a folder with a file `secret`.
REFUSED = [
    "INSERT INTO t (name) VALUES ('x')",
    "INSERT INTO t SELECT * FROM t",
    "SELECT 1; INSERT INTO t (name) VALUES ('x')",
    "SELECT 1; SELECT 2",
    "SELECT 1) ; INSERT INTO t (name) VALUES ('x'); SELECT (1",
    "DROP TABLE t",
    "TRUNCATE TABLE t",
    "ALTER TABLE t DELETE WHERE 1",
    "CREATE TABLE u (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE u (a Int8)",
    "SET readonly = 0",
    "SET max_execution_time = 1000",
    "USE system",
    "KILL QUERY WHERE 1",
    "SYSTEM SHUTDOWN",
    "SYSTEM STOP MERGES",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 1000",
    "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 1000)",
    "SELECT 1 INTO OUTFILE '{path}/written'",
    "SELECT 1 /* */ INTO /* x */ OUTFILE '{path}/written' FORMAT CSV",
    "SELECT * FROM file('{path}/secret', 'LineAsString')",
    "SELECT file('{path}/secret')",
    "SELECT `file`('{path}/secret')",
    "WITH file('{path}/secret') AS x SELECT x",
    "SELECT * FROM (SELECT file /* */ ('{path}/secret'))",
    "SELECT * APPLY(file) FROM (SELECT '{path}/secret' AS x)",
    "SELECT arrayMap(file, ['{path}/secret'])",
    "SELECT arrayMap(`file`, ['{path}/secret'])",
    "SELECT 1 AS `'`, arrayMap(file, ['{path}/secret'])",
    "SELECT 1 AS `\\``, '\\'', arrayMap(file, ['{path}/secret']) AS `'`",
    "WITH (x -> file(x)) AS f SELECT f('{path}/secret')",
    "SELECT aiGenerate('x')",
    "SELECT * FROM eval('SELECT 1')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    "SELECT * FROM s3('http://127.0.0.1:1/bucket/a.csv')",
    "SELECT * FROM remote('127.0.0.1:1', 'system.one')",
    "SELECT * FROM executable('id', 'TSV', 'a String')",
    "SELECT * FROM Python(secret)",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM merge('system', '.*')",
    "EXPLAIN SELECT 1",
    "SHOW TABLES",
    "",
    "SELECT 1 FROM",
    "-- nothing",
]
HARMLESS = [
    (
        "SELECT 'it''s INTO OUTFILE file(1) SETTINGS x = 1' AS `fi le(2) INTO OUTFILE`",
        [{"fi le(2) INTO OUTFILE": "it's INTO OUTFILE file(1) SETTINGS x = 1"}],
    ),
    ("SELECT format('{} {}', 'a', 'b') AS x;", [{"x": "a b"}]),
    ("WITH 1 AS x SELECT x UNION ALL (SELECT 2)", [{"x": 1}, {"x": 2}]),
]


class Counted:
    """A store that notes what it was asked."""

    def __init__(self, store: Analytics) -> None:
        self._store = store
        self.asked: list[str] = []

    async def query(self, statement: str, parameters: Any = None, **more: Any) -> bytes:
        self.asked.append(statement)
        return await self._store.query(statement, parameters, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Analytics]:
    opened = await asyncio.to_thread(open_analytics, f"chdb://{tmp_path_factory.mktemp('checked')}/analytics")
    await opened.execute("CREATE TABLE t (name String) ENGINE = MergeTree ORDER BY name")
    yield opened
    await opened.close()


@pytest.mark.parametrize("statement", REFUSED)
async def test_what_is_more_than_one_select_is_refused(store: Analytics, tmp_path: Path, statement: str) -> None:
    """What writes, reaches outside or changes settings is refused, at once and again; the store is as before."""
    (tmp_path / "secret").write_text(SECRET)
    asked = CheckedQueries(store)
    before = await store.query("SELECT count() FROM t", format="TabSeparated")
    for seconds in (300.0, 2.0):
        with pytest.raises(QueryError) as caught:
            await asked.query(
                statement.replace("{path}", str(tmp_path)), format="JSONEachRow", bounds=QueryBounds(seconds=seconds)
            )
        assert SECRET not in str(caught.value)
    assert not (tmp_path / "written").exists()
    await store.insert("t", pa.table({"name": ["a"]}))
    after = await store.query("SELECT count() FROM t", format="TabSeparated")
    assert int(after) == int(before) + 1


@pytest.mark.parametrize(("statement", "wanted"), HARMLESS)
async def test_words_inside_literals_are_no_clauses(
    store: Analytics, statement: str, wanted: list[dict[str, Any]]
) -> None:
    """What a text or a name says is refused nowhere. The rows of a UNION come in any order."""
    answer = await CheckedQueries(store).query(statement, format="JSONEachRow", bounds=QueryBounds())
    assert sorted((json.loads(line) for line in answer.splitlines()), key=str) == wanted


async def test_a_statement_that_passed_is_not_checked_again(store: Analytics) -> None:
    """The same text costs one query the second time; another text is checked, a refused one each time."""
    counted = Counted(store)
    asked = CheckedQueries(counted)
    for _ in range(2):
        await asked.query("SELECT {x:String}", {"x": "file"}, format="TabSeparated", bounds=QueryBounds())
    check = "SELECT formatQuerySingleLine({q:String})"
    assert counted.asked[-3:] == [check, "SELECT {x:String}", "SELECT {x:String}"]
    counted.asked.clear()
    for _ in range(2):
        with pytest.raises(QueryError):
            await asked.query("SELECT file('x')", format="TabSeparated", bounds=QueryBounds())
    assert counted.asked == [check, check]


async def test_only_so_many_are_remembered(store: Analytics) -> None:
    """Neither many statements nor a large one fill the memory."""
    asked = CheckedQueries(store)
    for number in range(520):
        await asked.query(f"SELECT {number}", format="TabSeparated", bounds=QueryBounds())
    assert len(asked._passed) == 8
    await asked.query(f"SELECT '{'x' * 20_000}'", format="TabSeparated", bounds=QueryBounds())
    assert len(asked._passed) == 8


async def test_without_the_engines_lists_nothing_runs(store: Analytics) -> None:
    """A store that does not list its functions answers no SQL of tenants, rather than any."""

    class Silent(Counted):
        async def query(self, statement: str, parameters: Any = None, **more: Any) -> bytes:
            answer = await super().query(statement, parameters, **more)
            return b"" if "system." in statement else answer

    with pytest.raises(StoreError, match="does not list its functions"):
        await CheckedQueries(Silent(store)).query("SELECT 1", format="TabSeparated", bounds=QueryBounds())


async def test_text_that_is_not_utf_8_is_refused(store: Analytics) -> None:
    with pytest.raises(QueryError, match="the statement is not UTF-8 text"):
        await CheckedQueries(store).query("SELECT '\ud800'", format="TabSeparated", bounds=QueryBounds())


@pytest.mark.parametrize(
    "attack",
    ["SELECT file('{path}')", "SELECT 1 INTO OUTFILE '{path}.new'", "SYSTEM STOP MERGES", "SELECT 1; SELECT 2"],
)
async def test_the_query_service_holds_where_the_first_line_of_defence_fails(
    store: Analytics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    """The SQL API, the dashboard's page and `dmarcworks sql` ask here: a text that was let through is refused."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    monkeypatch.setattr(service, "compile_sql", lambda text, *_: Statement(text, "JSON", text=text))
    statements = service.QueryService(store, QueryBounds())
    with pytest.raises(QueryError) as caught:
        await statements.query(attack.replace("{path}", str(secret)), "a" * 32, who="x", source="api")
    assert SECRET not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert (await statements.query("SELECT 1 AS x FORMAT JSON", "a" * 32, who="x", source="api")).rows == 1
