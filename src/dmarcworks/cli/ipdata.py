"""`dmarcworks ipdata …`: which files name network and country of addresses, and a newer one."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from dmarcworks.cli.common import command_settings, print_json, print_table
from dmarcworks.enrich.network.setup import (
    OFF,
    ip_data,
    ip_data_files,
    ip_data_folder,
    ip_data_notice,
    ip_data_paths,
)
from dmarcworks.enrich.network.update import download, put_in_place
from dmarcworks.errors import UsageError
from dmarcworks.process import logs

app = typer.Typer(
    help="Show and update the IP data: network and country of addresses.",
    add_completion=False,
    no_args_is_help=True,
)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def status(as_json: bool = _JSON) -> None:
    """Show the IP data files in use, their age and licence. Exit status 1 when there is none."""
    logs.setup("text", "warning")
    settings = command_settings()
    files = ip_data_files(ip_data(settings))
    notice = ip_data_notice(settings, files)
    if as_json:
        print_json({"files": [asdict(file) for file in files], "warning": notice or None})
    else:
        cells = [
            (file.kind, file.built, f"{file.age_days} days", f"{file.bytes / 1e6:,.1f} MB", file.path) for file in files
        ]
        print_table(["kind", "built", "age", "size", "file"], cells, "No IP data file is in use.")
        for line in dict.fromkeys(f"{file.attribution} ({file.link}), {file.licence}" for file in files):
            print(line)
        if notice:
            print(f"warning: {notice}")
    if not files:
        raise typer.Exit(1)


@app.command()
def update(
    url: str = typer.Option("", "--url", help="Download this https:// address; default: the setting ip_data_url."),
    file: Path | None = typer.Option(None, "--file", help="Use this file: .mmdb, .mmdb.gz or .tar.gz."),
    as_json: bool = _JSON,
) -> None:
    """Check a newer IP data file and replace the one of its kind; a running server uses it within seconds."""
    logs.setup("text", "warning")
    settings = command_settings()
    folder = ip_data_folder(settings)
    if url and file is not None:
        raise UsageError("give either --url or --file")
    if settings.ip_data == OFF:
        raise UsageError("the setting ip_data is `off`: remove it first")
    if folder not in [path.resolve() for path in ip_data_paths(settings)]:
        raise UsageError(
            f"the setting ip_data names your own files ({settings.ip_data}): replace these, or add the folder {folder}"
        )
    if file is not None:
        new = put_in_place(file, folder)
    elif address := url or settings.ip_data_url:
        with download(address) as path:
            new = put_in_place(path, folder)
    else:
        raise UsageError("there is no URL: give --url or --file, or set ip_data_url (see docs/ip-data.md)")
    if as_json:
        print_json({"kind": new.layout.name, "built": new.built, "file": str(new.path)})
    else:
        print(f"{new.layout.name}, built on {new.built}, is in use: {new.path}")
