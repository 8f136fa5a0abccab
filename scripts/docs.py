"""Write docs/settings.md and docs/graphql-fields.md from their tables. Run: python scripts/docs.py"""

from __future__ import annotations

from pathlib import Path

from dmarcworks.api.graphql.model import Node
from dmarcworks.api.graphql.schema import NODES
from dmarcworks.process.settings_table import describe
from dmarcworks.settings import Settings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
FIELDS = TARGET.with_name("graphql-fields.md")


def table() -> str:
    """The page: a row per setting with its default, bounds and meaning."""
    lines = [
        "# Settings",
        "",
        "The environment takes precedence over the TOML file that `DMARCWORKS_CONFIG` names; the default comes last.",
        "A variable with the suffix `_FILE` names a file that contains the value. `dmarcworks settings` prints the",
        "values in effect and their sources. A name in double brackets is a table, which only the TOML file can hold,",
        "once for each.",
        "",
        "| variable | default | bounds | meaning |",
        "|---|---|---|---|",
    ]
    for row in describe(Settings.model_validate({}), {}):
        limits = Settings.model_fields[row.name].metadata
        bounds = [f"{sign} {value:,}" for limit in limits for sign, value in _limits(limit)]
        lines.append(f"| `{row.variable}` | {row.default or '–'} | {', '.join(bounds) or '–'} | {row.help} |")
    return "\n".join(lines) + "\n"


def _limits(limit: object) -> list[tuple[str, float]]:
    names = (("ge", "≥"), ("gt", ">"), ("le", "≤"))
    return [(sign, getattr(limit, name)) for name, sign in names if getattr(limit, name, None) is not None]


def fields() -> str:
    """The GraphQL page's other half: a table per node."""
    lines = ["# GraphQL fields", "", "The fields of each node of [the GraphQL API](graphql.md)."]
    for node in NODES.values():
        under = "accounts" if node.accounts_only else "zones and accounts"
        lines += ["", f"## {node.name}", "", f"{node.meaning[:1].upper()}{node.meaning[1:]}. Under {under}.", ""]
        lines += ["| field | kind | meaning |", "|---|---|---|", *_fields(node)]
        known = {field.name for field in node.fields if not field.measure}
        if besides := [f"`{field.name}`" for field in node.filters if field.name not in known]:
            lines += ["", f"Further filters: {', '.join(besides)}."]
    return "\n".join(lines) + "\n"


def _fields(node: Node) -> list[str]:
    return [
        f"| `{'.'.join(filter(None, (one.section, one.name)))}` | {one.kind} | {one.meaning} |" for one in node.fields
    ]


if __name__ == "__main__":
    TARGET.write_text(table())
    FIELDS.write_text(fields())
