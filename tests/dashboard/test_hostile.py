"""Whatever stands in an address, the answer is a page: never an error of ours, never another account's rows."""

from __future__ import annotations

from urllib.parse import quote

import httpx
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="package")

VALUES = (
    "-1", "0", "99999999999999999999", "1e9", "nan", "nan_x", "inf_x", "1e300_x", "2026-13-99", "0001-01-01",
    "9999-12-31", "' OR 1=1 --", "{account_id:String}", "\\'", "\x00", "a\x00b", "\ud7ff\U0010ffff", "%", "<b>",
    "x" * 5000, "é", "٣",
)  # fmt: skip
PAGES = {
    "/": ("q", "order", "dir", "page"),
    "/reports": ("before", "day"),
    "/problems": ("before", "state", "reason", "queued", "skipped"),
    "/login": ("next",),
    "/domains/example.com": ("days", "until"),
    "/domains/example.com/live": ("seen", "days", "until"),
    "/domains/example.com/sources": ("order", "dir", "result", "day", "page", "days", "until"),
    "/domains/example.com/senders": ("class", "page", "days", "until"),
    "/domains/example.com/senders/block:203.0.113.0": ("page", "days", "until"),
    "/domains/example.com/records": ("source", "day", "page", "until"),
    "/domains/example.com/reports": ("day", "before"),
}


@pytest.mark.parametrize(("path", "names"), PAGES.items())
async def test_any_query_is_answered_with_a_page(client: httpx.AsyncClient, path: str, names: tuple[str, ...]) -> None:
    """No value of a parameter makes a page fail, and none brings somebody else's name onto it."""
    for value in VALUES:
        answer = await client.get(f"{path}?" + "&".join(f"{name}={quote(value, safe='')}" for name in names))
        # A range of days or a time that is none is refused, never taken for another.
        ranged = {"days", "until", "day", "since", "span"} & set(names)
        assert answer.status_code in ((200, 303, 400) if ranged else (200, 303)), (path, value[:20], answer.status_code)
        assert "secret.org" not in answer.text
        assert "other.example" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/domains/{}",
        "/domains/{}/sources",
        "/domains/{}/senders",
        "/domains/example.com/senders/{}",
        "/reports/{}",
        "/reports/{}/raw",
        "/problems/{}/raw",
        "/problems/{}/discard",
    ],
)
async def test_any_name_that_is_not_ours_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    """A part of the path is only ever looked up."""
    for value in VALUES:
        answer = await client.get(path.format(quote(value, safe="")))
        assert answer.status_code == 404, (path, value[:20])
