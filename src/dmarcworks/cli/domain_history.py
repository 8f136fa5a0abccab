"""`dmarcworks domain history` and `domain silence`: what changed in DNS, what reporters saw, what stopped."""

from __future__ import annotations

from typing import Any

import typer

from dmarcworks.cli.common import print_json

__all__ = ["history", "silence"]

_DOMAIN = typer.Argument(help="The domain or its id.")
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
# Characters of a record on a line.
_WIDTH = 300


def history(
    domain: str = _DOMAIN,
    days: int | None = typer.Option(
        None, "--days", min=1, max=3660, help="Number of UTC days, up to and including today; default 30."
    ),
    as_json: bool = _JSON,
) -> None:
    """Show how a domain's DNS records changed, and which policies reporters saw."""
    from dmarcworks.cli.rest import account_of, value

    account_id, domain_id = account_of(domain, "")
    answer = value(f"/domains/{domain_id}/history", account_id, {"days": days})
    print_json(answer) if as_json else _history(answer)


def silence(domain: str = _DOMAIN, as_json: bool = _JSON) -> None:
    """Show reporters that stopped and senders whose alignment fell, with the record change before it."""
    from dmarcworks.cli.rest import account_of, value

    account_id, domain_id = account_of(domain, "")
    answer = value(f"/domains/{domain_id}/silence", account_id, {})
    print_json(answer) if as_json else _silence(answer)


def _history(answer: dict[str, Any]) -> None:
    print(f"{answer['domain']}: DNS records from {answer['first']} to {answer['last']} (UTC)\n")
    for one in answer["changes"]:
        after = f"after {_time(one['after'])}, " if one["after"] else ""
        print(f"{after}by {_time(one['at'])}  {one['what']}  {one['kind']}  {_plain(one['name'])}")
        for mark, records in (("-", one["before"]), ("+", one["now"])):
            for record in records:
                print(f"  {mark} {_plain(record)[:_WIDTH]}")
    if not answer["changes"]:
        checked = "no check has found a change" if answer["records"] else "the records have not been checked yet"
        print(f"In this period {checked}.")
    print("\nWhat reporters saw published:\n")
    for one in answer["seen"]:
        some = ", ".join(_plain(name) or "unnamed reporter" for name in one["reporters"][:5])
        more = f" and {len(one['reporters']) - 5} more" if len(one["reporters"]) > 5 else ""
        print(f"  {one['first']} to {one['last']}  {one['policy']}  ({some}{more})")
    if not answer["seen"]:
        print("  No report of this period states the domain's policy.")


def _silence(answer: dict[str, Any]) -> None:
    lines = [] if answer["silent"] is None else [_stopped("All reports", answer["silent"])]
    lines += [_stopped(_plain(one["reporter"]) or "Unnamed reporter", one) for one in answer["reporters"]]
    for one in answer["alignment"]:
        shares = f"{one['before']:.0%} to {one['now']:.0%}"
        lines.append(f"Alignment of {_plain(one['name'])} fell from {shares} on {one['since']}: {_cause(one)}.")
    if answer["newest"] is None:
        print(f"{answer['domain']}: no report in the last 60 days.")
    elif not lines:
        print(f"{answer['domain']}: nothing stopped; the newest report is about {answer['newest']}.")
    for line in lines:
        print(line)


def _stopped(who: str, one: dict[str, Any]) -> str:
    pause = f"{one['days']} days ago (longest earlier pause: {one['usual']} days)"
    return f"{who} stopped after {one['last']}, {pause}: {_cause(one)}."


def _cause(one: dict[str, Any]) -> str:
    return _plain(one["cause"]["text"]) if one["cause"] else "cause unknown, no DNS change found"


def _time(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _plain(text: str) -> str:
    """What strangers publish, without characters that drive a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
