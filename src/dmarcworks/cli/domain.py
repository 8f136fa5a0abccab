"""`dmarcworks domain …`: manage the domains that receive reports."""

from __future__ import annotations

from typing import Any

import typer

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.setup_records import failure_tag, records
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import NotFoundError
from dmarcworks.settings import Settings

app = typer.Typer(help="Manage the domains that receive reports.", no_args_is_help=True, add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


async def _document(domain: Domain, stores: Stores, settings: Settings) -> dict[str, Any]:
    account = await stores.accounts.account(domain.account_id)
    return {
        "domain": domain.name,
        "account": account.name if account else "",
        "account_id": domain.account_id,
        "domain_id": domain.id,
        "rua": domain.rua,
        "enabled": domain.enabled,
        "records": [
            {"name": record.name, "type": record.type, "value": record.value}
            for record in records(domain.name, domain.rua, settings.hostname.lower())
        ],
    }


def _show(result: dict[str, Any], heading: str) -> None:
    print(f"{heading}\n")
    print(f"  account     {result['account']} ({result['account_id']})")
    print(f"  domain id   {result['domain_id']}")
    print(f"  reports to  {result['rua']}\n")
    print("Publish these records:\n")
    for record in result["records"]:
        print(f"  {record['name']}  {record['type']}  {record['value']}")
    print("\nIf the domain already has a DMARC or TLS-RPT record, keep it and add the address to its rua list.")
    print(
        f"For failure reports (about single messages, optional) add to the DMARC record: {failure_tag(result['rua'])}"
    )


@app.command()
def add(
    name: str = typer.Argument(help="The domain, like example.com."),
    account: str = typer.Option("default", "--account", help="The account that owns it; created if missing."),
    public_suffix: bool = typer.Option(
        False, "--public-suffix", help="Add it even if it is a public suffix, whose subdomains have other owners."
    ),
    as_json: bool = _JSON,
) -> None:
    """Add a domain: prints its rua address and the records to publish."""

    from dmarcworks.ingest.retry import adoptable  # not needed to list domains

    async def work(stores: Stores, settings: Settings) -> tuple[dict[str, Any], int]:
        domain = await stores.accounts.add_domain(name, account, operator=True, public_suffix=public_suffix)
        waiting = await adoptable(stores, domain.account_id)
        kept = sum(list(reports.values()).count(domain.id) for _, reports in waiting)
        return await _document(domain, stores, settings), kept

    document, kept = with_stores(work)
    if as_json:
        print_json(document)
        return
    _show(document, f"Added {document['domain']}.")
    if kept:
        reports = "1 report about it" if kept == 1 else f"{kept} reports about it"
        print(
            f"\n{reports} arrived earlier at other addresses of the account; `dmarcworks problems adopt --all` "
            f"counts them."
        )


@app.command()
def show(name: str = typer.Argument(help="The domain or its id."), as_json: bool = _JSON) -> None:
    """Print a domain's rua address and records."""

    async def work(stores: Stores, settings: Settings) -> dict[str, Any]:
        return await _document(await _find(name, stores), stores, settings)

    result = with_stores(work)
    print_json(result) if as_json else _show(result, result["domain"])


@app.command("list")
def list_(
    account: str | None = typer.Option(None, "--account", help="Only this account's domains."), as_json: bool = _JSON
) -> None:
    """List the domains."""

    async def work(stores: Stores, settings: Settings) -> list[Domain]:
        owner = None if account is None else await stores.accounts.account_by_name(account)
        return await stores.accounts.domains(None if owner is None else owner.id)

    domains = with_stores(work)
    if as_json:
        print_json(domains)
    else:
        rows = [(d.name, d.rua, "yes" if d.enabled else "no", d.created) for d in domains]
        print_table(
            ["domain", "reports to", "accepting mail", "added"],
            rows,
            "No domains yet. Add one: `dmarcworks domain add example.com`.",
        )


@app.command()
def disable(name: str = typer.Argument(help="The domain or its id.")) -> None:
    """Disable a domain: reject mail for its rua address until it is enabled. Reports and figures are kept."""
    print(f"Mail for {_switch(name, False).rua} is now rejected.")


@app.command()
def enable(name: str = typer.Argument(help="The domain or its id.")) -> None:
    """Enable a domain: accept mail for its rua address again."""
    print(f"Mail for {_switch(name, True).rua} is now accepted.")


def _switch(name: str, enabled: bool) -> Domain:
    async def work(stores: Stores, settings: Settings) -> Domain:
        return await stores.accounts.enable_domain(await _find(name, stores), enabled)

    return with_stores(work)


@app.command()
def remove(
    name: str = typer.Argument(help="The domain or its id."),
    yes: bool = typer.Option(False, "--yes", help="Do not prompt."),
) -> None:
    """Remove a domain: reject its reports. Archived reports and figures are kept."""
    if not yes:
        typer.confirm(f"Mail for {name}'s rua address will be rejected. Remove the domain?", abort=True)

    async def work(stores: Stores, settings: Settings) -> None:
        await stores.accounts.remove_domain(await _find(name, stores))

    with_stores(work)
    print(f"Removed {name}; its archived reports and figures are kept.")


async def _find(name: str, stores: Stores) -> Domain:
    domain = await stores.accounts.domain(None, name)
    if domain is None:
        raise NotFoundError(f"there is no domain {name}; `dmarcworks domain list` lists the domains")
    return domain
