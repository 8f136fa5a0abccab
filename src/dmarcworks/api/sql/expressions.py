"""Expressions of a user's SQL, rewritten node by node (see `allow.py`).

Every kind of node that is allowed in an expression has a method here that writes it from its parts; `only` refuses a
node that carries a part which its method would not write. Names are always quoted, numbers and units match a pattern,
functions and types come out of `functions.py`: nothing is passed through. Calls of functions are in `calls.py`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable

from sqlglot import exp

from dmarcworks.api.sql.calls import INTEGER, Calls
from dmarcworks.api.sql.functions import TYPES, UNITS
from dmarcworks.api.sql.reading import Words
from dmarcworks.api.sql.refusals import only, unsupported
from dmarcworks.errors import QueryError

__all__ = ["DEPTH", "INTEGER", "Expressions"]

DEPTH = 60

_NUMBER = re.compile(r"[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,4})?")
_LONG_NAME = 200
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_BINARY: dict[type[exp.Expr], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">",
    exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.Like: "LIKE", exp.ILike: "ILIKE", exp.DPipe: "||",
}  # fmt: skip


def _string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Expressions(Calls):
    """Writes expressions; a subclass knows how to write the queries inside them."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self.words = words
        self.depth = 0
        self.hidden = ""
        self.parameters: dict[str, None] = {}
        self._writers: dict[type[exp.Expr], Callable[..., str]] = {
            exp.Literal: self._literal, exp.Null: lambda _: "NULL", exp.Boolean: self._boolean,
            exp.Column: self._column, exp.Paren: self._paren, exp.Alias: self._alias, exp.Subquery: self._scalar,
            exp.Neg: self._negative, exp.Not: self._not, exp.Is: self._is, exp.In: self._in,
            exp.Between: self._between, exp.And: self._chain, exp.Or: self._chain, exp.Interval: self._interval,
            exp.Extract: self._extract, exp.Cast: self._cast, exp.Tuple: self._tuple, exp.Array: self._array,
            exp.Bracket: self._element, exp.Dot: self._dot, exp.If: self._if,
            exp.Anonymous: self._function, exp.AnonymousAggFunc: self._function, exp.CombinedAggFunc: self._function,
            exp.ParameterizedAgg: self._parametrised, exp.CombinedParameterizedAgg: self._parametrised,
            exp.Placeholder: self.parameter, exp.Window: self._window,
        }  # fmt: skip

    @abstractmethod
    def nested(self, node: exp.Expr) -> str:
        """A query inside a query, without its parentheses."""

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEPTH:
            raise QueryError(f"Input was invalid: expressions are nested deeper than {DEPTH}")

    def expression(self, node: exp.Expr) -> str:
        writer = self._writers.get(type(node))
        if writer is None:
            operator = _BINARY.get(type(node))
            if operator is None:
                raise unsupported(node)
        self.deeper()
        try:
            if writer is not None:
                return writer(node)
            only(node, "this", "expression", "negate")
            negated = "NOT " if node.args.get("negate") else ""
            return f"({self.expression(node.this)} {negated}{operator} {self.expression(node.expression)})"
        finally:
            self.depth -= 1

    def item(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Star):
            only(node)
            return "*" + self.hidden
        if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
            only(node, "this", "table")
            only(node.this)
            return f"{self.name(node.table)}.*{self.hidden}"
        text = self.expression(node)
        if isinstance(node, exp.Alias | exp.Column):
            return text
        # The column is named after the user's expression, not after our rewriting of it. A name that holds a long query
        # would make the statement grow with every level of nesting.
        if self.words.length(node) > _LONG_NAME and node.find(exp.Query):
            return text
        name = self.words.of(node)
        return f"{text} AS {self.name(name)}" if name else text

    def name(self, name: str) -> str:
        if not name:
            raise QueryError("Input was invalid: an empty name")
        return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"

    def _literal(self, node: exp.Literal) -> str:
        if node.is_string:
            return _string(node.name)
        if not _NUMBER.fullmatch(node.name):
            raise QueryError(f"Input was invalid: {node.name[:60]} is not a number that we know")
        return node.name

    def _boolean(self, node: exp.Boolean) -> str:
        return "true" if node.this else "false"

    def _column(self, node: exp.Column) -> str:
        only(node, "this", "table", "db")
        parts = [node.args.get("db"), node.args.get("table"), node.this]
        if isinstance(node.this, exp.Literal) and node.args.get("table"):
            return self._dot(exp.Dot(this=exp.Column(this=parts[1], table=parts[0]), expression=node.this))
        if not all(part is None or isinstance(part, exp.Identifier) for part in parts):
            raise unsupported(node.this)
        return ".".join(self.name(part.name) for part in parts if part)

    def _paren(self, node: exp.Paren) -> str:
        only(node, "this")
        return f"({self.expression(node.this)})"

    def _alias(self, node: exp.Alias) -> str:
        only(node, "this", "alias")
        return f"{self.expression(node.this)} AS {self.name(node.alias)}"

    def _scalar(self, node: exp.Subquery) -> str:
        only(node, "this")
        return f"({self.nested(node)})"

    def _negative(self, node: exp.Neg) -> str:
        only(node, "this")
        return f"(-{self.expression(node.this)})"

    def _not(self, node: exp.Not) -> str:
        only(node, "this")
        return f"(NOT {self.expression(node.this)})"

    def _is(self, node: exp.Is) -> str:
        only(node, "this", "expression")
        if not isinstance(node.expression, exp.Null):
            raise unsupported(node)
        return f"({self.expression(node.this)} IS NULL)"

    def _in(self, node: exp.In) -> str:
        only(node, "this", "expressions", "query", "field", "negate")
        if node.args.get("negate"):
            return f"(NOT {self._in(exp.In(**{**node.args, 'negate': False}))})"
        needle, query = self.expression(node.this), node.args.get("query")
        field = node.args.get("field")
        if field is not None:
            if not isinstance(field, exp.Placeholder):
                raise unsupported(node, "IN without a list in brackets")
            return f"has({self.parameter(field)}, {needle})"
        if query is not None:
            return f"({needle} IN ({self.nested(query)}))"
        # A name on the right of IN would be a table to the engine; only constants may stand there.
        if all(map(_is_constant, node.expressions)):
            return f"({needle} IN ({self._list(node.expressions)}))"
        return f"has([{self._list(node.expressions)}], {needle})"

    def _between(self, node: exp.Between) -> str:
        only(node, "this", "low", "high")
        value, low, high = (self.expression(node.args[key]) for key in ("this", "low", "high"))
        return f"({value} BETWEEN {low} AND {high})"

    def _chain(self, node: exp.And | exp.Or) -> str:
        only(node, "this", "expression")
        word = " AND " if isinstance(node, exp.And) else " OR "
        return "(" + word.join(self.expression(part) for part in node.flatten(unnest=False)) + ")"

    def _interval(self, node: exp.Interval) -> str:
        only(node, "this", "unit")
        number = node.this.name if isinstance(node.this, exp.Literal) else ""
        unit = node.args["unit"].name.upper() if node.args.get("unit") else ""
        if isinstance(node.this, exp.Placeholder) and unit in UNITS:
            return f"INTERVAL {self.parameter(node.this)} {unit}"
        if not INTEGER.fullmatch(number) or unit not in UNITS:
            raise QueryError("Input was invalid: write an interval like INTERVAL '42' DAY")
        return f"INTERVAL {number} {unit}"

    def _extract(self, node: exp.Extract) -> str:
        only(node, "this", "expression")
        unit = node.this.name.upper()
        if unit not in UNITS:
            raise QueryError(f"Input was invalid: unsupported unit: {unit[:40]}")
        return f"extract({unit} FROM {self.expression(node.expression)})"

    def _cast(self, node: exp.Cast) -> str:
        only(node, "this", "to")
        return f"CAST({self.expression(node.this)} AS {_type(node.args['to'], 'in CAST')})"

    def parameter(self, node: exp.Placeholder) -> str:
        """A parameter `{name:Type}`: its value is sent separately from the statement and bound by the engine."""
        only(node, "this", "kind")
        if not PARAMETER.fullmatch(node.name) or not isinstance(node.args.get("kind"), exp.DataType):
            raise QueryError("Input was invalid: write a parameter like {name:String}, with a type that holds values")
        kind = node.args["kind"]
        inner = kind.expressions[0] if kind.this is exp.DType.ARRAY and len(kind.expressions) == 1 else None
        if isinstance(inner, exp.DataType):
            name = f"Array({_type(inner, 'of a parameter')})"
        else:
            name = _type(kind, "of a parameter")
        self.parameters[node.name] = None
        return f"{{{node.name}:{name}}}"

    def _tuple(self, node: exp.Tuple) -> str:
        only(node, "expressions")
        return f"tuple({self._list(node.expressions)})"

    def _array(self, node: exp.Array) -> str:
        only(node, "expressions")
        return f"[{self._list(node.expressions)}]"

    def _element(self, node: exp.Bracket) -> str:
        only(node, "this", "expressions", "offset")
        index = node.expressions[0] if len(node.expressions) == 1 else None
        sign = -1 if isinstance(index, exp.Neg) else 1
        number = index.this if isinstance(index, exp.Neg) else index
        if not isinstance(number, exp.Literal) or number.is_string or not INTEGER.fullmatch(number.name):
            raise unsupported(node, "INDEX (write a whole number, or arrayElement(array, n))")
        # sqlglot counts from 0, the engine from 1.
        return f"arrayElement({self.expression(node.this)}, {sign * int(number.name) + 1})"

    def _dot(self, node: exp.Dot) -> str:
        only(node, "this", "expression")
        part = node.expression
        if isinstance(part, exp.Literal) and not part.is_string and INTEGER.fullmatch(part.name):
            return f"tupleElement({self.expression(node.this)}, {part.name})"
        if not isinstance(part, exp.Identifier):
            raise unsupported(node)
        return f"tupleElement({self.expression(node.this)}, {_string(part.name)})"

    def _if(self, node: exp.If) -> str:
        only(node, "this", "true", "false")
        if not node.args.get("true") or not node.args.get("false"):
            raise unsupported(node)
        return f"if({self._list([node.this, node.args['true'], node.args['false']])})"


def _type(node: exp.Expr, where: str) -> str:
    name = TYPES.get(getattr(node.this, "name", ""))
    if name is None or node.expressions or node.args.get("nested"):
        known = ", ".join(sorted(set(TYPES.values())))
        raise QueryError(f"Input was invalid: unsupported type {where}; choose one of {known}")
    return f"Nullable({name})" if node.args.get("nullable") else name


def _is_constant(node: exp.Expr) -> bool:
    if isinstance(node, exp.Tuple):
        return all(map(_is_constant, node.expressions))
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal | exp.Boolean | exp.Null | exp.Placeholder)
