"""An export holds every row of the store once, in each format, block by block, and runs as no spreadsheet's formula."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest

from dmarcworks.analytics import export
from tests.support.harness import Harness
from tests.support.rest import aggregate

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def rows(harness: Harness, path: str) -> dict[str, list[dict[str, Any]]]:
    """The same export in all formats, values as text."""
    answers = {
        form: await harness.request("read", "GET", f"{path}&format={form}") for form in ("csv", "jsonl", "parquet")
    }
    assert {answer.status_code for answer in answers.values()} == {200}
    return {
        "csv": list(csv.DictReader(io.StringIO(answers["csv"].text))),
        "jsonl": [json.loads(line) for line in answers["jsonl"].text.splitlines()],
        "parquet": pq.read_table(io.BytesIO(answers["parquet"].content)).to_pylist(),
    }


async def test_every_row_is_there_once_in_each_format(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of one, three and many rows make the same export; its sums are those of the figures."""
    found = []
    for size in (1, 3, 10_000):
        monkeypatch.setattr(export, "BLOCK", size)
        found.append(await rows(harness, "/exports/records?domain=two.example"))
    assert found[0]["jsonl"] == found[1]["jsonl"] == found[2]["jsonl"]
    assert found[0]["parquet"] == found[1]["parquet"] == found[2]["parquet"]
    assert found[0]["csv"] == found[1]["csv"] == found[2]["csv"]
    whole = found[0]
    assert [len(part) for part in whole.values()] == [6, 6, 6]
    keys = [(row["report_key"], row["record_index"]) for row in whole["jsonl"]]
    assert len(set(keys)) == 6
    for part in whole.values():
        assert sum(int(row["count"]) for row in part) == 12
        assert {row["header_from"] for row in part} == {"two.example"}
        assert "account_id" not in part[0]
    first = whole["jsonl"][0]
    assert (first["day"], first["sp"], first["dkim"][0]["selector"]) == ("2026-11-23", None, "s1")
    assert json.loads(whole["csv"][0]["dkim"])[0]["selector"] == "s1"
    assert whole["csv"][0]["sp"] == ""


async def test_days_and_domains_narrow_it(harness: Harness) -> None:
    """Both ends inclusive; nothing there is an empty export in each format, with its columns."""
    day = datetime.fromtimestamp(1_795_392_000, UTC).date().isoformat()
    assert len((await rows(harness, f"/exports/records?domain=two.example&first={day}&last={day}"))["jsonl"]) == 6
    none = await rows(harness, "/exports/records?domain=two.example&first=2026-11-24")
    assert none == {"csv": [], "jsonl": [], "parquet": []}
    answer = await harness.request("read", "GET", "/exports/tls?format=csv")
    assert answer.text.startswith('"domain_id","domain","day",')
    assert answer.headers["content-disposition"] == 'attachment; filename="dmarcworks-tls.csv"'


async def test_a_formula_stays_text_in_csv(harness: Harness) -> None:
    """What a reporter writes at a cell's start cannot be run; JSON lines and Parquet keep it as it is."""
    await harness.accounts.add_domain("sheet.example", "mine")
    for n, org in enumerate(("=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "plain")):
        data = aggregate("sheet.example", f"s{n}", org=org)
        assert (await harness.upload("write", "sheet.example", data))["state"] == "read"
    found = await rows(harness, "/exports/records?domain=sheet.example")
    names = {row["org_name"] for row in found["csv"]}
    assert names == {"'=cmd|' /C calc'!A0", "'+1", "'-1", "'@SUM(A1)", "plain"}
    assert {row["org_name"] for row in found["parquet"]} == {name.removeprefix("'") for name in names}
