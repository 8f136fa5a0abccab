"""A tenant reads no byte of a neighbour, the engine, the disk or the net, whatever it writes; nor does it harm anyone."""

# ruff: noqa: E501 - a statement stands whole on its line

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dmarcworks.api.sql.allow import compile_sql
from dmarcworks.errors import DmarcworksError
from tests.support.attacks import BOMBS, OWN_ROWS_ONLY, REFUSED, SECRET

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("attack", REFUSED)
async def test_refused(tenants: Any, attack: str) -> None:
    answer = await tenants.mine.ask(attack)
    assert answer.status_code == 422, answer.text[:300]
    assert SECRET not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("attack", OWN_ROWS_ONLY)
async def test_sees_its_own_rows_only(tenants: Any, attack: str) -> None:
    answer = await tenants.mine.ask(attack.format(theirs=tenants.theirs.account_id, mine=tenants.mine.account_id))
    assert answer.status_code in (200, 422)
    assert SECRET.encode() not in answer.content
    assert b"1000" not in answer.content.replace(b'"rows_before', b"")


async def test_the_same_statement_sees_each_ones_own(tenants: Any) -> None:
    ask = "SELECT SUM(double8) AS n FROM dmarc_reports"
    assert (await tenants.mine.ask(ask)).json()["data"] == [{"n": 10}]
    assert (await tenants.theirs.ask(ask)).json()["data"] == [{"n": 2000}]


async def test_not_even_an_error_comes_from_a_neighbours_row(tenants: Any) -> None:
    """Every org_name of mine is a number, theirs is not: a conversion that met theirs would fail, and say so."""
    for condition in ("intDiv(1, toInt64(count) - 1000) = 0", "toUInt64(blob2) = 7"):
        statement = f"SELECT count() AS n FROM dmarc_reports WHERE {condition}"
        answer = await tenants.mine.ask(statement)
        assert (answer.status_code, answer.json()["data"]) == (200, [{"n": 2}]), answer.text
    for condition in ("intDiv(1, toInt64(count) - 1000) = 0", "toUInt64(blob2) = 7"):
        assert (await tenants.theirs.ask(f"SELECT count() FROM dmarc_reports WHERE {condition}")).status_code == 422


async def test_nothing_of_a_failed_statement_comes_with_the_next_one(tenants: Any) -> None:
    """The neighbour's statement fails after its first rows are made; my next answer holds none of them."""
    fails = "SELECT org_name, header_from, intDiv(1, record_index - 1) AS x FROM dmarc_reports ORDER BY record_index"
    many = "SELECT a.org_name FROM dmarc_reports AS a " + "".join(
        f"JOIN dmarc_reports AS j{n} ON j{n}.domain = a.domain " for n in range(12)
    )
    for statement in (fails, many, "SELECT nope FROM dmarc_reports"):
        assert (await tenants.theirs.ask(statement)).status_code == 422
        answer = await tenants.mine.ask("SELECT 1 AS a FORMAT JSONEachRow")
        assert answer.content == b'{"a":1}\n'


@pytest.mark.parametrize("bomb", BOMBS, ids=range(len(BOMBS)))
async def test_a_bomb_is_refused_soon_and_harms_nobody(tenants: Any, bomb: str) -> None:
    # Without its bounds it would run for ever: this is how long the test waits for it.
    async with asyncio.timeout(60):
        answer = await tenants.mine.ask(bomb)
    assert answer.status_code in (413, 422), answer.text[:200]
    neighbour = await tenants.theirs.ask("SELECT SUM(double8) AS n FROM dmarc_reports")
    assert neighbour.json()["data"] == [{"n": 2000}]


async def test_tokens_open_their_own_account_only(tenants: Any) -> None:
    statement = "SELECT org_name FROM dmarc_reports"
    theirs, nobody = tenants.theirs.account_id, "f" * 32
    answers = [
        await tenants.mine.ask(statement, account_id=account) for account in (theirs, nobody, theirs.upper(), "x'")
    ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert {answer.text for answer in answers} == {
        '{"success":false,"errors":[{"code":10000,"message":"not authorized for that account"}],"messages":[],"result":null}'
    }


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YTpi", "Bearer a b", "Bearer \xff", "Bearer " + "x" * 5000],
)
async def test_no_or_a_wrong_token_is_401(tenants: Any, header: str | None) -> None:
    path = f"/client/v4/accounts/{tenants.theirs.account_id}/analytics_engine/sql"
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = await tenants.client.post(path, content="SELECT 1", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="dmarcworks"'
    assert answer.json()["errors"][0]["message"].startswith("Unauthorized")


async def test_a_revoked_token_opens_nothing(tenants: Any) -> None:
    secret, token = await tenants.accounts.create_token(tenants.mine.account_id)
    path = f"/client/v4/accounts/{tenants.mine.account_id}/analytics_engine/sql"
    headers = {"Authorization": f"Bearer {secret}"}
    assert (await tenants.client.post(path, content="SELECT 1", headers=headers)).status_code == 200
    await tenants.accounts.revoke_token(token.id)
    assert (await tenants.client.post(path, content="SELECT 1", headers=headers)).status_code == 401


WORDS = """SELECT FROM WHERE dmarc_reports tls_reports data_points system.one schema_versions ( ) , * org_name account_id = 'a' 1 IN
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
    tables = {"dmarc_reports", "tls_reports", "failure_reports", "data_points"}
    for table in tables:
        assert written.count(f" FROM {table} ") == written.count(f" FROM {table}{walled}")
    bare = QUOTED.sub("?", written)
    assert set(re.findall(r"(?:FROM|JOIN) +(\w+)", bare)) <= tables
    for outside in (
        "system",
        "schema_versions",
        "OUTFILE",
        "SETTINGS",
        "FORMAT",
        "/*",
        "--",
        ";",
        "`",
        "'",
        "\\",
    ):
        assert outside not in bare


COLUMNS = ["org_name", "header_from", "account_id", "domain", "object_key", "report_key", "toString(count)", "blob2"]
POINTS = ["*", "count()", "dataset", "index1", "blob1", "account_id", "toString(double1)"]
ALIASES = ["a", "b", "org_name", "domain", "blob2", "dmarc_reports", "account_id"]
CONDITIONS = [
    "1",
    "account_id != ''",
    "NOT account_id = '{mine}'",
    "account_id = '{theirs}'",
    "count > 7",
    "1 OR org_name = ''",
]


@st.composite
def selects(draw: st.DrawFn, depth: int = 2, named: bool = False) -> str:
    """A SELECT of one column, in the language that is allowed, with names that try to mean something else."""
    column, alias, prefix = draw(st.sampled_from(COLUMNS)), draw(st.sampled_from(ALIASES)), ""
    with_ = ""
    if depth and draw(st.integers(0, 2)) == 0:
        with_, named = (
            f"WITH q AS ({draw(selects(depth - 1, named))}), '{{mine}}' AS {draw(st.sampled_from(ALIASES[:5]))} ",
            True,
        )
    kind = draw(st.integers(0, 6))
    if kind == 0 and named:
        source, column = "q", draw(st.sampled_from(["*", "count()"]))
    elif kind == 1 and depth:
        source, column = f"({draw(queries(depth - 1, named))})", "*"
    elif kind == 2 and not column.startswith("toString"):
        source, prefix = (
            "dmarc_reports AS x {} dmarc_reports AS y ON x.domain = y.domain",
            draw(st.sampled_from(["x.", "y."])),
        )
        source = source.format(draw(st.sampled_from(["JOIN", "LEFT JOIN", "FULL JOIN", "LEFT ANTI JOIN"])))
    elif kind == 6:
        source, column = "data_points", draw(st.sampled_from(POINTS))
    else:
        source = "dmarc_reports"
    item, tail = f"{prefix}{column}", draw(st.sampled_from(["", "", " ORDER BY 1", " LIMIT 5"]))
    if column not in ("*", "count()"):
        item = draw(
            st.sampled_from(
                [
                    "{c}",
                    "{c} AS {a}",
                    "groupUniqArray({c})",
                    "max({c}) AS {a}",
                    "any({c}) OVER () AS {a}",
                    "topK(3)({c})",
                ]
            )
        ).format(c=item, a=alias)
        if depth and draw(st.integers(0, 4)) == 0:
            item = f"(SELECT groupArray(toString(tuple(*))) FROM ({draw(selects(depth - 1, named))})) AS {alias}"
    where = ""
    if "x." not in source and source not in ("q",) and not source.startswith("(") and draw(st.booleans()):
        where = f" WHERE {draw(st.sampled_from(CONDITIONS))}"
        if depth and draw(st.integers(0, 3)) == 0:
            where += (
                f" AND (1 OR toString(domain) IN (SELECT toString(tuple(*)) FROM ({draw(selects(depth - 1, named))})))"
            )
    return f"{with_}SELECT {item} FROM {source}{where}{tail}"


@st.composite
def queries(draw: st.DrawFn, depth: int = 2, named: bool = False) -> str:
    """One SELECT or several under UNION."""
    parts = [draw(selects(depth, named)) for _ in range(draw(st.sampled_from([1, 1, 1, 2])))]
    return draw(st.sampled_from([" UNION ALL ", " UNION DISTINCT "])).join(parts)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(queries())
async def test_whatever_runs_answers_with_its_own_rows_only(tenants: Any, statement: str) -> None:
    """Random statements of the allowed language, run: no byte of the neighbour's rows is in any answer."""
    written = statement.replace("{mine}", tenants.mine.account_id).replace("{theirs}", tenants.theirs.account_id)
    answer = await tenants.mine.ask(written)
    assert answer.status_code in (200, 413, 422), answer.text
    assert SECRET not in answer.text
    RAN[answer.status_code] += 1


RAN: Counter[int] = Counter()


async def test_enough_of_the_random_statements_ran() -> None:
    """A grammar whose sentences are all refused would prove nothing."""
    if sum(RAN.values()) < 100:
        pytest.skip("the random statements did not run in this session")
    assert RAN[200] > sum(RAN.values()) // 5, RAN
