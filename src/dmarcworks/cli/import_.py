"""`dmarcworks import`: files, mails, folders, mbox and Maildir into the running system, or into its stores."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmarcworks.catalogue.audit import act, command
from dmarcworks.cli.common import command_settings, print_json
from dmarcworks.process import logs
from dmarcworks.sources.files import count

if TYPE_CHECKING:
    from dmarcworks.cli.import_run import Counts

_SHOWN = 20


def import_(
    paths: list[str] = typer.Argument(help="Files, mails, folders, mbox files or Maildirs.", show_default=False),
    domain: str = typer.Option(
        "",
        "--domain",
        help="Assign everything to this domain; default: each report's policy domain.",
        show_default=False,
    ),
    account: str = typer.Option("", "--account", help="Import only for this account's domains.", show_default=False),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Import reports as if they had arrived by mail. May be repeated: nothing is counted twice.

    Exit status 1 when something was left out or could not be parsed.
    """
    # It imports the engine and the web libraries, which take seconds that --help need not wait for.
    from dmarcworks.cli.import_run import run

    settings = command_settings()
    logs.setup("text", "error")
    act(command())
    total = count(paths)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
        tasks = {
            "accepting": bar.add_task("accepting", total=total),
            "processing": bar.add_task("processing", total=None),
        }

        def progress(step: str, done: int, of: int | None) -> None:
            bar.update(tasks[step], completed=done, total=of or max(total, done))

        counts = asyncio.run(run(settings, paths, domain, account, progress))
    if as_json:
        print_json(_as_json(counts))
    else:
        _print(counts)
    if counts.left or counts.problems:
        raise typer.Exit(1)


def _unknown(counts: Counts) -> Counter[str]:
    """How many reports were left out by the domain that nobody here has."""
    return Counter(left.domain for left in counts.left if left.domain)


def _as_json(counts: Counts) -> dict[str, object]:
    return {
        "files": counts.files,
        "mails": counts.mails,
        "known": counts.known,
        "reports": {kind: counts.reports[kind] for kind in ("new", "duplicate", "foreign")},
        "problems": [{"id": p.id, "reason": p.reason, "where": p.where, "detail": p.detail} for p in counts.problems],
        "left": [{"path": left.path, "reason": left.reason, "detail": left.detail} for left in counts.left],
        "unknown_domains": dict(_unknown(counts)),
    }


def _print(counts: Counts) -> None:
    repeated = f", {counts.known} of them already known" if counts.known else ""
    print(f"files     {counts.files}")
    print(f"mails     {counts.mails}{repeated}")
    print(f"reports   {counts.reports['new']} new, {counts.reports['duplicate']} duplicate")
    print(f"problems  {len(counts.problems)}{'; `dmarcworks problems` lists them' if counts.problems else ''}")
    if counts.left:
        print(f"left out  {len(counts.left)}")
        for left in counts.left[:_SHOWN]:
            print("  " + _one_line(f"{left.path}: {left.detail}"))
        if len(counts.left) > _SHOWN:
            print(f"  … and {len(counts.left) - _SHOWN} more; --json lists all")
    for name, times in _unknown(counts).most_common(_SHOWN):
        print("  " + _one_line(f"{times} about {name}: `dmarcworks domain add {name}`, then import again"))


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
