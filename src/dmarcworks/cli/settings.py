"""`dmarcworks settings`: every setting with its value and source."""

from __future__ import annotations

import typer

from dmarcworks.cli.common import print_json, print_table
from dmarcworks.process.settings_table import describe
from dmarcworks.settings import load


def settings(as_json: bool = typer.Option(False, "--json", help="Print JSON for machines.")) -> None:
    """Print every setting with its value, source and meaning. Set one by its DMARCWORKS_ variable or in a TOML file."""
    rows = describe(*load())
    if as_json:
        print_json(rows)
    else:
        shown = [(row.variable, row.value or "–", row.source, row.help) for row in rows]
        print_table(["variable", "value", "source", "meaning"], shown, "")
