"""`dmarcworks domain show` and `check`: a domain's address, what is published, what is missing, what to publish."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.addresses import host_of
from dmarcworks.catalogue.setup_records import DnsRecord, earlier_records, failure_tag
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, with_stores
from dmarcworks.errors import NotFoundError
from dmarcworks.settings import Settings

# Imported when a domain is shown: a list does not need them.
if TYPE_CHECKING:
    from dmarcworks.catalogue.arrivals import Received
    from dmarcworks.policy.setup.model import DomainSetup, SetupItem

__all__ = ["ShownDomain", "check", "find_domain", "look_up", "print_domain", "show", "shown_domain"]

# What `add` waits for DNS at most, and `check`.
ADD_SECONDS, CHECK_SECONDS = 4.0, 10.0
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@dataclass(frozen=True, slots=True)
class ShownDomain:
    """A domain as it is printed: the JSON document, and the set-up that the text shows."""

    document: dict[str, Any]
    setup: DomainSetup


async def shown_domain(domain: Domain, stores: Stores) -> ShownDomain:
    """All that is printed about a domain."""
    from dmarcworks.policy.setup.reader import SetupReader

    account = await stores.accounts.account(domain.account_id)
    setup = await SetupReader(stores.setups, stores.arrivals).of(domain)
    document = {
        "domain": domain.name,
        "account": account.name if account else "",
        "account_id": domain.account_id,
        "domain_id": domain.id,
        "rua": domain.rua,
        "enabled": domain.enabled,
        "parked": domain.parked,
        "proven": domain.proven,
        "records": [_record(record) for record in setup.records],
        "earlier": list(domain.earlier),
        "earlier_records": [_record(record) for record in earlier_records(domain.rua, domain.earlier)],
        "reports": await stores.arrivals.received(domain.account_id, domain.id),
        "setup": {
            "state": setup.state,
            "checked": setup.checked,
            "evidence": setup.evidence,
            "items": [asdict(one) for one in setup.items],
            "notes": list(setup.notes),
            "challenge": _record(setup.challenge),
        },
    }
    return ShownDomain(document, setup)


async def look_up(domain: Domain, stores: Stores, settings: Settings, seconds: float) -> Domain:
    """Check the domain's records in DNS now, within so many seconds; the domain as it is then."""
    from dmarcworks.enrich.resolver import Dns
    from dmarcworks.upkeep.domain_setup import SetupChecker

    resolver = Dns(settings.dns_server)
    try:
        checker = SetupChecker(stores, resolver, settings.dns_server, subaddressing=settings.routing_subaddressing)
        await checker.check(domain, seconds=seconds)
    finally:
        await asyncio.to_thread(resolver.close)
    return await stores.accounts.domain(None, domain.id) or domain


def _record(record: DnsRecord) -> dict[str, str]:
    return {"name": record.name, "type": record.type, "value": record.value}


def print_domain(shown: ShownDomain, heading: str) -> None:
    """The text for a person."""
    result, setup = shown.document, shown.setup
    print(f"{heading}\n")
    print(f"  account     {result['account']} ({result['account_id']})")
    print(f"  domain id   {result['domain_id']}")
    print(f"  reports to  {result['rua']}{'' if result['enabled'] else '  (disabled: its mail is rejected)'}")
    for address in result["earlier"]:
        print(f"  and also    {address}  (an earlier host name; still accepted)")
    print(f"  ownership   {_ownership(setup)}")
    print(f"  reports     {_arrivals(result['reports'])}")
    print(f"  set-up      {_state(setup)}\n")
    if setup.checked is not None:
        for one in setup.items:
            _print_item(one)
        print()
    for note in setup.notes:
        print(f"{_printable(note)}\n")
    print("Publish these records:\n")
    _print_records(result["records"])
    if setup.checked is None:
        print("\nIf the domain already has a DMARC or TLS-RPT record, keep it and add the address to its rua list.")
    print(
        f"{'' if setup.checked is None else chr(10)}For failure reports (about single messages, optional) add to the "
        f"DMARC record: {failure_tag(result['rua'])}"
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


def _ownership(setup: DomainSetup) -> str:
    if setup.proven is not None:
        return f"proven on {setup.proven:%Y-%m-%d %H:%M} UTC"
    record = setup.challenge
    return f"unproven: publish the DMARC record below, or {record.name}  {record.type}  {record.value}"


_STATES = {
    "unchecked": "DNS has not been looked at yet",
    "unknown": "DNS gave no answer about some records; `dmarcworks domain check NAME` looks again",
    "publish": "records are missing",
    "waiting": "everything is published; the first report is awaited",
    "receiving": "reports arrive",
}


def _state(setup: DomainSetup) -> str:
    checked = f" (looked up at {setup.checked:%Y-%m-%d %H:%M} UTC)" if setup.checked else ""
    return _STATES[setup.state] + checked


def _print_item(item: SetupItem) -> None:
    mark = "optional" if item.optional and item.status == "missing" else str(item.status)
    print(f"  {mark:<10}{item.title}: {_printable(item.message)}")
    if item.status == "done":
        return
    if item.fix:
        print(f"{'':12}{_printable(item.fix)}")
    for change in item.changes:
        place = f"{change.name}  {change.type}"
        for line in change.before.splitlines() if item.status != "unchecked" else ():
            print(f"{'':12}- {_printable(place)}  {_printable(line)}")
        print(f"{'':12}+ {_printable(place)}  {_printable(change.after)}")


def _print_records(records: Iterable[dict[str, str]]) -> None:
    for record in records:
        print(f"  {record['name']}  {record['type']}  {_printable(record['value'])}")


def _printable(text: str) -> str:
    """Text from DNS is written by strangers: nothing of it controls a terminal."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def _arrivals(received: Received) -> str:
    if received.last is None:
        return "none has arrived yet; the first comes within two days after the records are published"
    count = f"{received.total} received, {received.last_7_days} of them in the last 7 days"
    return f"{count}; the last one at {received.last:%Y-%m-%d %H:%M} UTC"


def show(name: str = typer.Argument(help="The domain or its id."), as_json: bool = _JSON) -> None:
    """Print a domain's rua address, its records, what is published of them and whether reports arrive."""

    async def work(stores: Stores, settings: Settings) -> ShownDomain:
        return await shown_domain(await find_domain(name, stores), stores)

    result = with_stores(work)
    print_json(result.document) if as_json else print_domain(result, result.document["domain"])


def check(name: str = typer.Argument(help="The domain or its id."), as_json: bool = _JSON) -> None:
    """Look up in DNS whether a domain's records are published, and print it like `show`.

    Exit status 0 when nothing is missing, 1 when a record is, 3 when DNS did not answer.
    """

    async def work(stores: Stores, settings: Settings) -> ShownDomain:
        domain = await look_up(await find_domain(name, stores), stores, settings, CHECK_SECONDS)
        return await shown_domain(domain, stores)

    result = with_stores(work)
    print_json(result.document) if as_json else print_domain(result, result.document["domain"])
    statuses = {one.status for one in result.setup.items if not one.optional and one.code != "first-report"}
    if status := 3 if "unknown" in statuses else 1 if "missing" in statuses else 0:
        raise typer.Exit(status)


async def find_domain(name: str, stores: Stores) -> Domain:
    """The domain by name or id, of any account; `NotFoundError` with a hint."""
    domain = await stores.accounts.domain(None, name)
    if domain is None:
        raise NotFoundError(f"there is no domain {name}; `dmarcworks domain list` lists the domains")
    return domain
