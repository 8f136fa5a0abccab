"""`dmarcworks domain claim`, `claims` and `notices`: prove a domain that another account may have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.settings import Settings

if TYPE_CHECKING:
    from dmarcworks.catalogue.accounts import Domain
    from dmarcworks.catalogue.domain_claims import DomainClaim
    from dmarcworks.catalogue.notices import AccountNotice

__all__ = ["claim", "claims", "notices"]

_ACCOUNT = typer.Option("default", "--account", help="The account.")
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


def claim(
    name: str = typer.Argument(help="The domain, like example.com.", show_default=False),
    account: str = _ACCOUNT,
    withdraw: bool = typer.Option(False, "--withdraw", help="End the account's claim."),
    as_json: bool = _JSON,
) -> None:
    """Claim a domain for an account: prints the DNS record that proves it, and looks it up.

    Once DNS shows the record, the account has the domain, even if another account added it before; both are notified.
    """

    async def work(stores: Stores, settings: Settings) -> dict[str, Any]:
        owner = await stores.accounts.account_by_name(account, create=not withdraw)
        if withdraw:
            ended = await stores.claims.of(owner.id, name)
            await stores.claims.withdraw(ended)
            return {"domain": ended.name, "outcome": "withdrawn"}
        opened = await stores.claims.open(owner, name)
        domain = await _check(opened, stores, settings)
        if domain is not None:
            return {"domain": domain.name, "outcome": "added", "domain_id": domain.id, "rua": domain.rua}
        return _document(await stores.claims.of(owner.id, name), stores.accounts.hostname)

    result = with_stores(work)
    if as_json:
        print_json(result)
    elif result["outcome"] == "withdrawn":
        print(f"The claim to {result['domain']} is withdrawn.")
    elif result["outcome"] == "added":
        print(f"DNS proves the domain: {result['domain']} is in the account, with the address {result['rua']}.")
    else:
        record = result["record"]
        print(f"To prove {result['domain']}, publish this record:\n")
        print(f"  {record['name']}  {record['type']}  {record['value']}\n")
        print(f"or add {result['rua']} to the rua list of its DMARC record.")
        print(f"Not proven yet: {result['reason']}.")
        print("The server looks again automatically; so does this command.")


async def _check(claim: DomainClaim, stores: Stores, settings: Settings) -> Domain | None:
    from dmarcworks.enrich.resolver import Dns
    from dmarcworks.upkeep.domain_setup import SetupChecker

    resolver = Dns(settings.dns_server)
    try:
        return await SetupChecker(stores, resolver, settings.dns_server).check_claim(claim)
    finally:
        await asyncio.to_thread(resolver.close)


def _document(claim: DomainClaim, hostname: str) -> dict[str, Any]:
    from dmarcworks.policy.setup.plan import challenge_record

    record = challenge_record(claim.name, claim.token)
    return {
        "domain": claim.name,
        "outcome": "open",
        "rua": f"{claim.token}@{hostname}",
        "record": {"name": record.name, "type": record.type, "value": record.value},
        "created": claim.created,
        "checked": claim.checked,
        "reason": claim.reason,
    }


def claims(account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """List the domains that an account claims and has not proven yet."""

    async def work(stores: Stores, settings: Settings) -> Sequence[dict[str, Any]]:
        owner = await stores.accounts.account_by_name(account)
        return [_document(one, stores.accounts.hostname) for one in await stores.claims.list(owner.id)]

    rows = with_stores(work)
    if as_json:
        print_json(rows)
    else:
        shown = [(row["domain"], row["record"]["name"], row["record"]["value"], row["checked"]) for row in rows]
        print_table(["domain", "record", "TXT value", "looked up"], shown, "No open claims.")


def notices(
    account: str = _ACCOUNT,
    dismiss: int = typer.Option(0, "--dismiss", metavar="ID", help="Delete this notice.", show_default=False),
    as_json: bool = _JSON,
) -> None:
    """List the notices to an account: domains that it lost to, or received from, another account."""

    async def work(stores: Stores, settings: Settings) -> Sequence[AccountNotice]:
        owner = await stores.accounts.account_by_name(account)
        if dismiss:
            await stores.notices.dismiss(owner.id, dismiss, stores.clock())
        return await stores.notices.list(owner.id)

    rows = with_stores(work)
    if as_json:
        print_json(rows)
    else:
        shown = [(row.id, row.created, row.domain, row.text) for row in rows]
        print_table(["id", "time", "domain", "notice"], shown, "No notices.")
