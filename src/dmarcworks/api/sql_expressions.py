"""Expressions of a stranger's SQL, written anew node by node (see `sql_allow.py`).

Every kind of node that may stand in an expression has a method here that writes it from its parts; `only` refuses a
node that carries a part which its method would not write. Names are always quoted, numbers and units match a pattern,
functions and types come out of `sql_functions.py`: nothing is passed through.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from sqlglot import exp

from dmarcworks.analytics.schema import TABLES
from dmarcworks.api.sql_functions import ANY_CASE, FUNCTIONS, NAMES, RENAMED, TYPES, UNITS
from dmarcworks.errors import QueryError

DEPTH = 60

_NUMBER = re.compile(r"[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,4})?")
INTEGER = re.compile(r"[0-9]{1,18}")
_BINARY: dict[type[exp.Expr], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">",
    exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.Like: "LIKE", exp.ILike: "ILIKE", exp.DPipe: "||",
}  # fmt: skip
# Arguments of nodes that change how a text looks, not what it means.
_HARMLESS = frozenset({"safe", "typed", "value_constructor", "nulls_first", "desc"})
_ARRAYS = frozenset(
    column.name for table in TABLES.values() for column in table.columns if column.type.startswith("Array")
)


def suggest(name: str, names: Iterable[str]) -> str:
    """What to add to an error about an unknown name: the near one, or nothing."""
    known = sorted(set(names), key=str.lower)
    same = [near for near in known if near.lower() == name.lower()]
    near = same[:1] or difflib.get_close_matches(name[:100], known, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def unsupported(node: object, what: str = "") -> QueryError:
    """The refusal of a node that has no writer, in the original's words."""
    if not what:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()
        what = "CASE WHEN ..." if isinstance(node, exp.Case) else name
    return QueryError(f"Input was invalid: unsupported expression type: {what}")


def only(node: exp.Expr, *keys: str) -> None:
    """Refuse a node that carries anything besides the arguments that its writer writes."""
    for key, value in node.args.items():
        absent = value is None or value is False or (isinstance(value, list | str) and not value)
        if not absent and key not in keys and key not in _HARMLESS:
            raise unsupported(node, f"{type(node).__name__.upper()} with {key.strip('_').upper()}")


def _string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Expressions:
    """Writes expressions; a subclass knows how to write the queries that stand in them."""

    def __init__(self) -> None:
        self.depth = 0
        self.hidden = ""
        self._writers: dict[type[exp.Expr], Callable[..., str]] = {
            exp.Literal: self._literal, exp.Null: lambda _: "NULL", exp.Boolean: self._boolean,
            exp.Column: self._column, exp.Paren: self._paren, exp.Alias: self._alias, exp.Subquery: self._scalar,
            exp.Neg: self._negative, exp.Not: self._not, exp.Is: self._is, exp.In: self._in,
            exp.Between: self._between, exp.And: self._chain, exp.Or: self._chain, exp.Interval: self._interval,
            exp.Extract: self._extract, exp.Cast: self._cast, exp.Tuple: self._tuple, exp.Array: self._array,
            exp.Bracket: self._element, exp.Dot: self._dot, exp.If: self._if,
            exp.Anonymous: self._function, exp.AnonymousAggFunc: self._function, exp.CombinedAggFunc: self._function,
            exp.ParameterizedAgg: self._parametrised, exp.CombinedParameterizedAgg: self._parametrised,
        }  # fmt: skip

    def nested(self, node: exp.Expr) -> str:
        """A query inside a query, without its parentheses."""
        raise NotImplementedError

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
            only(node, "this", "expression")
            return f"({self.expression(node.this)} {operator} {self.expression(node.expression)})"
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
        return self.expression(node)

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
        only(node, "this", "expressions", "query")
        needle, query = self.expression(node.this), node.args.get("query")
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
        kind = node.args["to"]
        name = TYPES.get(getattr(kind.this, "name", ""))
        if name is None or kind.expressions or kind.args.get("nested"):
            raise QueryError("Input was invalid: unsupported type in CAST")
        return f"CAST({self.expression(node.this)} AS {f'Nullable({name})' if kind.args.get('nullable') else name})"

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
        if not isinstance(node.expression, exp.Identifier):
            raise unsupported(node)
        return f"tupleElement({self.expression(node.this)}, {_string(node.expression.name)})"

    def _if(self, node: exp.If) -> str:
        only(node, "this", "true", "false")
        if not node.args.get("true") or not node.args.get("false"):
            raise unsupported(node)
        return f"if({self._list([node.this, node.args['true'], node.args['false']])})"

    def _list(self, nodes: list[exp.Expr]) -> str:
        return ", ".join(map(self.expression, nodes))

    def _function(self, node: exp.Expr) -> str:
        only(node, "this", "expressions")
        name, arguments = self._function_name(node), list(node.expressions)
        if name.lower() == "position" and len(arguments) == 1 and isinstance(arguments[0], exp.In):
            only(arguments[0], "this", "field")
            field = arguments[0].args.get("field")
            if field is not None:
                return f"{name}({self.expression(field)}, {self.expression(arguments[0].this)})"
        if name.lower() == "length" and not _is_array(arguments):
            name = "lengthUTF8"
        if name == "quantileWeighted" and len(arguments) == 3:
            return f"quantileExactWeighted({self.expression(arguments[0])})({self._list(arguments[1:])})"
        if name == "toStartOfWeek":
            arguments.insert(1, exp.Literal.number(1))
        distinct = ""
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            only(arguments[0], "expressions")
            distinct, arguments = "DISTINCT ", arguments[0].expressions
        if len(arguments) == 1 and isinstance(arguments[0], exp.Star) and name.lower() == "count":
            only(arguments[0])
            return f"{name}()"
        return f"{RENAMED.get(name, name)}({distinct}{self._list(arguments)})"

    def _parametrised(self, node: exp.Expr) -> str:
        only(node, "this", "expressions", "params")
        name = self._function_name(node)
        return f"{name}({self._list(node.expressions)})({self._list(node.args['params'])})"

    def _function_name(self, node: exp.Expr) -> str:
        name = node.this
        if not isinstance(name, str):
            raise unsupported(node)
        known = name if name.lower() in ANY_CASE else FUNCTIONS.get(name.lower())
        if known is None:
            raise QueryError(f"Input was invalid: unsupported function: {name[:100]}{suggest(name, NAMES)}")
        return known


def _is_constant(node: exp.Expr) -> bool:
    if isinstance(node, exp.Tuple):
        return all(map(_is_constant, node.expressions))
    return isinstance(node.this if isinstance(node, exp.Neg) else node, exp.Literal | exp.Boolean | exp.Null)


def _is_array(arguments: list[exp.Expr]) -> bool:
    """Whether `length` counts elements instead of letters."""
    first = arguments[0] if arguments else None
    if isinstance(first, exp.Column):
        return first.name in _ARRAYS
    name = str(first.this).lower() if isinstance(first, exp.Func) else ""
    return isinstance(first, exp.Array) or name.startswith(("array", "group", "split", "topk"))
