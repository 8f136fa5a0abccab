"""`dmarcworks verify`: compare catalogue, archive and figures, and list every difference."""

from __future__ import annotations

import typer

from dmarcworks.cli.common import print_json
from dmarcworks.cli.work import Event, run


def verify(
    repair: bool = typer.Option(
        False, "--repair", help="Repair what can be repaired from the archive and the raw mails."
    ),
    domain: str = typer.Option("", "--domain", help="Only this domain's reports and mails."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Compare catalogue, archive and figures, and list every difference. Exit status 1 when differences remain."""
    differences: list[Event] = []

    def seen(event: Event) -> None:
        if event["event"] == "difference":
            differences.append(event)
            if not as_json:
                print(line(event))

    result = run("verify", {"repair": repair, "domain": domain}, seen, quiet=as_json)
    if as_json:
        named = [{name: value for name, value in event.items() if name != "event"} for event in differences]
        print_json({"differences": named, **{name: result[name] for name in ("compared", "repaired", "left")}})
    else:
        counts = ", ".join(f"{count} {what}" for what, count in result["compared"].items())
        print(f"Compared {counts}: {_verdict(result)}")
    if result["left"]:
        raise typer.Exit(1)


def line(event: Event) -> str:
    """A difference as a line for people."""
    where = event["key"] or event["table"]
    report = f" report {event['report'][:16]}" if event["report"] else ""
    repaired = " · repaired" if event["repaired"] else ""
    text = f"{event['kind']}{report} {where}: expected {event['expected']}, found {event['found']}{repaired}"
    return "".join(character if character.isprintable() else " " for character in text)


def _verdict(result: Event) -> str:
    if not result["differences"]:
        return "no differences."
    if not result["repaired"]:
        return f"{result['differences']} differences."
    return f"{result['differences']} differences, {result['repaired']} repaired, {result['left']} remaining."
