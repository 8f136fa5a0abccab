"""`dmarcworks sql "SELECT …"`: run one statement for one account, on the running server or on the store itself.

On a terminal the result is a table; in a pipe it is TabSeparated. `--format`, or FORMAT in the statement, selects a
format. Errors go to standard error, with exit status 1.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import typer

from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli import remote
from dmarcworks.cli.common import command_settings, print_json, print_table, with_stores
from dmarcworks.errors import UsageError
from dmarcworks.settings import Settings

if TYPE_CHECKING:
    from dmarcworks.catalogue.queries import LogLine

TABLE = "JSONCompact"
_BINARY = ("Parquet", "Arrow")


def sql(
    statement: str = typer.Argument("", help="The statement; - reads it from standard input.", show_default=False),
    account: str = typer.Option(
        "default", "--account", help="The account whose rows are queried; '' for data points without one."
    ),
    format: str = typer.Option("", "--format", help="JSON, JSONEachRow, TabSeparated, CSV, Parquet or Arrow."),
    param: list[str] = typer.Option([], "--param", help="The value of a parameter {name:Type}, as name=value."),
    log: bool = typer.Option(False, "--log", help="List recent queries instead, newest first."),
    as_json: bool = typer.Option(False, "--json", help="Same as --format JSON."),
) -> None:
    """Run a SQL query. docs/sql.md lists the tables and functions."""
    if log:
        _print_log(account, as_json)
        return
    text = sys.stdin.read() if statement == "-" else statement
    if not text.strip():
        raise UsageError("write a statement, or - to read it from standard input")
    if as_json and format:
        raise UsageError("--json and --format exclude each other; use one")
    wanted = "JSON" if as_json else format
    terminal = sys.stdout.isatty()
    settings = command_settings()
    server = remote.server(settings)
    values = dict(map(_value, param))
    chosen = wanted or (TABLE if terminal else "TabSeparated")
    if server is not None:
        body, output_format = _query_server(server, text, account, chosen, values)
    else:
        body, output_format = asyncio.run(_query_store(settings, text, account, chosen, values))
    if output_format == TABLE and terminal and not wanted:
        result = json.loads(body)
        print_table([column["name"] for column in result["meta"]], result["data"], "No rows.")
    elif output_format in _BINARY and terminal:
        raise UsageError(
            f"{output_format} cannot be shown on a terminal; redirect it to a file: … > rows.{output_format.lower()}"
        )
    else:
        sys.stdout.buffer.write(body)
        if output_format == "JSON" and not body.endswith(b"\n"):
            sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()


def _value(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise UsageError(f"--param {text!r}: write name=value")
    return name, value


def _query_server(
    server: remote.Server, text: str, account: str, format: str, values: dict[str, str]
) -> tuple[bytes, str]:
    from dmarcworks.api.sql.internal_route import FORMAT_HEADER

    question = {"statement": text, "account": account, "format": format, "values": values}
    answer = server.request("POST", "/internal/sql", json=question)
    return answer.content, answer.headers[FORMAT_HEADER]


async def _query_store(
    settings: Settings, text: str, account: str, format: str, values: dict[str, str]
) -> tuple[bytes, str]:
    # The web and analytics libraries take a second to load, so they are imported only when needed.
    from dmarcworks.analytics.setup import opened_analytics
    from dmarcworks.api.sql.internal_route import SOURCE, WHO, owner
    from dmarcworks.api.sql.service import QueryService, query_bounds
    from dmarcworks.catalogue.stores import opened

    async with opened(settings, create=False) as stores:
        own = await owner(stores.accounts, account)
        async with opened_analytics(settings) as analytics:
            service = QueryService(analytics, query_bounds(settings), stores.queries.note)
            answer = await service.query(text, own, who=WHO, source=SOURCE, values=values, format=format)
    return answer.body, answer.format


def _print_log(account: str, as_json: bool) -> None:
    async def work(stores: Stores, settings: Settings) -> list[LogLine]:
        from dmarcworks.api.sql.internal_route import owner

        return await stores.queries.list(await owner(stores.accounts, account))

    lines = with_stores(work)
    if as_json:
        print_json(lines)
        return
    rows = [(x.started, x.who, x.source, f"{x.ms:.0f}", x.rows, x.error or "ok", x.text) for x in lines]
    print_table(["time", "user", "source", "ms", "rows", "outcome", "statement"], rows, "No queries yet.")
