"""`dmarcworks replay`: rebuild the figures from the archived reports."""

from __future__ import annotations

import typer

from dmarcworks.cli.common import print_json, print_table
from dmarcworks.cli.work import Event, run
from dmarcworks.errors import UsageError

_SHOWN = 20


def replay(
    domain: str = typer.Option("", "--domain", help="Only this domain's reports; other rows are copied."),
    since: str = typer.Option("", "--since", help="Only reports about this UTC day (2026-01-31) and later ones."),
    keep_old: bool = typer.Option(False, "--keep-old", help="Start although an older version is still kept."),
    only_build: bool = typer.Option(False, "--no-swap", help="Only show what would change; the next replay swaps."),
    back: bool = typer.Option(False, "--back", help="Switch back to the previous version."),
    drop_old: bool = typer.Option(False, "--drop-old", help="Free the space of inactive versions."),
    catalogue: bool = typer.Option(
        False, "--catalogue", help="Rebuild a lost catalogue from the raw mails and the archive."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Reprocess the archived reports into a new version of the tables, show what changes, and swap in one step.

    If interrupted, run it again to resume. The previous version is kept until --drop-old.
    """
    if back + drop_old + catalogue + bool(domain or since or only_build or keep_old) > 1:
        raise UsageError("--back, --drop-old and --catalogue exclude other options")
    job, parameters = "replay", {"domain": domain, "since": since, "keep_old": keep_old, "only_build": only_build}
    for wanted, name in ((back, "replay-back"), (drop_old, "replay-drop"), (catalogue, "catalogue")):
        if wanted:
            job, parameters = name, {}
    events: list[Event] = []
    result = run(job, parameters, events.append, quiet=as_json)
    if as_json:
        print_json(_document(events, result))
    elif job == "replay":
        _print_changes(events, result)
    elif catalogue:
        _print_catalogue(events, result)
    elif back:
        print("The previous version is active again; the newer one is kept.")
    else:
        print(f"Dropped {len(result['versions'])} version{'' if len(result['versions']) == 1 else 's'}.")
    if result.get("kept") or result.get("unplaced"):
        raise typer.Exit(1)


def _document(events: list[Event], result: Event) -> dict[str, object]:
    def of(kind: str) -> list[Event]:
        return [{k: v for k, v in event.items() if k != "event"} for event in events if event["event"] == kind]

    return {
        "domains": of("domain"),
        "changed": of("report"),
        "kept": of("kept"),
        "unplaced": of("unplaced"),
        "result": of("result")[0],
    }


def _print_changes(events: list[Event], result: Event) -> None:
    domains = [event for event in events if event["event"] == "domain"]
    names = ("reports", "records", "messages")
    rows = [
        (event["domain"], event["kind"], *(_change(event["before"][name], event["after"][name]) for name in names))
        for event in domains
    ]
    print_table(["domain", "kind", *names], rows, "There are no figures.")
    changed = [event for event in events if event["event"] == "report"]
    for event in changed[:_SHOWN]:
        print(
            f"changed: report {event['report'][:16]}, {event['rows_gone']} rows removed, {event['rows_new']} rows added"
        )
    if result["changed"] > min(len(changed), _SHOWN):
        print(f"… and {result['changed'] - min(len(changed), _SHOWN)} more; --json lists up to 1,000")
    for event in events:
        if event["event"] == "kept":
            print(f"unchanged: report {event['report'][:16]} {event['key']}: {event['reason']}")
    print(
        f"Reprocessed {result['reports']} reports in {result['seconds']} s; {result['changed']} changed,"
        f" {result['kept']} could not be reprocessed and are unchanged."
    )
    if result["state"] == "swapped":
        print(
            "The new version is active. `dmarcworks replay --back` switches back, `--drop-old` frees the "
            "space of the old one."
        )
    else:
        print("Nothing is swapped yet: run `dmarcworks replay` with the same options to swap.")


def _print_catalogue(events: list[Event], result: Event) -> None:
    for event in events:
        if event["event"] == "unplaced":
            print(f"no owner: {event['key']}")
    print(
        f"Restored {result['domains']} domains, {result['mails']} mails and {result['reports']} reports without a"
        f" raw mail; {result['unplaced']} objects have no owner."
    )


def _change(before: int, after: int) -> str:
    return f"{after:,}" if before == after else f"{before:,} → {after:,}"
