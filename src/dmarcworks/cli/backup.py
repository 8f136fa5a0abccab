"""`dmarcworks backup DIR`: a complete copy of the system, while it runs."""

from __future__ import annotations

from pathlib import Path

import typer

from dmarcworks.cli.common import print_json
from dmarcworks.cli.work import Event, run


def backup(
    folder: str = typer.Argument(metavar="DIR", help="A new folder, or one with an earlier backup."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Copy the catalogue and every object into a folder. Repeated on the same folder, it copies only what is new.

    A running server does the work; the files in the folder belong to its user. Exit status 1 when an object is damaged.
    """
    damaged: list[str] = []

    def seen(event: Event) -> None:
        if event["event"] == "damaged":
            damaged.append(event["key"])

    result = run("backup", {"folder": str(Path(folder).resolve())}, seen, quiet=as_json)
    if as_json:
        print_json({**{name: value for name, value in result.items() if name != "event"}, "damaged_keys": damaged})
    else:
        for key in damaged:
            print(f"damaged: {key} does not match its hash; it is copied unchanged")
        print(
            f"{folder}: {result['reports']} reports, {result['objects']} objects, {result['bytes']} bytes;"
            f" {result['copied']} copied now, {result['seconds']} s."
        )
    if damaged:
        raise typer.Exit(1)
