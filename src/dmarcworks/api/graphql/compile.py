"""The query of one node → one SELECT with every value bound; pure.

Fields' expressions come from the node tables. Columns of the result: the domain (when several are queried at once),
then the fields in the order of `CompiledQuery.fields`. `Dialect` holds the differences between the stores.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dmarcworks.api.graphql.filters import All, Any_, Condition, Test
from dmarcworks.api.graphql.model import DATE, STRING, STRINGS, TIME, UINT, Field, Node

_SIGNS = {"": "=", "_neq": "!=", "_gt": ">", "_lt": "<", "_geq": ">=", "_leq": "<="}
_CONSTANT = {True: "1 = 1", False: "1 = 0"}


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """The query of one node. `zones`: ids that it may see (None: all of the account); `apart`: `limit` for each."""

    node: Node
    account_id: str
    zones: tuple[str, ...] | None
    apart: bool
    fields: tuple[Field, ...]
    where: All
    order: tuple[tuple[Field, bool], ...]
    limit: int


@dataclass(slots=True)
class BoundValue:
    """Values by parameter name."""

    values: dict[str, Any] = field(default_factory=dict)
    expanding: list[str] = field(default_factory=list)

    def add(self, value: Any) -> str:
        """The name under which the value is bound; one value, one name."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return name


class ClickHouse:
    """ClickHouse: `{p0:Type}`."""

    name = "clickhouse"

    def one(self, bound: BoundValue, kind: str, value: Any) -> str:
        """A value in its place."""
        return f"{{{bound.add(value)}:{self._type(kind, value)}}}"

    def many(self, bound: BoundValue, kind: str, values: tuple[Any, ...]) -> str:
        """A list of values in its place."""
        return f"{{{bound.add(list(values))}:Array({self._type(kind, *values)})}}"

    def text(self, expression: str, kind: str) -> str:
        """An expression as it is compared and ordered."""
        return expression

    def like(self, bound: BoundValue, expression: str, pattern: str) -> str:
        """% is any text, all else itself."""
        escaped = pattern.replace("\\", "\\\\").replace("_", "\\_")
        return f"{expression} LIKE {self.one(bound, STRING, escaped)}"

    def has(self, bound: BoundValue, test: Test) -> str:
        """Array operators."""
        if test.operator == "_has":
            return f"has({test.field.compared}, {self.one(bound, STRING, test.value)})"
        name = "hasAll" if test.operator == "_hasall" else "hasAny"
        return f"{name}({test.field.compared}, {self.many(bound, STRING, test.value)})"

    @staticmethod
    def _type(kind: str, *values: Any) -> str:
        if kind == UINT:
            return "UInt64"
        if kind == DATE:
            # Date ends in 2149 and begins in 1970; Date32 holds what lies beyond, but knows no index.
            return "Date" if all("1970-01-01" <= value <= "2149-01-01" for value in values) else "Date32"
        if kind == TIME:
            return "Int64" if all(isinstance(value, int) for value in values) else "Float64"
        return "String"


class Relational:
    """SQLite and PostgreSQL through SQLAlchemy: `:p0`. `name` is SQLAlchemy's for the dialect."""

    _WHOLE = re.compile(r"whole\((\w+)\)")

    def __init__(self, name: str) -> None:
        self.name = name

    def one(self, bound: BoundValue, kind: str, value: Any) -> str:
        """A value in its place."""
        name = bound.add(value)
        # A driver that infers the column's type would refuse a fraction of a second next to whole ones.
        return f"CAST(:{name} AS DOUBLE PRECISION)" if kind == TIME else f":{name}"

    def many(self, bound: BoundValue, kind: str, values: tuple[Any, ...]) -> str:
        """A list of values in its place."""
        name = bound.add(list(values))
        bound.expanding.append(name)
        return f":{name}"

    def text(self, expression: str, kind: str) -> str:
        """An expression as it is compared and ordered: text byte by byte, whatever the database's language is."""
        whole = r"CAST(\1 AS INTEGER)" if self.name == "sqlite" else r"CAST(floor(\1) AS BIGINT)"
        made = self._WHOLE.sub(whole, expression)
        return f'{made} COLLATE "C"' if kind == STRING and self.name != "sqlite" else made

    def like(self, bound: BoundValue, expression: str, pattern: str) -> str:
        """% is any text, all else itself, case-sensitive (SQLite's LIKE would not distinguish a from A)."""
        if self.name == "sqlite":
            glob = re.sub(r"[*?\[]", r"[\g<0>]", pattern).replace("%", "*")
            return f"{expression} GLOB {self.one(bound, STRING, glob)}"
        escaped = pattern.replace("\\", "\\\\").replace("_", "\\_")
        return f"{expression} LIKE {self.one(bound, STRING, escaped)}"

    def has(self, bound: BoundValue, test: Test) -> str:
        """No field of the catalogue is a list, so that nothing can be in it."""
        return _CONSTANT[False]


Dialect = ClickHouse | Relational


def statement(question: CompiledQuery, dialect: Dialect) -> tuple[str, BoundValue]:
    """The SELECT and its values."""
    node, bound = question.node, BoundValue()
    where = [f"account_id = {dialect.one(bound, STRING, question.account_id)}"]
    conditions = sql(question.where, dialect, bound)
    make = _clickhouse if isinstance(dialect, ClickHouse) else _relational
    if question.zones is not None and (isinstance(dialect, ClickHouse) or not question.apart):
        where.append(_in(node.zone, dialect, bound, question.zones))
    where.append(conditions)
    return make(question, dialect, bound, " AND ".join(f"({part})" for part in where)), bound


def _in(expression: str, dialect: Dialect, bound: BoundValue, values: tuple[str, ...]) -> str:
    return f"{expression} IN {dialect.many(bound, STRING, values)}" if values else _CONSTANT[False]


def _pieces(question: CompiledQuery, dialect: Dialect) -> tuple[str, str, str]:
    """Columns, GROUP BY and ORDER BY."""
    node = question.node
    columns = [f"{dialect.text(item.sql, '')} AS c{index}" for index, item in enumerate(question.fields)]
    if node.shape == "groups":
        keys = [item for item in question.fields if not item.measure]
    else:
        keys = [item for item in node.fields if not item.measure] if node.shape == "rollup" else []
    zone = [node.zone] if question.apart else []
    grouped = [*zone, *dict.fromkeys(dialect.text(item.sql, "") for item in keys)]
    group = f" GROUP BY {', '.join(grouped)}" if node.shape != "rows" and grouped else ""
    names: dict[str, None] = {}
    for item, descending in question.order:
        names[dialect.text(item.compared, item.kind) + (" DESC" if descending else " ASC")] = None
    last = node.keys if node.shape == "rows" else [dialect.text(item.sql, item.kind) for item in keys]
    for expression in last:
        names[f"{expression} ASC"] = None
    order = f" ORDER BY {', '.join([*zone, *names])}" if names or zone else ""
    return ", ".join([f"{node.zone} AS zone_" if question.apart else "'' AS zone_", *columns]), group, order


def _clickhouse(question: CompiledQuery, dialect: Dialect, bound: BoundValue, where: str) -> str:
    columns, group, order = _pieces(question, dialect)
    having = "" if group else _some(question)
    limit = dialect.one(bound, UINT, question.limit).replace("UInt64", "UInt32")
    by = f" BY {question.node.zone}" if question.apart else ""
    return f"SELECT {columns} FROM {question.node.table} WHERE {where}{group}{having}{order} LIMIT {limit}{by}"


def _relational(question: CompiledQuery, dialect: Dialect, bound: BoundValue, where: str) -> str:
    columns, group, order = _pieces(question, dialect)
    having = "" if group else _some(question)
    limit = dialect.one(bound, UINT, question.limit)
    table = f"SELECT {columns} FROM {question.node.table} WHERE {where}"
    tail = f"{group}{having}{order} LIMIT {limit}"
    if not question.apart:
        return table + tail
    zones = [dialect.one(bound, STRING, zone) for zone in question.zones or ()]
    selects = [
        f"SELECT * FROM ({table} AND {question.node.zone} = {zone}{tail}) AS z{n}" for n, zone in enumerate(zones)
    ]
    return " UNION ALL ".join(selects)


def _some(question: CompiledQuery) -> str:
    """A total without a dimension over no row is no group."""
    return "" if question.node.shape == "rows" else " HAVING COUNT(*) > 0"


def sql(condition: Condition, dialect: Dialect, bound: BoundValue) -> str:
    """A condition as SQL."""
    if isinstance(condition, All):
        parts = [sql(part, dialect, bound) for part in condition.parts]
        return " AND ".join(f"({part})" for part in parts) or _CONSTANT[True]
    if isinstance(condition, Any_):
        return " OR ".join(f"({sql(part, dialect, bound)})" for part in condition.parts) or _CONSTANT[False]
    return _test(condition, dialect, bound)


def _test(test: Test, dialect: Dialect, bound: BoundValue) -> str:
    kind = test.field.kind
    if kind == STRINGS:
        return dialect.has(bound, test)
    expression = dialect.text(test.field.compared, kind)
    if test.operator == "_like":
        return dialect.like(bound, expression, test.value)
    if test.operator in ("_in", "_notin"):
        negated = test.operator == "_notin"
        if not test.value:
            return _CONSTANT[negated]
        return f"{expression} {'NOT ' if negated else ''}IN {dialect.many(bound, kind, test.value)}"
    return f"{expression} {_SIGNS[test.operator]} {dialect.one(bound, kind, test.value)}"


__all__ = ["BoundValue", "ClickHouse", "CompiledQuery", "Dialect", "Relational", "sql", "statement"]
