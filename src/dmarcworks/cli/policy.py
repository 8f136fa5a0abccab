"""`dmarcworks policy DOMAIN`: the next step of a domain's policy, the replay of another one, the changes to publish."""

from __future__ import annotations

import sys
from typing import Any

import typer

from dmarcworks.cli.change_plan import print_plan
from dmarcworks.cli.common import print_json, print_table
from dmarcworks.errors import UsageError


def policy(
    domain: str = typer.Argument(help="The domain or its id."),
    wanted: str | None = typer.Option(
        None,
        "--if",
        help="Replay this policy: p=reject, and sp, np, adkim, aspf, t, pct after commas.",
        metavar="POLICY",
    ),
    as_plan: bool = typer.Option(False, "--plan", help="Look up the records and show each change to publish."),
    parked: bool = typer.Option(False, "--parked", help="With --plan: the domain is to have no mail at all."),
    days: int | None = typer.Option(
        None, "--days", min=1, max=3660, help="Number of UTC days, up to and including today; default 30."
    ),
    first: str = typer.Option("", "--from", help="First UTC day, YYYY-MM-DD.", metavar="DAY"),
    last: str = typer.Option("", "--to", help="Last UTC day, inclusive.", metavar="DAY"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
    as_csv: bool = typer.Option(False, "--csv", help="With --if: print senders, classes, days and addresses as CSV."),
) -> None:
    """Show whether a domain is ready for its next DMARC policy, or what a policy would have done to its mail."""
    from dmarcworks.analytics.period import parse_day
    from dmarcworks.cli.rest import account_of, text, value
    from dmarcworks.policy.tags import parse_policy

    if as_csv and (as_json or wanted is None):
        raise UsageError("--csv needs --if, and excludes --json")
    if as_plan and (wanted is not None or as_csv):
        raise UsageError("--plan excludes --if and --csv")
    if parked and not as_plan:
        raise UsageError("--parked needs --plan")
    if days is not None and first:
        raise UsageError("--days and --from exclude each other: give --days with --to, or --from with --to")
    for day, name in ((first, "--from"), (last, "--to")):
        parse_day(day, name)
    if wanted is not None:
        parse_policy(wanted)
    account_id, domain_id = account_of(domain, "")
    period: dict[str, Any] = {"days": days, "first": first, "last": last}
    path = f"/domains/{domain_id}/policy"
    if as_plan:
        answer = value(f"{path}/plan", account_id, {**period, "parked": "true" if parked else None})
        print_json(answer) if as_json else print_plan(answer)
        return
    if wanted is None:
        answer = value(path, account_id, period)
        print_json(answer) if as_json else _advice(answer)
        return
    parameters = {**period, "if": wanted}
    if as_csv:
        sys.stdout.write(text(f"{path}/replay", account_id, {**parameters, "format": "csv"}))
        return
    answer = value(f"{path}/replay", account_id, parameters)
    print_json(answer) if as_json else _replay(answer)


def _advice(answer: dict[str, Any]) -> None:
    force = answer["policy"]
    if force is None:
        print(f"{answer['domain']}: no report states its policy.")
    else:
        print(f"{answer['domain']}: {_tags(force)} since {answer['since']} ({_plain(answer['source'])})")
    if answer["next"]:
        print(f"next step: {answer['next']}, {'ready' if answer['ready'] else 'not yet'}")
    print(_plain(answer["summary"]))
    if answer["because"]:
        print()
    for one in answer["because"]:
        print(f"  [{'x' if one['met'] else ' '}] {_plain(one['message'])}")


def _replay(answer: dict[str, Any]) -> None:
    print(
        f"{_tags(answer['policy'])} for {answer['domain']}, {answer['from']} to {answer['to']}:"
        f" {answer['affected']:,} of {answer['messages']:,} messages affected ({answer['quarantined']:,} quarantined,"
        f" {answer['rejected']:,} rejected), {answer['yours']['affected']:,} of them from senders that are yours."
    )
    print()
    rows = [
        (
            one["sender"],
            one["class"],
            "yes" if one["yours"] else "",
            f"{one['messages']:,}",
            f"{one['affected']:,}",
            one["disposition"],
            ", ".join(f"{word} {count:,}" for word, count in one["overrides"].items()),
        )
        for one in answer["senders"]
    ]
    columns = ["sender", "class", "yours", "messages", "affected", "disposition", "overridden before"]
    print_table(columns, rows, "No reports in this period.")
    notes = {
        "np_candidates": "failing messages are of subdomains that may not exist; np was applied to them",
        "other_record": "messages are of subdomains with a DMARC record of their own, which stays in effect",
        "outside": "messages name an author domain that is not below this one; the policy does not apply to them",
    }
    for name, words in notes.items():
        count = answer[name]["messages"] if name == "np_candidates" else answer[name]
        if count:
            print(f"\n{count:,} {words}.")


def _tags(policy: dict[str, Any]) -> str:
    """Tags whose value is not their default."""
    shown = [f"p={policy['p']}"]
    shown += [f"sp={policy['sp']}"] if policy["sp"] != policy["p"] else []
    shown += [f"np={policy['np']}"] if policy["np"] != policy["sp"] else []
    shown += [f"{name}={policy[name]}" for name in ("adkim", "aspf") if policy[name]]
    shown += ["t=y"] if policy["t"] == "y" else []
    shown += [f"pct={policy['pct']}"] if policy["pct"] != 100 else []
    return "; ".join(shown)


def _plain(text: str) -> str:
    """Text of strangers without control characters."""
    return "".join(character if character.isprintable() else " " for character in text)
