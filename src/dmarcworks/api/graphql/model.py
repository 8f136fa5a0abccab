"""What a node of the API is, as data: its fields, and the expression that each is in its store.

A node is a list of rows of one table. `groups` nodes group by the dimensions that are selected, `rollup` nodes always
by their keys, `rows` nodes not at all. Names come from here and only from here; values never do.
"""

from __future__ import annotations

from dataclasses import dataclass

STRING, STRINGS, UINT, FLOAT, DATE, TIME = "String", "[String!]", "uint64", "float64", "Date", "Time"
SECTIONS = ("dimensions", "sum", "avg", "uniq", "quantiles")


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its kind, its expression, what it means; `test` is what filters compare when that is another one.

    A `Time` is unix seconds in its expression. `measure`: the expression needs a group.
    """

    name: str
    kind: str
    sql: str
    meaning: str
    section: str = ""
    measure: bool = False
    test: str = ""

    @property
    def compared(self) -> str:
        """The expression that filters compare: never NULL, so that a filter and its opposite share out all rows."""
        return self.test or self.sql

    @property
    def path(self) -> str:
        """The field as `settings { availableFields }` names it."""
        return f"{self.section}_{self.name}" if self.section else self.name

    @property
    def order(self) -> str:
        """The field as orderBy names it, without its direction."""
        return self.name if self.section in ("", "dimensions") else f"{self.section}_{self.name}"


@dataclass(frozen=True, slots=True)
class Node:
    """A node: `shape` is groups, rollup or rows; `keys` are expressions that identify a row."""

    name: str
    meaning: str
    table: str
    shape: str
    fields: tuple[Field, ...]
    keys: tuple[str, ...] = ()
    catalogue: bool = False
    accounts_only: bool = False
    zone: str = "domain_id"
    filters: tuple[Field, ...] = ()

    @property
    def type(self) -> str:
        """The name of its object type."""
        return "Zone" + self.name[0].upper() + self.name[1:]

    @property
    def filterable(self) -> dict[str, Field]:
        """Fields that a filter may compare."""
        own = (field for field in self.fields if not field.measure)
        return {field.name: field for field in (*own, *self.filters)}

    @property
    def orderable(self) -> dict[str, Field]:
        """Fields by their name in orderBy; arrays have no order."""
        return {field.order: field for field in self.fields if field.kind != STRINGS}

    def field(self, section: str, name: str) -> Field | None:
        """The field of that name in a section ("" for the node itself)."""
        return next((field for field in self.fields if field.section == section and field.name == name), None)

    @property
    def sections(self) -> tuple[str, ...]:
        """The sections that it has, in their order."""
        return tuple(name for name in SECTIONS if any(field.section == name for field in self.fields))
