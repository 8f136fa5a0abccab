"""GraphQL and SQL over one real engine and one real catalogue, with two accounts that must not see each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from dmarcworks.analytics import schema
from dmarcworks.api.graphql import router as graphql
from dmarcworks.api.graphql.service import GraphqlService
from dmarcworks.api.sql import route
from dmarcworks.api.sql.service import QueryService
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.bindings.open import open_analytics, open_database, open_kv
from dmarcworks.catalogue.accounts import Accounts
from tests.support.graphs import SECRET, Counted, Party, Place, publish, report
from tests.support.http_deps import app_with


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("graph")
    engine = await asyncio.to_thread(open_analytics, f"chdb://{folder}/analytics")
    await schema.migrate(engine)
    analytics = Counted(engine)
    database = open_database(f"sqlite:///{folder}/dmarcworks.db")
    await database.migrate()
    accounts = Accounts(database, open_kv(database), "reports.example")
    bounds = QueryBounds(seconds=5.0, rows=100_000)
    # hypothesis asks more than a token may; the budget has its own test.
    service = GraphqlService(analytics, database, accounts, sql=bounds, queries=1_000_000)
    app = app_with(route.routes, graphql.routes, sql=QueryService(engine, bounds), graphql=service, accounts=accounts)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://reports.example", timeout=60) as client:
        parties = []
        for name, names in (("mine", ("a.example", "b.example", "c.example")), ("theirs", ("their.example",))):
            domains = {text: await accounts.add_domain(text, name) for text in names}
            account = await accounts.account_by_name(name)
            secret, _ = await accounts.create_token(account.id, "read")
            party = Party(account.id, secret, client, domains)
            for seed in range(12):
                for text in names[:2]:
                    made = report(seed, text, SECRET if name == "theirs" else "")
                    await publish(party, engine, domains[text], made, f"{name}-{text}-{seed}")
            parties.append(party)
        # Both accounts' rows in one part: no index keeps them apart.
        await engine.execute("OPTIMIZE TABLE dmarc_reports FINAL")
        yield Place(*parties, accounts, engine, database, analytics.asked)
    await database.close()
    await engine.close()
