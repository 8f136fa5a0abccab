"""Runs GraphQL queries of an account's token or of a person on the dashboard.

A body of query, variables and operationName and an account in, the HTTP response out. The response always has `data`
and `errors`: one is null. `GraphqlService` also makes the response to a request that it never ran.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog
from fastapi import Response

from dmarcworks.api import auth
from dmarcworks.api.graphql import limits
from dmarcworks.api.graphql.execute import GraphqlCaller, GraphqlEngine
from dmarcworks.api.graphql.prepare import GraphqlBounds, prepare
from dmarcworks.api.graphql.refusal import Refusal, envelope
from dmarcworks.api.graphql.stores import GraphqlStores
from dmarcworks.bindings.contracts import Analytics, Database, QueryBounds
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import DmarcworksError
from dmarcworks.process.rate_limit import RateLimiter
from dmarcworks.settings import Settings

__all__ = ["GraphqlService", "decoded", "graphql_service"]

log = structlog.get_logger("dmarcworks.graphql")

CONCURRENT_QUERIES = 4
_RETRY = 5


class Catalogue(auth.Identities, Protocol):
    """What is needed of `catalogue.accounts.Accounts`."""

    async def domains(self, account_id: str | None = None) -> list[Domain]:
        """The account's domains."""


class GraphqlService:
    """Runs the queries of all accounts, each within its budget."""

    def __init__(
        self,
        analytics: Analytics,
        database: Database,
        accounts: Catalogue,
        *,
        sql: QueryBounds,
        bounds: GraphqlBounds | None = None,
        queries: int = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = accounts
        self._stores = GraphqlStores(analytics, database, sql)
        self._bounds, self._clock = bounds or GraphqlBounds(), clock
        self._engine = GraphqlEngine(self._stores, self._bounds, clock)
        self._budget = RateLimiter(queries, limits.WINDOW, clock)
        self._in_progress = limits.QueriesInProgress(CONCURRENT_QUERIES)

    async def query(
        self, body: Mapping[str, Any], account_id: str, *, key: str, domains: Sequence[str] | None = None
    ) -> Response:
        """Answer one request of an account, of these of its domains (ids) when given; `key` has the budget."""
        try:
            data = await self._data(body, account_id, key, domains)
            text = await asyncio.to_thread(_dump, {"data": data, "errors": None})
            return _response(text, 200)
        except Refusal as refusal:
            return self.refused(str(refusal), refusal.path, refusal.status, refusal.wait)
        except DmarcworksError as error:
            return self.failed(error)
        # Whatever the error was, the client gets the envelope and the log gets the trace.
        except Exception:
            log.exception("a query failed")
            return self.refused("unable to execute query, please try again later", (), 500)

    async def _data(
        self, body: Mapping[str, Any], account_id: str, key: str, domains: Sequence[str] | None
    ) -> dict[str, Any]:
        if wait := self._budget.take(key):
            text = "rate limiter budget depleted, try again after 5 minutes"
            raise Refusal(text, status=429, wait=int(wait) + 1)
        query, variables, name = _parts(body)
        self._in_progress.enter(account_id)
        try:
            # Reading a hostile query takes its time: the mails that come in meanwhile do not wait for it.
            prepared = await asyncio.to_thread(prepare, query, variables, name, self._bounds)
            own = {domain.id: domain for domain in await self.accounts.domains(account_id)}
            if domains is not None:
                own = {domain_id: own[domain_id] for domain_id in domains if domain_id in own}
            caller = GraphqlCaller(account_id, own, domains is not None, self._budget.left(key))
            return await self._engine.run(prepared, caller)
        finally:
            if self._in_progress.leave(account_id):
                self._stores.forget(account_id)

    def refused(self, text: str, path: Sequence[str], status: int, wait: int = 0) -> Response:
        """The envelope of an error."""
        response = _response(_dump(envelope(text, path, datetime.fromtimestamp(self._clock(), UTC))), status)
        if wait:
            response.headers["Retry-After"] = str(wait)
        return response

    def failed(self, error: DmarcworksError) -> Response:
        """The envelope of an error that is not of the query: no token, too many requests, an unavailable store."""
        if isinstance(error, auth.NoTokenError):
            response = self.refused("Unauthorized", (), 401)
            response.headers["WWW-Authenticate"] = 'Bearer realm="dmarcworks"'
            return response
        if isinstance(error, auth.TooManyError):
            return self.refused(str(error), (), 429, error.wait)
        status = auth.status_of(error)
        if status >= 500:
            log.warning("query failed: store unavailable", error=str(error))
            return self.refused("unable to execute query, please try again later", (), status, _RETRY)
        return self.refused(str(error), (), status)


def graphql_service(
    settings: Settings, database: Database, accounts: Catalogue, analytics: Analytics, sql: QueryBounds
) -> GraphqlService:
    """The service with the settings' bounds."""
    bounds = GraphqlBounds(settings.graphql_depth, settings.graphql_rows, settings.graphql_cost)
    return GraphqlService(analytics, database, accounts, sql=sql, bounds=bounds, queries=settings.graphql_queries)


def decoded(body: bytes | str) -> Mapping[str, Any]:
    """A JSON object; `Refusal` for anything else, lists of queries too."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal("error parsing body: it is not JSON") from None
    if isinstance(document, list):
        raise Refusal("error parsing body: one query a request, no list of them")
    if not isinstance(document, dict):
        raise Refusal("error parsing body: it is no object with a query")
    return document


def _parts(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], str | None]:
    query, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise Refusal("error parsing body: there is no query")
    if variables is not None and not isinstance(variables, dict):
        raise Refusal("error parsing body: variables is no object")
    if name is not None and not isinstance(name, str):
        raise Refusal("error parsing body: operationName is no text")
    return query, variables or {}, name or None


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _response(body: bytes, status: int) -> Response:
    return Response(body, status, {"Cache-Control": "no-store"}, "application/json")
