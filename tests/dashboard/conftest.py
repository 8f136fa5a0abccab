"""The pages of a test system: an account with data, a neighbour, a clock that is moved."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, async_playwright

from dmarcworks.api.graphql.service import GraphqlService
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.dashboard import pages
from dmarcworks.dashboard.assets import FOLDER
from dmarcworks.ingest.backpressure import never_full
from dmarcworks.wiring.http import http_deps
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.harness import Clock, Harness, opened_harness
from tests.support.pages import NOW, fill
from tests.support.waiting import wait_until


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harness]:
    clock = Clock(NOW.timestamp())
    async with opened_harness(tmp_path_factory.mktemp("dashboard"), clock=clock) as opened:
        deps = http_deps(opened.settings, opened.stores, opened.analytics, "http://127.0.0.1", never_full, None)
        graphql = GraphqlService(
            opened.analytics, opened.stores.database, opened.accounts, sql=QueryBounds(), clock=clock
        )
        deps = dataclasses.replace(deps, clock=clock, workers=("dmarc", "mine"), graphql=graphql)
        opened.app = FastAPI(openapi_url=None)
        pages.install(opened.app, deps)
        await fill(opened)
        yield opened


@pytest_asyncio.fixture(loop_scope="package")
async def client(harness: Harness) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of the account with data."""
    async with await harness.logged_in("a@example.com") as browser:
        yield browser


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def address(harness: Harness) -> AsyncIterator[str]:
    """The application on a free port."""
    assert (FOLDER / "vendor" / "echarts.min.js").exists(), "run scripts/assets.py first"
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(harness.app, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await wait_until(lambda: server.started, "the server up")
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        await started.close()
