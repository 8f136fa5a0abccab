"""Text of a tenant → tokens and trees, bounded: what sqlglot cannot read, or would read for too long, is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp
from sqlglot.dialects.clickhouse import ClickHouse
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from dmarcworks.errors import BoundError, QueryError

__all__ = ["TenantDialect", "Words", "parsed", "syntax_error", "tokens_of", "unread"]

TOKENS = 20_000
BRACKETS = 32
# The parser reads a word like `tuple` and its bracket as a type first and, when that fails, once more as a call: each
# level of them in one another multiplies its time.
TYPES = 5

_SPAN = "dmarcworks_span"
_OPEN = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSE = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})


class TenantDialect(ClickHouse):
    """ClickHouse's grammar with every function left under the name that it was called by."""

    class Parser(ClickHouse.Parser):  # type: ignore[misc,valid-type]  # set by sqlglot's metaclass
        """No function has a meaning of its own here but CAST, EXTRACT and CASE, which have a syntax of their own."""

        FUNCTIONS: dict[str, Any] = {}  # noqa: RUF012 - sqlglot's own way to configure a parser
        NO_PAREN_FUNCTIONS: dict[Any, Any] = {}  # noqa: RUF012
        FUNCTION_PARSERS = {  # noqa: RUF012
            name: parser for name, parser in ClickHouse.Parser.FUNCTION_PARSERS.items() if name in ("CAST", "EXTRACT")
        }
        NO_PAREN_FUNCTION_PARSERS = {  # noqa: RUF012
            name: parser for name, parser in ClickHouse.Parser.NO_PAREN_FUNCTION_PARSERS.items() if name == "CASE"
        }

        def _parse_projections(self) -> tuple[list[exp.Expr], list[exp.Expr] | None]:
            """The items of a SELECT; each notes which words of the text it was read from."""

            def item() -> exp.Expr | None:
                start = self._index
                node: exp.Expr | None = self._parse_expression()
                if node is not None:
                    node.meta[_SPAN] = (start, self._index)
                return node

            return self._parse_csv(item), None


class Words:
    """A statement's words as they were written."""

    def __init__(self, tokens: Sequence[Token], text: str) -> None:
        self._tokens, self._text = tokens, text

    def of(self, item: exp.Expr) -> str:
        """The text of an item of a SELECT, with one space where there was any, or a comment; empty when unknown."""
        start, end = item.meta.get(_SPAN, (0, 0))
        parts: list[str] = []
        for index in range(start, min(end, len(self._tokens))):
            token = self._tokens[index]
            if parts and token.start > self._tokens[index - 1].end + 1:
                parts.append(" ")
            parts.append(self._text[token.start : token.end + 1])
        return "".join(parts)

    def length(self, item: exp.Expr) -> int:
        """About how many characters that are, without reading them."""
        start, end = item.meta.get(_SPAN, (0, 0))
        return self._tokens[end - 1].end - self._tokens[start].start if 0 <= start < end <= len(self._tokens) else 0


def tokens_of(text: str) -> list[Token]:
    """The words of one statement, without a semicolon at its end."""
    tokens = TenantDialect().tokenize(text)
    _check_tokens(tokens)
    return tokens


def parsed(tokens: list[Token], text: str) -> exp.Expr:
    """The statement's tree."""
    trees = TenantDialect().parser().parse(tokens, text)
    if len(trees) != 1 or trees[0] is None:
        raise QueryError("Input was invalid: send one statement at a time")
    return trees[0]


def _check_tokens(tokens: list[Token]) -> None:
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise QueryError("Input was invalid: the query is empty")
    if len(tokens) > TOKENS:
        raise BoundError(f"the query has more than {TOKENS} words")
    depth = 0
    opened: list[bool] = []
    before = None
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            raise QueryError("Input was invalid: send one statement at a time")
        depth += (token.token_type in _OPEN) - (token.token_type in _CLOSE)
        if depth > BRACKETS:
            raise QueryError(f"Input was invalid: brackets are nested deeper than {BRACKETS}")
        if token.token_type in _OPEN:
            opened.append(before in TenantDialect.Parser.TYPE_TOKENS)
            if opened[-1] and sum(opened) > TYPES:
                raise QueryError(f"Input was invalid: types or calls like tuple() are nested deeper than {TYPES}")
        elif token.token_type in _CLOSE and opened:
            opened.pop()
        before = token.token_type
    if tokens[0].token_type is not TokenType.L_PAREN and tokens[0].text.upper() not in ("SELECT", "WITH", "SHOW"):
        raise QueryError(f"Input was invalid: unsupported statement: {tokens[0].text[:40].upper()}")


_MISSING = re.compile(r"^Required keyword: '(\w+)' missing for <class '[^']*\.(\w+)'>")


def unread(error: TokenError) -> str:
    """What stops the text from being read word by word: quotes or comments without an end."""
    match = re.search(r"Missing (.{1,10}?) from (\d+):(\d+)", str(error.__cause__ or error))
    where = f" at line {match[2]}, column {int(match[3]) + 1}: {match[1]} is missing" if match else ""
    return f"a text, a quoted name or a comment has no end{where}"


def syntax_error(error: ParseError) -> str:
    """Where the text stops being SQL, and what is missing there."""
    first = error.errors[0] if error.errors else {}
    near = str(first.get("highlight") or "")[:60]
    what = str(first.get("description") or "syntax error").partition(" but got <Token")[0]
    if missing := _MISSING.match(what):
        word = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", missing[2]).upper()
        what = f"{'something' if missing[1] == 'this' else 'an expression'} is missing for {word}"
    where = f" at line {first['line']}, column {first['col']}" if first.get("line") else ""
    return f"{what}{where}" + (f", near {near}" if near else "")
