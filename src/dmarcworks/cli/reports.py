"""`dmarcworks reports`: the reports that were received."""

from __future__ import annotations

import typer

from dmarcworks.cli.common import print_json, print_table


def reports(
    domain: str = typer.Option("", "--domain", help="Only this domain, by name or id.", show_default=False),
    account: str = typer.Option("default", "--account", help="The account, when no domain is named."),
    kind: str = typer.Option("", "--kind", help="aggregate, tls or failure.", show_default=False),
    state: str = typer.Option("", "--state", help="counted, foreign or kept.", show_default=False),
    first: str = typer.Option("", "--first", help="First UTC day on which a report begins, YYYY-MM-DD."),
    last: str = typer.Option("", "--last", help="Last UTC day, inclusive."),
    org_name: str = typer.Option("", "--org-name", help="Only this reporter.", show_default=False),
    report_id: str = typer.Option("", "--report-id", help="Only this report id.", show_default=False),
    limit: int = typer.Option(100, "--limit", min=1, max=100_000, help="At most this many."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """List reports, newest first, with the filters of the REST API."""
    from dmarcworks.cli.rest import account_of, items

    account_id, domain_id = account_of(domain, account)
    filters: dict[str, str | int | None] = {"domain": domain_id, "kind": kind, "state": state, "first": first}
    filters |= {"last": last, "org_name": org_name, "report_id": report_id}
    rows = items("/reports", account_id, filters, limit)
    if as_json:
        print_json(rows)
        return
    columns = ["received", "kind", "state", "org_name", "policy_domain", "report_id", "records", "messages"]
    shown = [tuple(row.get(name) for name in columns) for row in rows]
    print_table([name.replace("_", " ") for name in columns], shown, "No reports match.")
