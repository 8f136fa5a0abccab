"""How often one may ask: a token by its rate, an address by its failed tries; never a neighbour by another's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from dmarcworks.api import auth
from dmarcworks.api.limits import Limits
from dmarcworks.bindings.open import open_database, open_kv
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.errors import DmarcworksError


class Clock:
    """Seconds that stand still until told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def limited_app(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Accounts, Clock]]:
    database = open_database(f"sqlite:///{tmp_path}/dmarcworks.db")
    await database.migrate()
    accounts = Accounts(database, open_kv(database), "reports.example")
    app, clock = FastAPI(), Clock()
    app.state.limits = Limits(clock, requests=5, failures=3)

    async def answer(request: Request) -> Response:
        try:
            return JSONResponse({"id": (await auth.token(request, accounts)).id})
        except DmarcworksError as error:
            return auth.refusal(error)

    app.add_route("/", answer)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client, accounts, clock
    await database.close()


async def ask(client: httpx.AsyncClient, secret: str) -> tuple[int, str | None]:
    answer = await client.get("/", headers={"Authorization": f"Bearer {secret}"})
    return answer.status_code, answer.headers.get("retry-after")


async def test_a_token_that_asks_too_often_waits(limited_app: tuple[httpx.AsyncClient, Accounts, Clock]) -> None:
    """The sixth in a minute is 429 with the seconds to wait; then it goes on; another token is not held up."""
    client, accounts, clock = limited_app
    account = await accounts.account_by_name("default", create=True)
    one, _ = await accounts.create_token(account.id)
    two, _ = await accounts.create_token(account.id)
    assert [await ask(client, one) for _ in range(6)] == [(200, None)] * 5 + [(429, "12")]
    assert await ask(client, two) == (200, None)
    clock.now += 12
    assert [await ask(client, one) for _ in range(2)] == [(200, None), (429, "12")]


async def test_an_address_that_guesses_is_refused(limited_app: tuple[httpx.AsyncClient, Accounts, Clock]) -> None:
    """After three unknown tokens even a right one must wait, but not one that was good from there before."""
    client, accounts, clock = limited_app
    account = await accounts.account_by_name("default", create=True)
    known, _ = await accounts.create_token(account.id)
    fresh, token = await accounts.create_token(account.id)
    assert await ask(client, known) == (200, None)
    assert [await ask(client, f"dw_{n}") for n in range(4)] == [(401, None)] * 3 + [(429, "60")]
    assert await ask(client, fresh) == (429, "60")
    assert await ask(client, known) == (200, None)
    clock.now += 60
    assert await ask(client, fresh) == (200, None)
    await accounts.revoke_token(token.id)
    assert await ask(client, fresh) == (401, None)
    assert (await client.get("/")).status_code == 401
