"""Whole statements of a user, rewritten for one account: SELECT, UNION, WITH, JOIN, each table restricted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from dmarcworks.analytics.schema import QUERYABLE_TABLES
from dmarcworks.api.sql.expressions import INTEGER, Expressions
from dmarcworks.api.sql.reading import Words
from dmarcworks.api.sql.refusals import only, suggest, unsupported
from dmarcworks.api.sql.statement import Statement, format_name
from dmarcworks.errors import BoundError, QueryError

__all__ = ["StatementWriter"]

REFERENCES = 32
BRANCHES = 32

_CTE = "with_"
_RESERVED = frozenset({"account_id", *QUERYABLE_TABLES})


class StatementWriter(Expressions):
    """Rewrites a tree for one account, or for some of its `domains` (ids) only; the ids are checked by `allow`."""

    def __init__(self, account_id: str, domains: Sequence[str] | None, words: Words) -> None:
        super().__init__(words)
        # The ids are 32 hex digits, nothing else (`compile_sql`).
        self._own_rows = f"account_id = '{account_id}'"
        if domains is not None:
            listed = ", ".join(f"'{domain}'" for domain in domains)
            self._own_rows += f" AND domain_id IN ({listed})" if listed else " AND false"
        self._ctes: list[set[str]] = []
        self._names: dict[str, None] = {}
        self._tables = 0

    # Statements and clauses ---------------------------------------------------------------------------------------

    def statement(self, tree: exp.Expr, format: str) -> Statement:
        """The whole statement; FORMAT is allowed only here."""
        while isinstance(tree, exp.Subquery):
            only(tree, "this")
            tree = tree.this
        if not isinstance(tree, exp.Select | exp.Union):
            raise unsupported(tree)
        form = tree.args.pop("format", None)
        name = form.name if isinstance(form, exp.Expr) else format
        self._names = {identifier.name: None for identifier in tree.find_all(exp.Identifier)}
        return Statement(self._query(tree), format_name(name), tuple(self._names), tuple(self.parameters))

    def _query(self, node: exp.Expr) -> str:
        """A SELECT, or several under UNION; brackets around it are gone."""
        while isinstance(node, exp.Subquery):
            only(node, "this")
            node = node.this
        return self._union(node) if type(node) is exp.Union else self._select(node)

    def _union(self, node: exp.Expr) -> str:
        # A long chain leans to the left: walked, not descended.
        branches: list[tuple[str, exp.Expr]] = []
        with_ = node.args.get("with_")
        while type(node) is exp.Union and (not branches or not node.args.get("with_")):
            only(node, "this", "expression", "distinct", "with_")
            branches.append(("UNION DISTINCT" if node.args.get("distinct") else "UNION ALL", node.expression))
            node = node.this
            if len(branches) >= BRANCHES:
                raise BoundError(f"the query has more than {BRANCHES} SELECTs under UNION")
        self._ctes.append(set())
        self.deeper()
        try:
            named = self._with(with_)
            text = self._branch(node, named)
            for word, branch in reversed(branches):
                text = f"{text} {word} {self._branch(branch, named)}"
            return text
        finally:
            self.depth -= 1
            self._ctes.pop()

    def _branch(self, node: exp.Expr, named: str) -> str:
        """A SELECT of a UNION in brackets; WITH is written before the whole union, the engine needs it in each."""
        query = self._query(node)
        return f"({named} SELECT * FROM ({query}))" if named else f"({query})"  # noqa: S608 - rewritten by us

    def _select(self, node: exp.Expr) -> str:
        if not isinstance(node, exp.Select):
            raise unsupported(node)
        only(
            node, "with_", "distinct", "expressions", "from_", "joins", "where", "group", "having", "order", "limit",
            "offset",
        )  # fmt: skip
        self._ctes.append(set())
        try:
            with_ = self._with(node.args.get("with_"))
            distinct = node.args.get("distinct")
            if distinct:
                only(distinct)
            hidden, items = self._hidden(node), []
            for item in node.expressions:
                self.hidden = hidden  # a query inside the item before has set its own
                items.append(self.item(item))
            parts = [with_, "SELECT", "DISTINCT" if distinct else "", ", ".join(items), self._from(node)]
            for key, words in (("where", "WHERE"), ("having", "HAVING")):
                clause = node.args.get(key)
                if clause:
                    only(clause, "this")
                    parts.append(f"{words} {self.expression(clause.this)}")
                if key == "where":
                    parts.append(self._group(node.args.get("group")))
            parts += [self.ordering(node.args.get("order")), self._limit(node)]
            return " ".join(part for part in parts if part)
        finally:
            self._ctes.pop()

    def _hidden(self, node: exp.Select) -> str:
        """What `*` leaves out: the computed columns that are in `_source` only because they are named elsewhere."""
        from_ = node.args.get("from_")
        table = QUERYABLE_TABLES.get(from_.this.name) if from_ and isinstance(from_.this, exp.Table) else None
        if table is None or node.args.get("joins"):
            return ""
        named = [self.name(alias.name) for alias in table.aliases if alias.name in self._names]
        return f" EXCEPT ({', '.join(named)})" if named else ""

    def _with(self, node: exp.Expr | None) -> str:
        if not node:
            return ""
        only(node, "expressions")
        parts = []
        for cte in node.expressions:
            only(cte, "this", "alias", "scalar")
            only(cte.args["alias"], "this")
            name = cte.args["alias"].name
            if name in _RESERVED:
                # The engine hands WITH names down into every query inside, the wall's own too.
                raise QueryError(f"Input was invalid: {name} cannot be the name of a WITH query")
            if cte.args.get("scalar"):
                parts.append(f"{self.expression(cte.this)} AS {self.name(name)}")
                continue
            # Under a name of our own, no query outside its reach can take it for a table of the store.
            parts.append(f"{self.name(_CTE + name)} AS ({self.nested(cte.this)})")
            self._ctes[-1].add(name)
        return "WITH " + ", ".join(parts)

    def _from(self, node: exp.Select) -> str:
        from_ = node.args.get("from_")
        if not from_:
            if node.args.get("joins"):
                raise unsupported(node, "JOIN without FROM")
            return ""
        only(from_, "this")
        parts = [f"FROM {self._source(from_.this)}"]
        for join in node.args.get("joins") or ():
            only(join, "this", "side", "kind", "on", "using")
            side, kind = str(join.args.get("side") or "").upper(), str(join.args.get("kind") or "").upper()
            if side not in ("", "LEFT", "RIGHT", "FULL") or kind not in ("", "INNER", "OUTER", "ANY", "SEMI", "ANTI"):
                raise unsupported(join, f"{side} {kind} JOIN".strip())
            on, using = join.args.get("on"), join.args.get("using")
            if on:
                condition = f"ON {self.expression(on)}"
            elif using:
                condition = f"USING ({', '.join(self.name(column.name) for column in using)})"
            else:
                raise unsupported(join, "JOIN without ON or USING")
            parts.append(f"{side} {kind} JOIN {self._source(join.this)} {condition}")
        return " ".join(parts)

    def _source(self, node: exp.Expr) -> str:
        alias = node.args.get("alias")
        if alias:
            only(alias, "this")
        if isinstance(node, exp.Subquery):
            only(node, "this", "alias")
            return f"({self.nested(node.this)})" + (f" AS {self.name(alias.name)}" if alias else "")
        if not isinstance(node, exp.Table):
            raise unsupported(node, "FROM " + type(node).__name__.upper())
        if not isinstance(node.this, exp.Identifier) or node.args.get("db") or node.args.get("catalog"):
            shown = node.this.name if node.this else ""
            raise QueryError(f"Input was invalid: unknown table: {node.db + '.' if node.db else ''}{shown}"[:200])
        only(node, "this", "alias")
        name = node.name
        shown = self.name(alias.name if alias else name)
        if any(name in scope for scope in self._ctes):
            return f"{self.name(_CTE + name)} AS {shown}"
        if name not in QUERYABLE_TABLES:
            raise QueryError(f"Input was invalid: unknown table: {name[:100]}{suggest(name, QUERYABLE_TABLES)}")
        self._tables += 1
        if self._tables > REFERENCES:
            raise BoundError(f"the query names tables more than {REFERENCES} times")
        columns = ["*", *(alias.name for alias in QUERYABLE_TABLES[name].aliases if alias.name in self._names)]
        return f"(SELECT {', '.join(columns)} FROM {name} PREWHERE {self._own_rows}) AS {shown}"  # noqa: S608

    def _group(self, node: exp.Expr | None) -> str:
        if not node:
            return ""
        only(node, "expressions")
        return "GROUP BY " + ", ".join(map(self.expression, node.expressions))

    def _limit(self, node: exp.Select) -> str:
        parts = []
        for key in ("limit", "offset"):
            clause = node.args.get(key)
            if not clause:
                continue
            only(clause, "expression")
            value = clause.expression
            if key == "limit" and isinstance(value, exp.Column) and value.name.upper() == "ALL":
                continue
            if isinstance(value, exp.Placeholder):
                parts.append(f"{key.upper()} {self.parameter(value)}")
                continue
            if not isinstance(value, exp.Literal) or value.is_string or not INTEGER.fullmatch(value.name):
                raise QueryError(f"Input was invalid: {key.upper()} takes a whole number")
            parts.append(f"{key.upper()} {value.name}")
        return " ".join(parts)

    def nested(self, node: exp.Expr) -> str:
        self.deeper()
        try:
            return self._query(node)
        finally:
            self.depth -= 1
