"""Prints change plans and unused SPF terms: `dmarcworks policy --plan` and `dmarcworks domain spf-prune`."""

from __future__ import annotations

from typing import Any

import typer

from dmarcworks.cli.common import print_json, print_table

__all__ = ["print_plan", "spf_prune"]


def spf_prune(
    name: str = typer.Argument(help="The domain or its id."),
    days: int = typer.Option(90, "--days", min=7, max=366, help="Days in which an unused term carried no mail."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Show which terms of a domain's SPF record carried no mail, and the record without them."""
    from dmarcworks.cli.rest import account_of, value

    account_id, domain_id = account_of(name, "")
    answer = value(f"/domains/{domain_id}/spf-prune", account_id, {"days": days})
    print_json(answer) if as_json else _prune(answer)


def print_plan(answer: dict[str, Any]) -> None:
    """The changes of a plan, one after the other."""
    if not answer["changes"]:
        print(f"{answer['domain']}: no change of a record is proposed.")
    for number, one in enumerate(answer["changes"], 1):
        print(f"{'' if number == 1 else chr(10)}{number}. {one['type']} record at {one['name']} ({one['code']})")
        for before in one["before"]:
            print(f"   before   {_plain(before)}")
        if not one["before"]:
            print("   before   (none)")
        print(f"   after    {_plain(one['after'])}")
        print(f"   change   {_plain(_marked(one['difference']))}")
        print(f"   why      {_plain(one['why'])}")
        print(f"   risk     {_plain(one['risk']['summary'])}")
        for sender in one["risk"]["senders"]:
            yours = " (yours)" if sender["yours"] else ""
            figures = f"{sender['affected']:,} of {sender['messages']:,} messages"
            print(f"            {_plain(sender['sender'])}{yours}: {figures}")
        if one["risk"]["more_senders"]:
            print(f"            and {one['risk']['more_senders']:,} more senders")
        print(f"   back     {_plain(one['back'])}")
        if one["obstacle"]:
            print(f"   note     {_plain(one['obstacle'])}")
    for note in answer["notes"]:
        print(f"\n{_plain(note)}")
    if answer["spf"] is not None and not answer["spf"]["trimmed"]:
        print(f"\nSPF: {_plain(answer['spf']['summary'])}")


def _prune(answer: dict[str, Any]) -> None:
    print(f"{answer['domain']}: {_plain(answer['summary'])}\n")
    rows = [
        (one["term"], one["state"], f"{one['messages']:,}", f"{one['addresses']:,}", one["lookups"], one["reason"])
        for one in answer["terms"]
    ]
    print_table(["term", "state", "messages", "addresses", "look-ups", "reason"], rows, "No terms.")
    if answer["trimmed"]:
        print(f"\nbefore  {_plain(answer['record'])}\nafter   {_plain(answer['trimmed'])}\n")
        print(f"{answer['lookups'] - answer['saved']} of {answer['lookups']} DNS look-ups remain. {answer['proof']}")


def _marked(pieces: list[dict[str, str]]) -> str:
    marks = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
    return "".join(marks[piece["state"]].format(piece["text"]) for piece in pieces)


def _plain(text: str) -> str:
    """Text of strangers without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)
