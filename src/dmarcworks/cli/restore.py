"""`dmarcworks restore DIR`: restore a backup into the data directory."""

from __future__ import annotations

from pathlib import Path

import typer

from dmarcworks.catalogue.stores import running_server
from dmarcworks.cli.common import print_json
from dmarcworks.cli.verify import line
from dmarcworks.cli.work import Event, run
from dmarcworks.errors import ConflictError
from dmarcworks.settings import load


def restore(
    folder: str = typer.Argument(metavar="DIR", help="The backup's folder."),
    force: bool = typer.Option(False, "--force", help="Replace existing data."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Restore a backup into an empty data directory and rebuild the figures. If interrupted, run it again to resume.

    No server may use the data directory. Exit status 1 when differences remain.
    """
    settings, _ = load()
    if running_server(settings) is not None:
        raise ConflictError("a server is using this data directory; stop it first")
    differences: list[Event] = []

    def seen(event: Event) -> None:
        if event["event"] == "difference":
            differences.append(event)
            if not as_json:
                print(line(event))

    result = run("restore", {"folder": str(Path(folder).resolve()), "force": force}, seen, quiet=as_json)
    if as_json:
        named = [{name: value for name, value in event.items() if name != "event"} for event in differences]
        print_json({**{name: value for name, value in result.items() if name != "event"}, "differences": named})
    else:
        counts = ", ".join(f"{result['tables'][name]} {name}" for name in ("accounts", "domains", "reports", "mails"))
        print(f"Restored the backup of {result['made'][:19]} UTC: {counts}.")
        print(f"{result['left']} differences; {result['seconds']} s.")
    if result["left"]:
        raise typer.Exit(1)
