"""`dmarcworks replay`: rebuild the figures from the archived reports."""

from __future__ import annotations

import typer

from dmarcworks.cli.common import print_json, print_table
from dmarcworks.cli.work import Event, run
from dmarcworks.errors import UsageError

_SHOWN = 20


def replay(
    domain: str = typer.Option("", "--domain", help="Only this domain's reports; the others' rows are kept."),
    since: str = typer.Option("", "--since", help="Only reports about this UTC day (2026-01-31) and later ones."),
    keep_old: bool = typer.Option(False, "--keep-old", help="Begin although an older version is still kept."),
    only_build: bool = typer.Option(False, "--no-swap", help="Show what would change; the next replay swaps."),
    back: bool = typer.Option(False, "--back", help="Go back to the version before the last replay."),
    drop_old: bool = typer.Option(False, "--drop-old", help="Drop the versions that are not asked."),
    catalogue: bool = typer.Option(
        False, "--catalogue", help="Bring back what the catalogue lost, from the raw mails and the archive."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Read the archived reports again into a new version of the tables, show what changes, and swap in one step.

    Interrupted, it goes on where it was when called again. The old version is kept until --drop-old.
    """
    if back + drop_old + catalogue + bool(domain or since or only_build or keep_old) > 1:
        raise UsageError("--back, --drop-old and --catalogue stand alone")
    job, parameters = "replay", {"domain": domain, "since": since, "keep_old": keep_old, "only_build": only_build}
    for wanted, name in ((back, "replay-back"), (drop_old, "replay-drop"), (catalogue, "catalogue")):
        if wanted:
            job, parameters = name, {}
    events: list[Event] = []
    result = run(job, parameters, events.append, quiet=as_json)
    if as_json:
        print_json(_document(events, result))
    elif job == "replay":
        _tell(events, result)
    elif catalogue:
        _tell_catalogue(events, result)
    elif back:
        print("The rows from before are asked again; the version now holds the newer ones.")
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


def _tell(events: list[Event], result: Event) -> None:
    domains = [event for event in events if event["event"] == "domain"]
    names = ("reports", "records", "messages")
    rows = [
        (event["domain"], event["kind"], *(_change(event["before"][name], event["after"][name]) for name in names))
        for event in domains
    ]
    print_table(["domain", "kind", *names], rows, "There are no figures.")
    changed = [event for event in events if event["event"] == "report"]
    for event in changed[:_SHOWN]:
        print(f"changed: report {event['report'][:16]}, {event['rows_gone']} rows gone, {event['rows_new']} rows new")
    if result["changed"] > min(len(changed), _SHOWN):
        print(f"… and {result['changed'] - min(len(changed), _SHOWN)} more; --json names up to 1,000")
    for event in events:
        if event["event"] == "kept":
            print(f"kept as it was: report {event['report'][:16]} {event['key']}: {event['reason']}")
    print(
        f"Read {result['reports']} reports again in {result['seconds']} s; {result['changed']} changed,"
        f" {result['kept']} kept as they were."
    )
    if result["state"] == "swapped":
        print("The new version is asked now. `dmarcworks replay --back` undoes it, `--drop-old` frees the space.")
    else:
        print("Nothing is swapped yet: `dmarcworks replay` with the same options does it.")


def _tell_catalogue(events: list[Event], result: Event) -> None:
    for event in events:
        if event["event"] == "unplaced":
            print(f"nobody's: {event['key']}")
    print(
        f"Brought back {result['domains']} domains, {result['mails']} mails and {result['reports']} reports without a"
        f" raw mail; {result['unplaced']} objects are nobody's."
    )


def _change(before: int, after: int) -> str:
    return f"{after:,}" if before == after else f"{before:,} → {after:,}"
