"""`dmarcworks sources DOMAIN`: who sends in a domain's name, by source address."""

from __future__ import annotations

import typer

from dmarcworks.cli.common import print_json, print_table


def sources(
    domain: str = typer.Argument(help="The domain or its id."),
    first: str = typer.Option("", "--first", help="First UTC day, YYYY-MM-DD; default: the last 30 days."),
    last: str = typer.Option("", "--last", help="Last UTC day, inclusive."),
    days: int | None = typer.Option(None, "--days", help="Number of UTC days up to the last; default 30."),
    order: str = typer.Option("messages", "--order", help="messages, passed, source_ip or last_day."),
    limit: int = typer.Option(100, "--limit", min=1, max=100_000, help="At most this many."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """List the addresses that sent mail in the domain's name, with the filters of the REST API."""
    from dmarcworks.cli.rest import account_of, items, no_reports

    account_id, domain_id = account_of(domain, "")
    period: dict[str, str | int | None] = {"first": first, "last": last, "days": days, "order": order}
    rows = items(f"/domains/{domain_id}/sources", account_id, period, limit)
    if as_json:
        print_json(rows)
        return
    columns = ["source_ip", "messages", "passed", "dkim_aligned", "spf_aligned", "quarantined", "rejected", "last_day"]
    shown = [tuple(row[name] for name in columns) for row in rows]
    empty = "" if shown else no_reports(domain_id, account_id)
    print_table([name.replace("_", " ") for name in columns], shown, empty)
