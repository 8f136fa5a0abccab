"""`dmarcworks domain …`: manage the domains that receive reports."""

from __future__ import annotations

from dataclasses import asdict

import typer

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli import change_plan, domain_add, domain_claim, domain_history, domain_record, domain_show
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.cli.domain_show import find_domain
from dmarcworks.settings import Settings

app = typer.Typer(help="Manage the domains that receive reports.", no_args_is_help=True, add_completion=False)
app.command("add")(domain_add.add)
app.command("show")(domain_show.show)
app.command("check")(domain_show.check)
app.command("claim")(domain_claim.claim)
app.command("claims")(domain_claim.claims)
app.command("notices")(domain_claim.notices)
app.command("record")(domain_record.record)
app.command("spf-prune")(change_plan.spf_prune)
app.command("history")(domain_history.history)
app.command("silence")(domain_history.silence)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def figures(
    name: str = typer.Argument(help="The domain or its id."),
    first: str = typer.Option("", "--first", help="First UTC day, YYYY-MM-DD; default: the last 30 days."),
    last: str = typer.Option("", "--last", help="Last UTC day, inclusive."),
    days: int | None = typer.Option(None, "--days", help="Number of UTC days up to the last; default 30."),
    by_day: bool = typer.Option(False, "--daily", help="Print a line for each day instead of totals."),
    as_json: bool = _JSON,
) -> None:
    """Print a domain's figures over a period, with the filters of the REST API."""
    from dmarcworks.cli.rest import account_of, value

    account_id, domain_id = account_of(name, "")
    period: dict[str, str | int | None] = {"first": first, "last": last, "days": days}
    result = value(f"/domains/{domain_id}/{'days' if by_day else 'figures'}", account_id, period)
    rows = result["items"] if by_day else [result]
    if as_json:
        print_json(rows if by_day else result)
    elif by_day:
        columns = ["day", "messages", "passed", "failed", "quarantined", "rejected", "reports"]
        print_table(columns, [tuple(row[column] for column in columns) for row in rows], "No reports in this period.")
    else:
        print_table(["figure", name], [(key.replace("_", " "), one) for key, one in result.items()], "")


@app.command("list")
def list_(
    account: str | None = typer.Option(None, "--account", help="Only this account's domains."), as_json: bool = _JSON
) -> None:
    """List the domains."""

    async def work(stores: Stores, settings: Settings) -> tuple[list[Domain], dict[str, str]]:
        owner = None if account is None else await stores.accounts.account_by_name(account)
        names = {one.id: one.name for one in await stores.accounts.accounts()}
        return await stores.accounts.domains(None if owner is None else owner.id), names

    domains, names = with_stores(work)
    if as_json:
        print_json([{**asdict(domain), "account": names.get(domain.account_id, "")} for domain in domains])
    else:
        rows = [
            (d.name, d.rua, names.get(d.account_id, d.account_id), "yes" if d.enabled else "no", _proven(d), d.created)
            for d in domains
        ]
        print_table(
            ["domain", "reports to", "account", "accepting mail", "ownership", "added"],
            rows,
            "No domains yet. Add one: `dmarcworks domain add example.com`.",
        )


def _proven(domain: Domain) -> str:
    return "unproven" if domain.proven is None else "proven"


@app.command()
def disable(name: str = typer.Argument(help="The domain or its id."), as_json: bool = _JSON) -> None:
    """Disable a domain: reject mail for its rua address until it is enabled. Reports and figures are kept."""
    domain = _switch(name, False)
    print_json(domain) if as_json else print(f"Mail for {domain.rua} is now rejected.")


@app.command()
def enable(name: str = typer.Argument(help="The domain or its id."), as_json: bool = _JSON) -> None:
    """Enable a domain: accept mail for its rua address again."""
    domain = _switch(name, True)
    print_json(domain) if as_json else print(f"Mail for {domain.rua} is now accepted.")


def _switch(name: str, enabled: bool) -> Domain:
    async def work(stores: Stores, settings: Settings) -> Domain:
        return await stores.accounts.enable_domain(await find_domain(name, stores), enabled)

    return with_stores(work)


@app.command()
def remove(
    name: str = typer.Argument(help="The domain or its id."),
    yes: bool = typer.Option(False, "--yes", help="Do not prompt."),
    as_json: bool = _JSON,
) -> None:
    """Remove a domain: reject its reports. Archived reports and figures are kept, for when it is added again."""
    if not yes:
        typer.confirm(f"Mail for {name}'s rua address will be rejected. Remove the domain?", abort=True, err=True)

    async def work(stores: Stores, settings: Settings) -> Domain:
        domain = await find_domain(name, stores)
        await stores.accounts.remove_domain(domain)
        return domain

    domain = with_stores(work)
    if as_json:
        print_json(domain)
    else:
        print(f"Removed {domain.name}; its archived reports and figures are kept. Adding it again brings them back.")


@app.command("remove-address")
def remove_address(
    address: str = typer.Argument(help="An earlier address of a domain, as `domain show` prints it."),
    as_json: bool = _JSON,
) -> None:
    """Reject mail for a domain's address at an earlier host name, once its DMARC record names the current one."""

    async def work(stores: Stores, settings: Settings) -> Domain:
        return await stores.accounts.remove_address(address)

    domain = with_stores(work)
    print_json(domain) if as_json else print(f"Mail for {address} is now rejected; {domain.name} keeps {domain.rua}.")
