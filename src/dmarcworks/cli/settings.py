"""`dmarcworks settings`: every setting with its value and source, or a file to start from."""

from __future__ import annotations

import typer

from dmarcworks.cli.common import print_json, print_table
from dmarcworks.errors import UsageError
from dmarcworks.process.settings_table import describe
from dmarcworks.settings import load


def settings(
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
    as_example: bool = typer.Option(
        False, "--example", help="Print a TOML file with every setting and its default, commented out."
    ),
) -> None:
    """Print every setting with its value, source and meaning. Set one by its DMARCWORKS_ variable or in a TOML file."""
    if as_json and as_example:
        raise UsageError("--json and --example cannot be combined: the example is a TOML file")
    if as_example:
        # Nothing is loaded: the file helps most where the settings in effect are wrong.
        from dmarcworks.settings.example import example

        print(example(), end="")
        return
    rows = describe(*load())
    if as_json:
        print_json(rows)
    else:
        shown = [(row.variable, row.value or "–", row.source, row.help) for row in rows]
        print_table(["variable", "value", "source", "meaning"], shown, "")
