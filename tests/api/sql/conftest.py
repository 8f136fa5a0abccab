"""The SQL API over a real engine and a real catalogue, with two accounts that must not see each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio

from dmarcworks.analytics import schema
from dmarcworks.api.sql import route
from dmarcworks.api.sql.service import QueryService
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.bindings.open import open_analytics, open_database, open_kv
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.workers.point_writer import PointWriter
from dmarcworks.workers.points import DataPointOwner, DataPoints
from tests.support.http_deps import app_with
from tests.support.sql_tenants import SECRET, Party, Tenants, _report


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenants(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tenants]:
    folder = tmp_path_factory.mktemp("api")
    analytics = await asyncio.to_thread(open_analytics, f"chdb://{folder}/analytics")
    await schema.migrate(analytics)
    database = open_database(f"sqlite:///{folder}/dmarcworks.db")
    await database.migrate()
    accounts = Accounts(database, open_kv(database), "reports.example")
    service = QueryService(analytics, QueryBounds(seconds=2.0, rows=1_000))
    app = app_with(route.routes, sql=service, accounts=accounts)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://reports.example") as client:
        parties = []
        # My org_name is a number and theirs is not, so a function that fails on text tells whether it saw theirs.
        for name, org, count, sender in (
            ("mine", "7", 5, "example.com"),
            ("theirs", SECRET, 1000, SECRET + ".example"),
        ):
            account = await accounts.account_by_name(name, create=True)
            secret, _ = await accounts.create_token(account.id, "read")
            table = schema.rows(
                _report(org, count, sender), account_id=account.id, domain_id="d" * 32, domain=sender,
                received=datetime.now(UTC), report_key=f"k-{org}", object_key=f"o-{org}",
            )  # fmt: skip
            await analytics.insert("dmarc_reports", table)
            points = DataPoints()
            for owner in (DataPointOwner(account.id, "d" * 32), DataPointOwner(account.id, ""), DataPointOwner()):
                whose = "nobody-" + SECRET if owner == DataPointOwner() else org
                points.write(owner, whose, {"indexes": [whose], "blobs": [sender], "doubles": [count]})
            await PointWriter(points, analytics).flush()
            parties.append(Party(account.id, secret, client))
        # Both accounts' rows in one part and one granule: no index keeps them apart.
        await analytics.execute("OPTIMIZE TABLE dmarc_reports FINAL")
        await analytics.execute("OPTIMIZE TABLE data_points FINAL")
        yield Tenants(*parties, client, accounts, analytics)
    await database.close()
    await analytics.close()
