"""A command's connection to the running server of its data directory, under /internal/ with the operator's secret.

The embedded analytics store belongs to one process; while a server runs, a command sends requests to it.
Errors have the server's text: `QueryError` for a refused request, `StoreError` when the server does not answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from dmarcworks.catalogue.stores import running_server
from dmarcworks.errors import DmarcworksError, NotFoundError, QueryError, StoreError, UsageError
from dmarcworks.settings import Settings


@dataclass(frozen=True, slots=True)
class Server:
    """The running server: its address and the operator's secret (never printed)."""

    url: str
    secret: str

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request without a time limit; a status of 400 and more is raised with the server's text."""
        try:
            with self._client() as client:
                answer = client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise _unavailable(self.url, error) from None
        require_success(answer)
        return answer

    @contextmanager
    def lines(self, method: str, path: str, **options: Any) -> Iterator[Iterator[dict[str, Any]]]:
        """Send a request and read the response's JSON lines as they arrive (progress of long work)."""
        try:
            with self._client() as client, client.stream(method, path, **options) as answer:
                if answer.status_code >= 400:
                    answer.read()
                require_success(answer)
                yield (json.loads(line) for line in answer.iter_lines() if line)
        except httpx.HTTPError as error:
            raise _unavailable(self.url, error) from None

    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(None, connect=5.0)
        # Ignore the environment's proxy between two processes of one machine.
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.secret}"}, timeout=timeout, trust_env=False
        )


def server(settings: Settings) -> Server | None:
    """The running server of this data directory, or None."""
    running = running_server(settings)
    if running is None or not running.get("secret"):
        return None
    return Server(str(running.get("commands") or running["http"]), str(running["secret"]))


def _unavailable(url: str, error: Exception) -> StoreError:
    return StoreError(f"the running server at {url} does not answer: {error or type(error).__name__}")


def _option(where: str) -> str:
    """The option that a query parameter of the API is on the command line."""
    kind, _, name = where.partition(".")
    return f"--{name.replace('_', '-')}" if kind == "query" and name else where


def require_success(answer: httpx.Response) -> None:
    """Raise the error of a response of 400 and more, with its text."""
    if answer.status_code < 400:
        return
    try:
        body = answer.json()
        text = "; ".join(
            f"{_option(entry['where'])}: {entry['message']}" if "where" in entry else str(entry["message"])
            for entry in body["errors"]
        ) or str(body["detail"])
    except (ValueError, KeyError, TypeError):
        text = answer.text.strip()[:500] or f"the server answered {answer.status_code}"
    kinds: dict[int, type[DmarcworksError]] = {400: UsageError, 404: NotFoundError, 503: StoreError}
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        kinds[422] = UsageError
    raise kinds.get(answer.status_code, QueryError)(text)
