"""The SQL page answers for one account, shows strangers' text as text, and keeps queries; its pure parts are exact."""

from __future__ import annotations

import csv
import html
import io
import json
import re

import httpx
import pytest

from dmarcworks.dashboard.sql_result import SHOWN, Result, cell, chart, csv_of, script_json
from tests.support.harness import Harness

pytestmark = pytest.mark.asyncio(loop_scope="package")

EVIL = "<script>alert(1)</script>"


async def form(client: httpx.AsyncClient) -> dict[str, str]:
    """The hidden fields of the editor."""
    page = await client.get("/sql")
    assert page.status_code == 200
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
    assert found
    return {"csrf": found[1]}


async def test_a_statement_is_answered_in_the_page(harness: Harness) -> None:
    async with await harness.logged_in("a@example.com") as client:
        hidden = await form(client)
        text = "SELECT day, dmarc, sum(count) AS messages\r\nFROM dmarc_reports GROUP BY day, dmarc ORDER BY day"
        page = await client.post("/sql", data={**hidden, "text": text})
        assert page.status_code == 200
        direct = await harness.analytics.query(
            "SELECT day, dmarc, sum(count) AS messages FROM dmarc_reports WHERE account_id = {a:String}"
            " GROUP BY day, dmarc ORDER BY day",
            {"a": (await harness.accounts.account_by_name("default")).id},
            format="JSONCompactEachRow",
        )
        rows = [json.loads(line) for line in direct.splitlines()]
        shown = re.findall(
            r"<tr><td class=\"text\">(.*?)</td><td class=\"text\">(.*?)</td><td class=\"num\">(.*?)</td></tr>",
            page.text,
        )
        assert sorted(shown) == sorted((day, result, str(int(count))) for day, result, count in rows)
        assert f">{len(rows)} rows<" in page.text
        drawn = json.loads(re.search(r'id="drawn-data">(.*?)</script>', page.text)[1])  # type: ignore[index]
        assert [one["name"] for one in drawn["series"]] == list(dict.fromkeys(row[1] for row in rows))


async def test_a_neighbours_rows_are_not_there(harness: Harness) -> None:
    async with await harness.logged_in("b@example.org") as client:
        hidden = await form(client)
        page = await client.post("/sql", data={**hidden, "text": "SELECT DISTINCT domain FROM dmarc_reports"})
        assert "other.example" in page.text
        assert ">example.com<" not in page.text
        page = await client.post("/sql", data={**hidden, "text": "SELECT name FROM system.tables"})
        assert page.status_code == 422
        assert "unknown table: system.tables" in page.text


async def test_strangers_text_is_text_everywhere(harness: Harness) -> None:
    async with await harness.logged_in("a@example.com") as client:
        hidden = await form(client)
        text = f"SELECT '{EVIL}' AS `{EVIL}`, 1 AS n UNION ALL SELECT '</textarea>{EVIL}', 2"
        page = await client.post("/sql", data={**hidden, "text": text, "name": EVIL})
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "</textarea>&lt;" not in page.text.replace("</textarea>\n", "")
        wrong = await client.post("/sql", data={**hidden, "text": f"SELECT `{EVIL}` FROM dmarc_reports"})
        assert wrong.status_code == 422
        assert "<script>alert" not in wrong.text
        assert 'role="alert"' in wrong.text


async def test_the_csv_has_every_row_and_no_formula(harness: Harness) -> None:
    async with await harness.logged_in("a@example.com") as client:
        hidden = await form(client)
        statement = "SELECT '=1+1' AS a, -1 AS n, NULL AS x UNION ALL SELECT '\"q\",\nz', 2, NULL FORMAT Arrow"
        answer = await client.post("/sql/csv", data={**hidden, "text": statement})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="result.csv"'
        assert sorted(csv.reader(io.StringIO(answer.text, newline=""))) == sorted(
            [["a", "n", "x"], ["'=1+1", "-1", ""], ['"q",\nz', "2", ""]]
        )
        assert (await client.post("/sql/csv", data={**hidden, "text": "SELECT"})).status_code == 422


async def test_saved_queries_stay_in_the_account(harness: Harness) -> None:
    async with await harness.logged_in("a@example.com") as client, await harness.logged_in("b@example.org") as other:
        hidden = await form(client)
        kept = await client.post("/sql/saved", data={**hidden, "text": "SELECT 41 + 1", "name": f"Mine {EVIL}"})
        assert kept.status_code == 303
        page = await client.get(kept.headers["location"])
        assert "SELECT 41 + 1" in page.text
        assert "Mine &lt;script&gt;" in page.text
        assert (await other.get(kept.headers["location"])).status_code == 404
        assert "Mine" not in (await other.get("/sql")).text
        made = kept.headers["location"].partition("saved=")[2]
        await other.post(f"/sql/saved/{made}/remove", data=await form(other))
        assert "Mine" in (await client.get("/sql")).text
        assert (await client.post(f"/sql/saved/{made}/remove", data=hidden)).status_code == 303
        assert "Mine" not in (await client.get("/sql")).text
        nameless = await client.post("/sql/saved", data={**hidden, "text": "SELECT 1", "name": " "})
        assert (nameless.status_code, "Not saved: give the query a name" in nameless.text) == (400, True)


async def test_what_was_asked_last_is_loaded_by_a_click(harness: Harness) -> None:
    """Newest first, each statement once, refused ones too, as text; another account's are not there."""
    async with await harness.logged_in("a@example.com") as client, await harness.logged_in("b@example.org") as other:
        hidden = await form(client)
        first, evil = "SELECT 4711 AS a", f"SELECT '\"><img src=x onerror=alert(1)></textarea>{EVIL}' AS `{EVIL}`"
        for text in (first, evil, "SELECT nope FROM dmarc_reports", first):
            page = await client.post("/sql", data={**hidden, "text": text})
        lines = re.findall(
            r'href="(/sql\?asked=\d+)" title="(.*?)"><code>(.*?)</code></a>\n<span class="soft">(.*?)</span></li>',
            page.text,
        )
        assert [html.unescape(line[2]) for line in lines[:3]] == [first, "SELECT nope FROM dmarc_reports", evil]
        assert [html.unescape(line[1]) for line in lines[:3]] == [first, "SELECT nope FROM dmarc_reports", evil]
        assert "· a@example.com · 1 row," in lines[0][3]
        assert '<span class="bad">refused' in lines[1][3]
        for raw in ("<script>alert", "<img src=x"):
            assert raw not in page.text
        loaded = await client.get(lines[2][0])
        assert loaded.status_code == 200
        (shown,) = re.findall(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', loaded.text, re.DOTALL)
        assert html.unescape(shown) == evil
        for raw in ("<script>alert", "<img src=x"):
            assert raw not in loaded.text
        assert (await other.get(lines[2][0])).status_code == 404
        assert "4711" not in (await other.get("/sql")).text
        for wrong in ("x", "0", "-1", "9" * 30, "\u0661", "%00"):
            assert (await client.get("/sql", params={"asked": wrong})).status_code == 404
        long = "SELECT '" + "x" * 4100 + "'"
        page = await client.post("/sql", data={**hidden, "text": long})
        cut = await client.get(re.findall(r"/sql\?asked=\d+", page.text)[0])
        assert "Only the first 4,000 characters of this statement were kept." in cut.text
        assert long[:4000] + "</textarea>" in html.unescape(cut.text)


async def test_a_form_without_its_token_runs_nothing(harness: Harness) -> None:
    async with await harness.logged_in("a@example.com") as client:
        for path in ("/sql", "/sql/csv", "/sql/saved", f"/sql/saved/{'0' * 32}/remove"):
            assert (await client.post(path, data={"text": "SELECT 1", "name": "x"})).status_code == 403
    async with harness.client() as nobody:
        assert (await nobody.get("/sql")).headers["location"] == "/login?next=%2Fsql"


def result(*columns: tuple[str, str], rows: list[list[object]]) -> Result:
    body = {"meta": [{"name": name, "type": type} for name, type in columns], "data": rows}
    return Result.of(json.dumps(body).encode())


async def test_what_is_drawn() -> None:
    day, text, number = ("day", "Date"), ("org", "LowCardinality(Nullable(String))"), ("n", "Nullable(UInt64)")
    assert chart(result(text, number, rows=[["b", 2], ["a", 1], ["b", 3]])) == {
        "kind": "bar", "labels": ["b", "a"], "series": [{"name": "n", "values": [5, 1]}],
    }  # fmt: skip
    assert chart(result(number, day, rows=[[2, "2026-01-02"], [1, "2026-01-01"], [None, "2026-01-03"]])) == {
        "kind": "bar", "labels": ["2026-01-01", "2026-01-02", "2026-01-03"],
        "series": [{"name": "n", "values": [1, 2, None]}],
    }  # fmt: skip
    assert chart(result(day, text, number, rows=[["2026-01-01", "x", 1], ["2026-01-02", None, 2]])) == {
        "kind": "bar", "labels": ["2026-01-01", "2026-01-02"],
        "series": [{"name": "x", "values": [1, None]}, {"name": "null", "values": [None, 2]}],
    }  # fmt: skip
    for nothing in (
        result(text, rows=[["a"]] * 3),
        result(number, rows=[[1]] * 3),
        result(text, number, rows=[["a", 1]]),
    ):
        assert chart(nothing) is None
    many = chart(result(day, number, rows=[[f"2026-{m:02}-{d:02}", d] for m in range(1, 13) for d in range(1, 29)]))
    assert many is not None
    assert (many["kind"], len(many["labels"])) == ("line", 336)


async def test_what_is_shown_is_bounded() -> None:
    long = result(("a", "String"), rows=[["x" * 2000]] * 5000)
    assert len(long.shown) == SHOWN
    assert len(cell(long.rows[0][0])) == 501
    assert csv_of(long).count("\r\n") == 5001
    assert script_json({"a": "</script>&"}) == '{"a": "\\u003c/script\\u003e\\u0026"}'
