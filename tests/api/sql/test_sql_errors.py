"""What is wrong with a statement is said of the user's text: exact sentences, and nothing of our rewriting in any."""

from __future__ import annotations

import re

import pytest

from dmarcworks.api.sql.allow import Statement
from dmarcworks.api.sql.service import QueryService
from dmarcworks.api.sql_errors import explain
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.errors import QueryError
from tests.support.sql_tenants import Tenants

pytestmark = pytest.mark.asyncio(loop_scope="module")

T = "dmarc_reports"
MISTAKES = [
    # unknown names
    (f"SELECT nosuch FROM {T}", "unable to find type of column: nosuch"),
    (f"SELECT orgname FROM {T}", "unable to find type of column: orgname; did you mean org_name?"),
    (f"SELECT r.nosuch FROM {T} AS r", "unable to find type of column: r.nosuch"),
    (f"SELECT org_name FROM {T} WHERE nosuch = 1", "unable to find type of column: nosuch"),
    (f"SELECT count() FROM {T} GROUP BY nosuch", "unable to find type of column: nosuch"),
    (f"SELECT org_name FROM {T} ORDER BY nosuch", "unable to find type of column: nosuch"),
    (f"SELECT org_name FROM (SELECT count FROM {T})", "unable to find type of column: org_name"),
    (f"WITH x AS (SELECT nosuch FROM {T}) SELECT * FROM x", "unable to find type of column: nosuch"),
    (f"WITH x AS (SELECT count FROM {T}) SELECT nosuch FROM x", "unable to find type of column: nosuch"),
    (f"WITH x AS (SELECT count FROM {T}) SELECT x.nosuch FROM x", "unable to find type of column: x.nosuch"),
    (
        f"SELECT a.org_name FROM {T} AS a JOIN {T} AS b ON a.org_name = b.nosuch",
        "unable to find type of column: b.nosuch",
    ),
    ("SELECT * FROM dmarc_report", "unknown table: dmarc_report; did you mean dmarc_reports?"),
    (f"SELECT nosuchfunction(org_name) FROM {T}", "unsupported function: nosuchfunction"),
    (f"SELECT sume(double8) FROM {T}", "unsupported function: sume; did you mean sum?"),
    # types
    (f"SELECT sum(org_name) FROM {T}", "Illegal type String of argument for aggregate function sum"),
    (f"SELECT org_name + 1 FROM {T}", "Illegal types String and UInt8 of arguments of operator +"),
    (f"SELECT blob1 + double1 FROM {T}", "Illegal types String and Float64 of arguments of operator +"),
    (f"SELECT org_name FROM {T} WHERE org_name LIKE 1", "Illegal type UInt8 of argument of operator LIKE"),
    (f"SELECT org_name FROM {T} WHERE count = 'x'", "Cannot convert string 'x' to type UInt64"),
    (
        f"SELECT org_name FROM {T} WHERE day = 'x'",
        "Cannot parse date: expected a date in the YYYY-MM-DD or YYYYMMDD format",
    ),
    ("SELECT CAST('x' AS UInt8)", "Cannot parse string 'x' as UInt8: syntax error at begin of string"),
    # aggregation
    (
        f"SELECT org_name, count() FROM {T}",
        f"Column '{T}.org_name' is not under aggregate function and not in GROUP BY keys",
    ),
    (f"SELECT sum(count()) FROM {T}", "Aggregate function count() is found inside another aggregate function"),
    (f"SELECT sum(count) FROM {T} WHERE sum(count) > 1", "Aggregate function sum(count) is found in WHERE"),
    (f"SELECT (SELECT org_name FROM {T})", "Scalar subquery returned more than one row"),
    ("SELECT 1 UNION ALL SELECT 1, 2", "Different number of columns in UNION_ALL elements: 1 and 1, 2"),
    # values
    ("SELECT intDiv(1, 0)", "Division by zero"),
    (f"SELECT intDiv(count, 0) FROM {T}", "Division by zero"),
    # syntax, with places in the user's text
    ("SELEC 1", "unsupported statement: SELEC"),
    (f"SELECT FROM {T}", "syntax error at line 1, column 13, near dmarc_reports"),
    (f"SELECT\n  substring(org_name)\nFROM {T}", "syntax error at line 2, column 21, near )"),
    ("SELECT 1 +", "an expression is missing for ADD at line 1, column 10, near +"),
    ("SELECT (1", "Expecting ) at line 1, column 9, near 1"),
    ("SELECT 'abc", "a text, a quoted name or a comment has no end at line 1, column 8: ' is missing"),
    ("SELECT 1; SELECT 2", "send one statement at a time"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "sentence"), MISTAKES)
async def test_a_mistake_is_named_in_the_users_words(tenants: Tenants, statement: str, sentence: str) -> None:
    answer = await tenants.mine.ask(statement)
    assert (answer.status_code, answer.text) == (422, f"Input was invalid: {sentence}\n")


@pytest.mark.parametrize(("statement", "sentence"), MISTAKES)
async def test_over_some_domains_the_sentence_is_the_same(tenants: Tenants, statement: str, sentence: str) -> None:
    """The wall is longer then; it is not shown either."""
    service = QueryService(tenants.analytics, QueryBounds(seconds=2.0, rows=1_000))
    with pytest.raises(QueryError, match=f"^{re.escape('Input was invalid: ' + sentence)}$"):
        await service.query(statement, tenants.mine.account_id, who="x", source="test", domains=["d" * 32, "e" * 32])


async def test_bounds_are_named(tenants: Tenants) -> None:
    """Rows, bytes and seconds."""
    wide = QueryBounds(seconds=2.0, rows=1)
    with pytest.raises(Exception, match=r"^the result has more than 1 rows; add a LIMIT or query fewer days$"):
        await QueryService(tenants.analytics, wide).query(
            f"SELECT 1 FROM {T}", tenants.mine.account_id, who="x", source="test"
        )


LEAKS = [
    "Odd: (SELECT * FROM t PREWHERE account_id = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') AS t. (LOGICAL_ERROR)",
    "Column domain_id IN ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') is odd. (LOGICAL_ERROR)",
    "Value of throwIf(ifNull(abs(toFloat64(sum(x))), 0) > 46) is odd. (LOGICAL_ERROR)",
    "Cannot find aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa in set. (LOGICAL_ERROR)",
]


@pytest.mark.parametrize("text", LEAKS)
async def test_what_nobody_foresaw_shows_nothing_of_ours(text: str) -> None:
    said = explain(text, Statement("", "JSON", text="SELECT 1"), QueryBounds())
    assert said == "Input was invalid: the engine refuses this query (LOGICAL_ERROR)"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Timeout exceeded: elapsed 2.1 seconds. (TIMEOUT_EXCEEDED)", "the query took longer than 10 seconds"),
        ("memory limit exceeded: would use 2 GiB. (MEMORY_LIMIT_EXCEEDED)", "the query needs more than 1024 MiB"),
        (
            "Limit for result exceeded, max bytes: 1.00 GiB, current bytes: 2 GiB. (TOO_MANY_ROWS_OR_BYTES)",
            "the result is larger than 1024 MiB; add a LIMIT or query fewer columns",
        ),
        ("Column __table1.org_name is odd. (BAD_ARGUMENTS)", "Input was invalid: Column org_name is odd"),
        ("Table with_mine is odd: In scope SELECT 1. (BAD_ARGUMENTS)", "Input was invalid: Table mine is odd"),
    ],
)
async def test_the_engines_words_are_put_into_the_users(text: str, sentence: str) -> None:
    assert explain(text, Statement("", "JSON", text="SELECT 1"), QueryBounds()).startswith(sentence)
