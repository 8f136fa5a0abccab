"""`dmarcworks domain …`: manage the domains that receive reports."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dmarcworks.catalogue.accounts import Account, Domain, normal_domain
from dmarcworks.catalogue.addresses import host_of
from dmarcworks.catalogue.setup_records import DnsRecord, earlier_records, failure_tag, records
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli import domain_history, domain_record
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import ConflictError, DeniedError, NotFoundError, UsageError
from dmarcworks.settings import Settings

# Imported when a domain is shown: a list does not need it.
if TYPE_CHECKING:
    from dmarcworks.catalogue.arrivals import Received

app = typer.Typer(help="Manage the domains that receive reports.", no_args_is_help=True, add_completion=False)
app.command("record")(domain_record.record)
app.command("history")(domain_history.history)
app.command("silence")(domain_history.silence)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


async def _document(domain: Domain, stores: Stores) -> dict[str, Any]:
    account = await stores.accounts.account(domain.account_id)
    return {
        "domain": domain.name,
        "account": account.name if account else "",
        "account_id": domain.account_id,
        "domain_id": domain.id,
        "rua": domain.rua,
        "enabled": domain.enabled,
        "records": [_record(record) for record in records(domain.name, domain.rua, host_of(domain.rua))],
        "earlier": list(domain.earlier),
        "earlier_records": [_record(record) for record in earlier_records(domain.rua, domain.earlier)],
        "reports": await stores.arrivals.received(domain.account_id, domain.id),
    }


def _record(record: DnsRecord) -> dict[str, str]:
    return {"name": record.name, "type": record.type, "value": record.value}


def _show(result: dict[str, Any], heading: str) -> None:
    print(f"{heading}\n")
    print(f"  account     {result['account']} ({result['account_id']})")
    print(f"  domain id   {result['domain_id']}")
    print(f"  reports to  {result['rua']}{'' if result['enabled'] else '  (disabled: its mail is rejected)'}")
    for address in result["earlier"]:
        print(f"  and also    {address}  (an earlier host name; still accepted)")
    print(f"  reports     {_arrivals(result['reports'])}\n")
    print("Publish these records:\n")
    _print_records(result["records"])
    print("\nIf the domain already has a DMARC or TLS-RPT record, keep it and add the address to its rua list.")
    print(
        f"For failure reports (about single messages, optional) add to the DMARC record: {failure_tag(result['rua'])}"
    )
    if "." not in (host := host_of(result["rua"])):
        print(
            f"\nDo not publish them yet: no reporter can reach the host name {host}. "
            "Set DMARCWORKS_HOSTNAME and restart"
        )
        print("the server; each domain then gets its address at the new name, which `domain show` prints.")
    if result["earlier"]:
        print("\nKeep these records while reports arrive at the earlier addresses:\n")
        _print_records(result["earlier_records"])
        print("\n`dmarcworks domain remove-address ADDRESS` ends an earlier address.")


def _print_records(shown: Iterable[dict[str, str]]) -> None:
    for record in shown:
        print(f"  {record['name']}  {record['type']}  {record['value']}")


def _arrivals(received: Received) -> str:
    if received.last is None:
        return "none has arrived yet; the first comes within two days after the records are published"
    count = f"{received.total} received, {received.last_7_days} of them in the last 7 days"
    return f"{count}; the last one at {received.last:%Y-%m-%d %H:%M} UTC"


@app.command()
def add(
    name: str = typer.Argument("", help="The domain, like example.com.", show_default=False),
    file: str = typer.Option(
        "", "--file", help="Add every domain in this file, one per line; - reads standard input.", show_default=False
    ),
    account: str = typer.Option("default", "--account", help="The account that owns it; created if missing."),
    public_suffix: bool = typer.Option(
        False, "--public-suffix", help="Add it even if it is a public suffix, whose subdomains have other owners."
    ),
    as_json: bool = _JSON,
) -> None:
    """Add a domain: prints its rua address and the records to publish.

    With --file: add every domain of the file that the account does not have yet. Exit status 1 when one was refused.
    """
    if bool(name) == bool(file):
        raise UsageError("name a domain, or a file of domains with --file")
    if file:
        _add_all(_names(file), account, public_suffix, as_json)
        return

    from dmarcworks.ingest.retry import adoptable  # not needed to list domains

    async def work(stores: Stores, settings: Settings) -> tuple[dict[str, Any], int]:
        domain = await stores.accounts.add_domain(name, account, operator=True, public_suffix=public_suffix)
        waiting = await adoptable(stores, domain.account_id)
        kept = sum(list(reports.values()).count(domain.id) for _, reports in waiting)
        return await _document(domain, stores), kept

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


def _names(file: str) -> list[str]:
    """The names in a file: one a line; empty lines and comments (#) do not count."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{file} cannot be read: {reason}") from None
    names = [line.partition("#")[0].strip() for line in text.splitlines()]
    if not any(names):
        raise UsageError(f"{file} contains no domain; write one per line")
    return [name for name in dict.fromkeys(names) if name]


async def _outcome(name: str, owner: Account, stores: Stores, public_suffix: bool) -> dict[str, Any]:
    try:
        domain, outcome = await stores.accounts.domain(owner.id, normal_domain(name)), "present"
        if domain is None:
            outcome = "added"
            domain = await stores.accounts.add_domain(name, owner.name, operator=True, public_suffix=public_suffix)
    except (UsageError, ConflictError, DeniedError) as error:
        return {"domain": name, "outcome": "refused", "rua": None, "reason": str(error)}
    return {"domain": domain.name, "outcome": outcome, "rua": domain.rua, "reason": ""}


def _add_all(names: list[str], account: str, public_suffix: bool, as_json: bool) -> None:
    async def work(stores: Stores, settings: Settings) -> list[dict[str, Any]]:
        owner = await stores.accounts.account_by_name(account, create=True)
        return [await _outcome(name, owner, stores, public_suffix) for name in names]

    outcomes = with_stores(work)
    if as_json:
        print_json(outcomes)
    else:
        rows = [(one["domain"], one["outcome"], one["rua"] or one["reason"]) for one in outcomes]
        print_table(["domain", "outcome", "reports to"], rows, "")
        print("`dmarcworks domain show NAME` prints the records to publish.")
    if any(one["outcome"] == "refused" for one in outcomes):
        raise typer.Exit(1)


@app.command()
def show(name: str = typer.Argument(help="The domain or its id."), as_json: bool = _JSON) -> None:
    """Print a domain's rua address, its records and whether reports arrive."""

    async def work(stores: Stores, settings: Settings) -> dict[str, Any]:
        return await _document(await find_domain(name, stores), stores)

    result = with_stores(work)
    print_json(result) if as_json else _show(result, result["domain"])


@app.command()
def figures(
    name: str = typer.Argument(help="The domain or its id."),
    first: str = typer.Option("", "--first", help="First UTC day, YYYY-MM-DD; default: the last 30 days."),
    last: str = typer.Option("", "--last", help="Last UTC day, inclusive."),
    by_day: bool = typer.Option(False, "--days", help="Print a line for each day instead of totals."),
    as_json: bool = _JSON,
) -> None:
    """Print a domain's figures over a period, with the filters of the REST API."""
    from dmarcworks.cli.rest import account_of, value

    account_id, domain_id = account_of(name, "")
    period: dict[str, str | int | None] = {"first": first, "last": last}
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
            (d.name, d.rua, names.get(d.account_id, d.account_id), "yes" if d.enabled else "no", d.created)
            for d in domains
        ]
        print_table(
            ["domain", "reports to", "account", "accepting mail", "added"],
            rows,
            "No domains yet. Add one: `dmarcworks domain add example.com`.",
        )


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


async def find_domain(name: str, stores: Stores) -> Domain:
    """The domain by name or id, of any account; `NotFoundError` with a hint."""
    domain = await stores.accounts.domain(None, name)
    if domain is None:
        raise NotFoundError(f"there is no domain {name}; `dmarcworks domain list` lists the domains")
    return domain
