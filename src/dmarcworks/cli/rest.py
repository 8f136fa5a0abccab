"""A command's queries to the REST API, with its filters: to the running server, otherwise on the stores themselves."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any

import httpx

from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli import remote
from dmarcworks.cli.common import command_settings, with_stores
from dmarcworks.errors import NotFoundError
from dmarcworks.settings import Settings

__all__ = ["MOST", "account_of", "content", "items", "no_reports", "text", "value"]

# Rows of one page.
MOST = 1000
Parameters = Mapping[str, str | int | None]


def account_of(domain: str, account: str) -> tuple[str, str]:
    """The account's id and the domain's: the domain's own account, else the account by its name ("" for no domain)."""

    async def work(stores: Stores, settings: Settings) -> tuple[str, str]:
        if not domain:
            return (await stores.accounts.account_by_name(account)).id, ""
        domain_row = await stores.accounts.domain(None, domain)
        if domain_row is None:
            raise NotFoundError(f"there is no domain {domain}; `dmarcworks domain list` lists the domains")
        return domain_row.account_id, domain_row.id

    return with_stores(work)


def value(path: str, account_id: str, parameters: Parameters) -> Any:
    """What the API returns for a path below /api/v1; its refusal is an error with its text."""
    return _response(path, account_id, parameters).json()


def text(path: str, account_id: str, parameters: Parameters) -> str:
    """What the API returns for a path as text, such as CSV."""
    return _response(path, account_id, parameters).text


def content(path: str, account_id: str, parameters: Parameters) -> bytes:
    """What the API returns for a path as bytes, such as PDF."""
    return _response(path, account_id, parameters).content


def _response(path: str, account_id: str, parameters: Parameters) -> httpx.Response:
    settings = command_settings()
    wanted = {name: value for name, value in parameters.items() if value not in (None, "")}
    server = remote.server(settings)
    if server is not None:
        headers = {"X-Account": account_id}
        return server.request("GET", f"/internal/rest{path}", params=wanted, headers=headers)
    return asyncio.run(_here(settings, path, account_id, wanted))


def items(path: str, account_id: str, parameters: Parameters, limit: int) -> list[dict[str, Any]]:
    """The first `limit` items of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(rows) < limit:
        # Every page has the size of the first: a place in a list is counted in it.
        page = value(path, account_id, {**parameters, "limit": min(limit, MOST), "cursor": cursor})
        rows += page["items"]
        if (cursor := page["next"]) is None:
            break
    return rows[:limit]


def no_reports(domain: str, account_id: str) -> str:
    """What is shown instead of an empty table about a period: when the last report was about, or what to do first."""
    rows = value("/reports", account_id, {"domain": domain, "limit": 1})["items"]
    if not rows:
        return "No report has arrived yet; `dmarcworks domain show` prints the records to publish."
    return f"No reports in this period; the one received last is about {rows[0]['day']}."


async def _here(settings: Settings, path: str, account_id: str, parameters: Mapping[str, Any]) -> httpx.Response:
    # Imported only when no server answers: loading the engine and the web libraries takes seconds.
    from dmarcworks.analytics.setup import opened_analytics
    from dmarcworks.catalogue.stores import opened
    from dmarcworks.wiring.http import http_app

    secret = secrets.token_urlsafe(32)
    async with opened(settings, create=False) as stores, opened_analytics(settings) as analytics:
        app = http_app(settings, stores, analytics, "http://127.0.0.1", secret)
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 1))
        headers = {"Authorization": f"Bearer {secret}", "X-Account": account_id}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            answer = await client.get(f"/internal/rest{path}", params=dict(parameters))
    remote.require_success(answer)
    return answer
