"""SQL from users in, SQL that we wrote out: the isolation of tenants.

A text is parsed (`reading`), and every node of the tree is rewritten by a method that knows its kind
(`statement_writer`, `expressions`, `calls`); a node, clause, function, type or table without one is refused
(`QueryError`, with the original's text). So the engine never sees a user's text, only ours, and what we did not
think of does not run. Each table becomes `(SELECT … FROM t PREWHERE account_id = '…')`: PREWHERE runs before any other
expression, so that not even an error is raised by another account's row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token

from dmarcworks.analytics.schema import QUERYABLE_TABLES
from dmarcworks.api.sql.expressions import DEPTH
from dmarcworks.api.sql.reading import Words, parsed, syntax_error, tokens_of, unread
from dmarcworks.api.sql.statement import Statement, format_name
from dmarcworks.api.sql.statement_writer import StatementWriter
from dmarcworks.errors import BoundError, DeniedError, QueryError

__all__ = ["TEXT_BYTES", "Statement", "compile_sql"]

TEXT_BYTES = 100_000

_ACCOUNT = re.compile(r"[0-9a-f]{32}")


def compile_sql(text: str, account_id: str, format: str = "JSON", domains: Sequence[str] | None = None) -> Statement:
    """The statement for one account, or for some of its `domains` (ids) only; in `format` unless it names one.

    `QueryError` for what is not allowed, `BoundError` for what is too large.
    """
    if not all(_ACCOUNT.fullmatch(id_) for id_ in (account_id, *(domains or ()))):
        raise DeniedError("not authorized for that account")
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_BYTES:
        raise BoundError(f"the query is longer than {TEXT_BYTES} bytes")
    try:
        tokens = tokens_of(text)
        if tokens[0].text.upper() == "SHOW":
            return _show(tokens, format)
        writer = StatementWriter(account_id, domains, Words(tokens, text))
        return replace(writer.statement(parsed(tokens, text), format), text=text)
    except TokenError as error:
        raise QueryError(f"Input was invalid: {unread(error)}") from None
    except ParseError as error:
        raise QueryError(f"Input was invalid: {syntax_error(error)}") from None
    except RecursionError:
        raise QueryError(f"Input was invalid: expressions are nested deeper than {DEPTH}") from None


def _show(tokens: list[Token], form: str) -> Statement:
    words = " ".join(token.text for token in tokens[1:]).split()
    what, rest = words[0].upper() if words else "", words[1:]
    if len(rest) == 2 and rest[0].upper() == "FORMAT":
        form, rest = rest[1], []
    tables = ", ".join(f"'{name}'" for name in sorted(QUERYABLE_TABLES))
    statements = {
        "TABLES": f"SELECT arrayJoin([{tables}]) AS dataset",
        "TIMEZONES": "SELECT time_zone AS timezone FROM system.time_zones ORDER BY timezone",
        "TIMEZONE": "SELECT 'Etc/UTC' AS timezone",
    }
    if rest or what not in statements:
        raise QueryError(f"Input was invalid: unsupported statement: {' '.join(['SHOW', *words])[:80]}")
    return Statement(statements[what], format_name(form))
