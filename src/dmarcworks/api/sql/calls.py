"""Calls in a user's SQL, rewritten: functions by their list, exact sums, window functions and ORDER BY."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from sqlglot import exp

from dmarcworks.analytics.schema import QUERYABLE_TABLES
from dmarcworks.api.sql import sums
from dmarcworks.api.sql.functions import ANY_CASE, FUNCTIONS, NAMES, RENAMED
from dmarcworks.api.sql.refusals import only, suggest, unsupported
from dmarcworks.errors import QueryError

__all__ = ["INTEGER", "Calls"]

INTEGER = re.compile(r"[0-9]{1,18}")
_CALLS = (
    exp.Anonymous, exp.AnonymousAggFunc, exp.CombinedAggFunc, exp.ParameterizedAgg, exp.CombinedParameterizedAgg,
)  # fmt: skip
_ARRAYS = frozenset(
    column.name for table in QUERYABLE_TABLES.values() for column in table.columns if column.type.startswith("Array")
)


class Calls(ABC):
    """Writes calls; a subclass knows how to write the expressions inside them."""

    def __init__(self) -> None:
        self._nested_sums = 0

    @abstractmethod
    def expression(self, node: exp.Expr) -> str:
        """Any expression."""

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
        if name.lower() in sums.NAMES:
            return self._sum(name, arguments, bool(distinct), over)
        return f"{RENAMED.get(name, name)}({distinct}{self._list(arguments)}){over}"

    def _sum(self, name: str, arguments: list[exp.Expr], distinct: bool, over: str) -> str:
        self._nested_sums += 1
        if self._nested_sums > sums.DEEPEST:
            raise QueryError(f"Input was invalid: sums are nested more than {sums.DEEPEST} deep")
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
        engine_name = name if name.lower() in ANY_CASE else FUNCTIONS.get(name.lower())
        if engine_name is None:
            raise QueryError(f"Input was invalid: unsupported function: {name[:100]}{suggest(name, NAMES)}")
        return engine_name


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


def _is_array(arguments: list[exp.Expr]) -> bool:
    """Whether `length` counts elements instead of characters."""
    first = arguments[0] if arguments else None
    if isinstance(first, exp.Column):
        return first.name in _ARRAYS
    name = str(first.this).lower() if isinstance(first, exp.Func) else ""
    return isinstance(first, exp.Array) or name.startswith(("array", "group", "split", "topk"))
