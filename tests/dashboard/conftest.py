"""The pages over a real catalogue, archive and engine: an account with data, a neighbour, a clock that is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from dmarcworks.analytics import schema
from dmarcworks.analytics.questions.all import Questions
from dmarcworks.analytics.sender_directory import SenderDirectory
from dmarcworks.api.graphql.service import GraphqlService
from dmarcworks.api.sql.service import QueryService
from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.bindings.open import open_analytics, open_database, open_kv, open_objects, open_queue
from dmarcworks.bindings.sqlite_stores import SqliteQueue
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.audit import Audit
from dmarcworks.catalogue.dead_letters import Letters, operates
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.problems import Problems
from dmarcworks.catalogue.queries import SavedQueries
from dmarcworks.catalogue.stores import Stores
from dmarcworks.catalogue.system import System
from dmarcworks.dashboard import pages
from dmarcworks.ingest.retry import ProblemResolver
from tests.support.http_deps import partial_deps
from tests.support.pages import HOST, Clock, House, fill


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    home = tmp_path_factory.mktemp("dashboard")
    database = open_database(f"sqlite:///{home / 'catalogue.db'}")
    await database.migrate()
    objects = open_objects(f"file://{home / 'objects'}")
    analytics = open_analytics(f"chdb://{home / 'analytics'}")
    await schema.migrate(analytics)
    clock = Clock()
    accounts = Accounts(database, open_kv(database), HOST, clock=clock)
    arrivals, problems = Arrivals(database), Problems(database, clock=clock)
    app = FastAPI(openapi_url=None)
    questions = Questions(analytics)
    queue = open_queue(database)
    system = System(database, open_kv(database), objects, ("database", "objects"))
    stores = Stores(database, open_kv(database), queue, objects, accounts, queue, queue, system, 1, clock)
    mailroom = stores.mailroom
    deps = partial_deps(
        accounts=accounts,
        arrivals=arrivals,
        problems=problems,
        problem_actions=ProblemResolver(stores),
        listing=Listing(database),
        questions=questions,
        senders=stores.senders,
        sender_directory=SenderDirectory(questions, stores.senders),
        objects=objects,
        audit=Audit(database, clock=clock),
        sql=QueryService(analytics, QueryBounds(), stores.queries.note),
        graphql=GraphqlService(analytics, database, accounts, sql=QueryBounds(), clock=clock),
        saved_queries=SavedQueries(database, clock=clock),
        query_log=stores.queries,
        routing=mailroom,
        dead_letters=Letters(SqliteQueue(database, clock), SqliteQueue(database, clock), Audit(database, clock=clock)),
        is_operator=partial(operates, accounts, "default"),
        workers=("dmarc", "mine"),
        hostname=HOST,
        public_url="http://127.0.0.1",
        clock=clock,
    )
    pages.install(app, deps)
    made = House(app, clock, accounts, arrivals, problems, objects, analytics, mailroom, stores)
    await fill(made)
    yield made
    await stores.queries.close()
    await analytics.close()
    await objects.close()
    await database.close()


@pytest_asyncio.fixture(loop_scope="package")
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of the account with data."""
    async with await house.logged_in("a@example.com") as browser:
        yield browser
