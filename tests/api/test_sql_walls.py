"""A tenant reads no byte of a neighbour, the engine, the disk or the net, whatever it writes; nor does it harm anyone."""

# ruff: noqa: E501 - a statement stands whole on its line

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmarcworks.api.sql_allow import compile_sql
from dmarcworks.errors import DmarcworksError

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "s3cr3t-of-the-neighbour"

REFUSED = [
    # other tables, other databases, the engine's own
    "SELECT * FROM system.tables",
    "SELECT * FROM system.one",
    "SELECT * FROM `system.tables`",
    'SELECT * FROM "system"."query_log"',
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM INFORMATION_SCHEMA.COLUMNS",
    "SELECT * FROM default.dmarc_reports",
    "SELECT * FROM schema_versions",
    "SELECT * FROM a.b.dmarc_reports",
    "SELECT * FROM dmarc_reports, system.tables",
    "SELECT * FROM dmarc_reports JOIN system.tables USING (name)",
    "SELECT * FROM dmarc_reports AS a JOIN schema_versions AS b ON 1 = 1",
    # table functions, also where the engine takes a name or a function for a table
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    "SELECT * FROM remote('127.0.0.1', default.dmarc_reports)",
    "SELECT * FROM s3('http://127.0.0.1/x', 'CSV')",
    "SELECT * FROM executable('id', 'CSV', 'a String')",
    "SELECT * FROM merge('default', '.*')",
    "SELECT * FROM cluster('default', default.dmarc_reports)",
    "SELECT * FROM numbers(1000000000000)",
    "SELECT * FROM view(SELECT 1)",
    "SELECT * FROM Python(x)",
    "SELECT * FROM dictionary('d')",
    "SELECT * FROM mysql('127.0.0.1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('/etc/passwd', 't')",
    "SELECT 1 IN system.one",
    "SELECT 1 IN dmarc_reports",
    "SELECT count() FROM dmarc_reports WHERE account_id IN file('/etc/passwd')",
    "SELECT count() FROM dmarc_reports WHERE account_id IN (numbers(3))",
    # functions that read, wait, tell or grow
    "SELECT file('/etc/passwd')",
    "SELECT sleep(3)",
    "SELECT sleepEachRow(3) FROM dmarc_reports",
    "SELECT hostName()",
    "SELECT version()",
    "SELECT currentDatabase()",
    "SELECT getSetting('max_threads')",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT joinGet('t', 'a', 1)",
    "SELECT throwIf(1)",
    "SELECT repeat('x', 1000000000)",
    "SELECT range(1000000000)",
    "SELECT arrayWithConstant(1000000000, 'x')",
    "SELECT randomString(1000000000)",
    "SELECT match('aaaaaaaaaaaaaaaaaaaaaaaa', '(a+)+$')",
    "SELECT extractAll('a', '(a*)*b')",
    "SELECT addressToLine(1)",
    "SELECT fuzzBits('a', 0.1)",
    "SELECT catboostEvaluate('/etc/passwd', 1)",
    "SELECT `file`('/etc/passwd')",
    "SELECT FILE('/etc/passwd')",
    "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
    "SELECT COLUMNS('.*') FROM dmarc_reports",
    "SELECT * EXCEPT (account_id) FROM dmarc_reports",
    "SELECT * REPLACE (1 AS count) FROM dmarc_reports",
    "SELECT * APPLY(file) FROM dmarc_reports",
    # clauses that change what runs
    "SELECT 1 SETTINGS max_execution_time = 0",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
    "SELECT 1 FORMAT JSON SETTINGS readonly = 0",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 INTO OUTFILE '/tmp/x' FORMAT CSV",
    "SELECT count() FROM dmarc_reports PREWHERE 1 = 1",
    "SELECT count() FROM dmarc_reports FINAL",
    "SELECT count() FROM dmarc_reports SAMPLE 0.1",
    "SELECT x FROM dmarc_reports ARRAY JOIN dkim AS x",
    "SELECT count() FROM dmarc_reports UNION ALL SELECT count() FROM dmarc_reports",
    "SELECT 1 UNION ALL SELECT * FROM system.one",
    "SELECT 1 EXCEPT SELECT 2",
    "SELECT count() FROM dmarc_reports CROSS JOIN dmarc_reports AS b",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT sum(n) FROM t",
    "SELECT row_number() OVER (ORDER BY count) FROM dmarc_reports",
    "SELECT count() FROM dmarc_reports GROUP BY org_name WITH TOTALS",
    "SELECT {account_id:String}",
    "SELECT ?",
    # a WITH name that would be a table of the store outside its reach
    "WITH dmarc_reports AS (SELECT 1) SELECT * FROM dmarc_reports",
    "SELECT * FROM (WITH schema_versions AS (SELECT 1 AS a) SELECT * FROM schema_versions) AS x JOIN schema_versions AS y ON 1 = 1",
    "SELECT * FROM (WITH one AS (SELECT 1 AS a) SELECT * FROM one) AS x JOIN one ON 1 = 1",
    "WITH 'x' AS account_id SELECT count() FROM dmarc_reports",
    "SELECT * FROM (WITH (SELECT 'x') AS account_id SELECT * FROM dmarc_reports) AS a",
    "WITH 1 AS dmarc_reports SELECT count() FROM dmarc_reports",
    # other statements, alone or behind a good one
    "DROP TABLE dmarc_reports",
    "INSERT INTO dmarc_reports SELECT * FROM dmarc_reports",
    "INSERT INTO FUNCTION file('/tmp/x') SELECT 1",
    "ALTER TABLE dmarc_reports DELETE WHERE 1",
    "CREATE TABLE t (a Int8) ENGINE = Memory",
    "ATTACH TABLE t",
    "TRUNCATE TABLE dmarc_reports",
    "SET readonly = 0",
    "USE system",
    "SYSTEM SHUTDOWN",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO x",
    "EXPLAIN SELECT 1",
    "DESCRIBE TABLE dmarc_reports",
    "EXISTS TABLE dmarc_reports",
    "SHOW CREATE TABLE dmarc_reports",
    "SHOW DATABASES",
    "SHOW TABLES FROM system",
    "SHOW PROCESSLIST",
    "SELECT 1; DROP TABLE dmarc_reports",
    "SELECT 1;; SELECT * FROM system.one",
    "SELECT 1 /* ; */ ; SELECT 2",
    "SELECT 1 -- \n; DROP TABLE dmarc_reports",
    "WITH 1 AS a INSERT INTO dmarc_reports SELECT a",
    "(SELECT 1) INTO OUTFILE 'x'",
    "SELECT 1 /* unclosed",
    "SELECT 'unclosed",
    "SELECT -'1) FROM system.one --'",
    "\x00SELECT 1",
]  # fmt: skip

# These run, or are refused; either way they see the asker's two rows and no other.
OWN_ROWS_ONLY = [
    "SELECT * FROM dmarc_reports",
    "SELECT * FROM dmarc_reports WHERE 1 = 1 OR account_id != ''",
    "SELECT * FROM dmarc_reports WHERE account_id = '{theirs}'",
    "SELECT * FROM dmarc_reports WHERE account_id = '{theirs}' OR 1",
    "SELECT * FROM dmarc_reports AS dmarc_reports WHERE NOT account_id = '{mine}'",
    "SELECT groupUniqArray(org_name), groupUniqArray(blob7), max(double8) FROM dmarc_reports",
    "SELECT a.org_name, b.org_name FROM dmarc_reports AS a LEFT JOIN dmarc_reports AS b ON a.record_index = b.record_index",
    "SELECT b.* FROM dmarc_reports AS a FULL JOIN dmarc_reports AS b ON a.org_name != b.org_name",
    "SELECT x.* FROM (SELECT * FROM (SELECT * FROM dmarc_reports) AS y) AS x",
    "WITH q AS (SELECT * FROM dmarc_reports) SELECT * FROM q WHERE account_id = '{theirs}' OR 1 = 1",
    "SELECT (SELECT max(org_name) FROM dmarc_reports) AS o",
    "SELECT 1 WHERE '{theirs}' IN (SELECT account_id FROM dmarc_reports)",
    "SELECT topK(10)(org_name) FROM dmarc_reports",
    "SELECT argMax(org_name, count) AS org, max(count) FROM dmarc_reports",
    "SELECT min(toString(org_name)), max(object_key) FROM dmarc_reports",
    "SELECT arrayJoin(reasons).comment FROM dmarc_reports",
    "SELECT uniqExact(account_id) AS n FROM dmarc_reports HAVING n > 1",
    "SELECT org_name FROM dmarc_reports ORDER BY org_name DESC LIMIT 100 OFFSET 0",
    "SELECT '\\') OR 1=1 --' AS a, org_name FROM dmarc_reports",
    "SELECT org_name AS `a\\` FROM system.one --` FROM dmarc_reports",
    "SELECT org_name FROM dmarc_reports AS `x) OR 1=1 --`",
    "SELECT _part FROM dmarc_reports",
    "SELECT dmarc_reports.account_id FROM dmarc_reports",
    "SELECT 1 AS account_id, org_name FROM dmarc_reports",
    "WITH '{theirs}' AS account_id SELECT org_name FROM dmarc_reports WHERE account_id = '{theirs}'",
    "SELECT '{theirs}' AS account_id, * FROM dmarc_reports WHERE account_id = '{theirs}'",
    # a name that the wall itself uses, given another meaning
    "WITH '{mine}' AS account_id SELECT org_name FROM dmarc_reports",
    "WITH '{mine}' AS account_id SELECT * FROM (SELECT org_name FROM dmarc_reports)",
    "WITH '{mine}' AS account_id, q AS (SELECT org_name FROM dmarc_reports) SELECT * FROM q",
    "WITH (SELECT '{mine}') AS account_id SELECT org_name FROM dmarc_reports",
    "WITH (SELECT '{mine}' AS account_id) AS x SELECT org_name FROM dmarc_reports",
    "SELECT '{mine}' AS account_id, org_name FROM dmarc_reports",
    "SELECT org_name, '{mine}' AS account_id FROM dmarc_reports WHERE 1 GROUP BY org_name, account_id",
    "SELECT (SELECT groupUniqArray(org_name) FROM dmarc_reports) AS o, '{mine}' AS account_id",
    "SELECT '{mine}' AS account_id, 1 IN (SELECT toUInt8(count > 500) FROM dmarc_reports) AS o HAVING o",
    "WITH '{mine}' AS `dmarc_reports.account_id` SELECT org_name FROM dmarc_reports",
    "WITH 1 AS dmarc_reports SELECT org_name FROM dmarc_reports",
    "WITH (SELECT 1) AS dmarc_reports SELECT * FROM dmarc_reports",
    "WITH 'x' AS org_name, 7 AS count SELECT blob2, double8 FROM dmarc_reports",
    "SELECT count() FROM tls_reports AS dmarc_reports",
    "SELECT org_name FROM dmarc_reports GROUP BY org_name",
    "SELECT org_name FROM dmarc_reports FORMAT TabSeparated",
    "SELECT org_name FROM dmarc_reports FORMAT Arrow",
]  # fmt: skip


@pytest.mark.parametrize("attack", REFUSED)
async def test_refused(house: Any, attack: str) -> None:
    answer = await house.mine.ask(attack)
    assert answer.status_code == 422, answer.text[:300]
    assert SECRET not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("attack", OWN_ROWS_ONLY)
async def test_sees_its_own_rows_only(house: Any, attack: str) -> None:
    answer = await house.mine.ask(attack.format(theirs=house.theirs.account_id, mine=house.mine.account_id))
    assert answer.status_code in (200, 422)
    assert SECRET.encode() not in answer.content
    assert b"1000" not in answer.content.replace(b'"rows_before', b"")


async def test_the_same_statement_sees_each_ones_own(house: Any) -> None:
    ask = "SELECT SUM(double8) AS n FROM dmarc_reports"
    assert (await house.mine.ask(ask)).json()["data"] == [{"n": 10}]
    assert (await house.theirs.ask(ask)).json()["data"] == [{"n": 2000}]


async def test_not_even_an_error_comes_from_a_neighbours_row(house: Any) -> None:
    """Every org_name of mine is a number, theirs is not: a conversion that met theirs would fail, and say so."""
    for condition in ("intDiv(1, toInt64(count) - 1000) = 0", "toUInt64(blob2) = 7"):
        statement = f"SELECT count() AS n FROM dmarc_reports WHERE {condition}"
        answer = await house.mine.ask(statement)
        assert (answer.status_code, answer.json()["data"]) == (200, [{"n": 2}]), answer.text
    for condition in ("intDiv(1, toInt64(count) - 1000) = 0", "toUInt64(blob2) = 7"):
        assert (await house.theirs.ask(f"SELECT count() FROM dmarc_reports WHERE {condition}")).status_code == 422


async def test_nothing_of_a_failed_statement_comes_with_the_next_one(house: Any) -> None:
    """The neighbour's statement fails after its first rows are made; my next answer holds none of them."""
    fails = "SELECT org_name, header_from, intDiv(1, record_index - 1) AS x FROM dmarc_reports ORDER BY record_index"
    many = "SELECT a.org_name FROM dmarc_reports AS a " + "".join(
        f"JOIN dmarc_reports AS j{n} ON j{n}.domain = a.domain " for n in range(12)
    )
    for statement in (fails, many, "SELECT nope FROM dmarc_reports"):
        assert (await house.theirs.ask(statement)).status_code == 422
        answer = await house.mine.ask("SELECT 1 AS a FORMAT JSONEachRow")
        assert answer.content == b'{"a":1}\n'


@pytest.mark.parametrize(
    "bomb",
    [
        "SELECT " + "(" * 30_000 + "1" + ")" * 30_000,
        "SELECT " + "[" * 300 + "1" + "]" * 300,
        "SELECT " + "- " * 40_000 + "1",
        "SELECT " + "NOT " * 15_000 + "1",
        "SELECT " + "1 + " * 9_000 + "1",
        "SELECT " + "(SELECT " * 300 + "1" + ")" * 300,
        "SELECT " + "if(1, " * 200 + "1" + ", 1)" * 200,
        "SELECT 1 WHERE 1 IN (" + "1, " * 30_000 + "1)",
        "SELECT " + "9" * 90_000,
        "SELECT 1e999999999999",
        "SELECT a" + ".a" * 20_000,
        "SELECT 1 FROM " + " JOIN ".join(f"dmarc_reports AS t{n} ON 1 = 1" for n in range(100)),
        "SELECT " + ", ".join(["1"] * 30_000),
        "WITH 'aaaaaaaa' AS a0, "
        + ", ".join(f"concat(a{n}, a{n}) AS a{n + 1}" for n in range(40))
        + " SELECT length(a40)",
        "SELECT groupArray(a.report_key) FROM dmarc_reports AS a "
        + " ".join(f"JOIN dmarc_reports AS b{n} ON b{n}.domain = a.domain" for n in range(24)),
    ],
    ids=range(15),
)
async def test_a_bomb_is_refused_soon_and_harms_nobody(house: Any, bomb: str) -> None:
    started = time.perf_counter()
    attack = asyncio.create_task(house.mine.ask(bomb))
    answer = await attack
    assert answer.status_code in (413, 422), answer.text[:200]
    assert time.perf_counter() - started < 8
    neighbour = await house.theirs.ask("SELECT SUM(double8) AS n FROM dmarc_reports")
    assert neighbour.json()["data"] == [{"n": 2000}]


async def test_tokens_open_their_own_account_only(house: Any) -> None:
    statement = "SELECT org_name FROM dmarc_reports"
    theirs, nobody = house.theirs.account_id, "f" * 32
    answers = [
        await house.mine.ask(statement, account_id=account) for account in (theirs, nobody, theirs.upper(), "x'")
    ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert {answer.text for answer in answers} == {'{"errors":[{"message":"not authorized for that account"}]}'}


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer a b", "Bearer \xff", "Bearer " + "x" * 5000],
)
async def test_no_or_a_wrong_token_is_401(house: Any, header: str | None) -> None:
    path = f"/client/v4/accounts/{house.theirs.account_id}/analytics_engine/sql"
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = await house.client.post(path, content="SELECT 1", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="dmarcworks"'
    assert answer.json()["errors"][0]["message"].startswith("Unauthorized")


async def test_a_revoked_token_opens_nothing(house: Any) -> None:
    secret, token = await house.accounts.create_token(house.mine.account_id)
    path = f"/client/v4/accounts/{house.mine.account_id}/analytics_engine/sql"
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await house.client.post(path, content="SELECT 1", headers=headers)).status_code == 200
    await house.accounts.revoke_token(token.id)
    assert (await house.client.post(path, content="SELECT 1", headers=headers)).status_code == 401


WORDS = """SELECT FROM WHERE dmarc_reports tls_reports system.one schema_versions ( ) , * org_name account_id = 'a' 1 IN
AS x WITH JOIN ON USING file('x') count() toString( -- /* */ ; FORMAT CSV SETTINGS a=1 UNION ALL LIMIT ORDER BY GROUP [ ]
. ` \\ ' \" NOT AND OR CASE WHEN THEN END FINAL PREWHERE SAMPLE ARRAY INTO OUTFILE"""
TEXTS = st.lists(st.sampled_from(WORDS.split()), max_size=14).map(lambda parts: "SELECT " + " ".join(parts))
QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`", re.DOTALL)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS | st.text(max_size=60))
async def test_whatever_is_written_each_table_stands_behind_the_wall(text: str) -> None:
    """Random words: the writer refuses, or every table that it names reads one account's rows only."""
    try:
        written = compile_sql(text, "a" * 32).sql
    except DmarcworksError:
        return
    walled = " PREWHERE account_id = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') AS `"
    for table in ("dmarc_reports", "tls_reports", "failure_reports"):
        assert written.count(f" FROM {table} ") == written.count(f" FROM {table}{walled}")
    bare = QUOTED.sub("?", written)
    assert set(re.findall(r"(?:FROM|JOIN) +(\w+)", bare)) <= {"dmarc_reports", "tls_reports", "failure_reports"}
    for outside in (
        "system",
        "schema_versions",
        "OUTFILE",
        "SETTINGS",
        "FORMAT",
        "UNION",
        "/*",
        "--",
        ";",
        "`",
        "'",
        "\\",
    ):
        assert outside not in bare
