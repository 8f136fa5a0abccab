"""Expressions of a stranger's SQL, written anew node by node (see `sql_allow.py`).

Every kind of node that may stand in an expression has a method here that writes it from its parts; `only` refuses a
node that carries a part which its method would not write. Names are always quoted, numbers and units match a pattern,
functions and types come out of `sql_functions.py`: nothing is passed through.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from sqlglot import exp

from dmarcworks.analytics.schema import ASKED
from dmarcworks.api.sql import sums
from dmarcworks.api.sql.functions import ANY_CASE, FUNCTIONS, NAMES, RENAMED, TYPES, UNITS
from dmarcworks.api.sql.refusals import only, suggest, unsupported
from dmarcworks.errors import QueryError

DEPTH = 60

_NUMBER = re.compile(r"[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,4})?")
_QUOTED = re.compile(r"`(\w+)`")
INTEGER = re.compile(r"[0-9]{1,18}")
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_BINARY: dict[type[exp.Expr], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">",
    exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.Like: "LIKE", exp.ILike: "ILIKE", exp.DPipe: "||",
}  # fmt: skip
_CALLS = (
    exp.Anonymous, exp.AnonymousAggFunc, exp.CombinedAggFunc, exp.ParameterizedAgg, exp.CombinedParameterizedAgg,
)  # fmt: skip
_ARRAYS = frozenset(
    column.name for table in ASKED.values() for column in table.columns if column.type.startswith("Array")
)


def _string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Expressions(ABC):
    """Writes expressions; a subclass knows how to write the queries that stand in them."""

    def __init__(self) -> None:
        self.depth = 0
        self.hidden = ""
        self.parameters: dict[str, None] = {}
        self._sums = self._nested_sums = 0
        self._plain = False
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
        before = self._sums
        text = self.expression(node)
        if self._sums == before or isinstance(node, exp.Alias) or node.find(exp.Query):
            return text
        # The column is named after what was asked, not after how it is checked.
        self._plain = True
        try:
            name = _QUOTED.sub(r"\1", self.expression(node))
            return f"{text} AS {self.name(name)}"
        finally:
            self._plain = False

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
        """A parameter `{name:Type}`: its value comes beside the statement and is bound by the engine."""
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

    def _window(self, node: exp.Window) -> str:
        only(node, "this", "partition_by", "order", "spec", "over")
        if not isinstance(node.this, _CALLS) or str(node.args.get("over")).upper() != "OVER":
            raise unsupported(node)
        parts = []
        if node.args.get("partition_by"):
            parts.append(f"PARTITION BY {self._list(node.args['partition_by'])}")
        parts += [self.ordering(node.args.get("order")), _frame(node.args.get("spec"))]
        over = f" OVER ({' '.join(part for part in parts if part)})"
        if isinstance(node.this, exp.ParameterizedAgg | exp.CombinedParameterizedAgg):
            return self.expression(node.this) + over
        return self._function(node.this, over)

    def ordering(self, node: exp.Expr | None) -> str:
        """ORDER BY …, or nothing."""
        if not node:
            return ""
        only(node, "expressions")
        parts = []
        for item in node.expressions:
            only(item, "this")
            nulls = " NULLS FIRST" if item.args.get("nulls_first") else ""
            parts.append(self.expression(item.this) + (" DESC" if item.args.get("desc") else " ASC") + nulls)
        return "ORDER BY " + ", ".join(parts)

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

    def _list(self, nodes: list[exp.Expr]) -> str:
        return ", ".join(map(self.expression, nodes))

    def _function(self, node: exp.Expr, over: str = "") -> str:
        only(node, "this", "expressions")
        name, arguments = self._function_name(node), list(node.expressions)
        if name.lower() == "position" and len(arguments) == 1 and isinstance(arguments[0], exp.In):
            only(arguments[0], "this", "field")
            field = arguments[0].args.get("field")
            if field is not None:
                return f"{name}({self.expression(field)}, {self.expression(arguments[0].this)}){over}"
        if name.lower() == "length" and not _is_array(arguments):
            name = "lengthUTF8"
        if name == "quantileWeighted" and len(arguments) == 3:
            return f"quantileExactWeighted({self.expression(arguments[0])})({self._list(arguments[1:])}){over}"
        if name == "toStartOfWeek":
            arguments.insert(1, exp.Literal.number(1))
        distinct = ""
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            only(arguments[0], "expressions")
            distinct, arguments = "DISTINCT ", arguments[0].expressions
        if len(arguments) == 1 and isinstance(arguments[0], exp.Star) and name.lower() == "count":
            only(arguments[0])
            return f"{name}(){over}"
        if name.lower() in sums.NAMES and not self._plain:
            return self._sum(name, arguments, bool(distinct), over)
        return f"{RENAMED.get(name, name)}({distinct}{self._list(arguments)}){over}"

    def _sum(self, name: str, arguments: list[exp.Expr], distinct: bool, over: str) -> str:
        self._sums += 1
        self._nested_sums += 1
        if self._nested_sums > sums.DEEPEST:
            raise QueryError(f"Input was invalid: sums stand in one another more than {sums.DEEPEST} deep")
        try:
            return sums.checked(name, [*map(self.expression, arguments)], distinct=distinct, over=over)
        finally:
            self._nested_sums -= 1

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


def _type(node: exp.Expr, where: str) -> str:
    name = TYPES.get(getattr(node.this, "name", ""))
    if name is None or node.expressions or node.args.get("nested"):
        known = ", ".join(sorted(set(TYPES.values())))
        raise QueryError(f"Input was invalid: unsupported type {where}; choose one of {known}")
    return f"Nullable({name})" if node.args.get("nullable") else name


def _frame(node: exp.Expr | None) -> str:
    """The rows around a row that a window function looks at."""
    if not node:
        return ""
    only(node, "kind", "start", "start_side", "end", "end_side")
    kind = str(node.args.get("kind")).upper()
    if kind not in ("ROWS", "RANGE"):
        raise unsupported(node)
    start = _edge(node, "start")
    return f"{kind} BETWEEN {start} AND {_edge(node, 'end')}" if node.args.get("end") else f"{kind} {start}"


def _edge(node: exp.Expr, key: str) -> str:
    edge, side = node.args.get(key), str(node.args.get(f"{key}_side") or "").upper()
    if isinstance(edge, exp.Literal):
        words = edge.name if not edge.is_string and INTEGER.fullmatch(edge.name) else ""
    else:
        words = str(edge).upper()
        if words == "CURRENT ROW":
            return words
        words = words if words == "UNBOUNDED" else ""
    if not words or side not in ("PRECEDING", "FOLLOWING"):
        raise unsupported(node, "WINDOW FRAME")
    return f"{words} {side}"


def _is_constant(node: exp.Expr) -> bool:
    if isinstance(node, exp.Tuple):
        return all(map(_is_constant, node.expressions))
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal | exp.Boolean | exp.Null | exp.Placeholder)


def _is_array(arguments: list[exp.Expr]) -> bool:
    """Whether `length` counts elements instead of letters."""
    first = arguments[0] if arguments else None
    if isinstance(first, exp.Column):
        return first.name in _ARRAYS
    name = str(first.this).lower() if isinstance(first, exp.Func) else ""
    return isinstance(first, exp.Array) or name.startswith(("array", "group", "split", "topk"))
