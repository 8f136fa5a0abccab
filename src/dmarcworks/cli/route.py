"""`dmarcworks route …`: manage routing rules, and the addresses that mail may be forwarded to."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import typer

from dmarcworks.catalogue.destinations import Destination
from dmarcworks.catalogue.routes import DROP, FORWARD, REJECT, WORKER, RoutingRule, Zone, plain_address
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli import route_domain
from dmarcworks.cli.common import dashboard_address, print_json, print_table, with_stores
from dmarcworks.errors import DeniedError, NotFoundError, UsageError
from dmarcworks.settings import Settings

app = typer.Typer(
    help="Manage mail routing rules: worker, forward, drop or reject.",
    no_args_is_help=True,
    add_completion=False,
)
destination = typer.Typer(
    help="Manage the addresses that mail may be forwarded to.", no_args_is_help=True, add_completion=False
)
app.add_typer(destination, name="destination")
app.add_typer(route_domain.app, name="domain")

_RULE = typer.Argument(help="The rule's id, or the beginning of it.")
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_ACCOUNT = typer.Option("default", "--account", help="The account.")
_WORKER = typer.Option(None, "--worker", help="Pass the mail to this worker.")
_FORWARD = typer.Option(None, "--forward", help="Forward the mail to this verified destination.")
_DROP = typer.Option(False, "--drop", help="Accept the mail and discard it.")
_REJECT = typer.Option(None, "--reject", help="Reject the mail with this reason.")


@app.command()
def add(
    address: str = typer.Argument(help="The address, such as info@example.com."),
    worker: str | None = _WORKER,
    forward: str | None = _FORWARD,
    drop: bool = _DROP,
    reject: str | None = _REJECT,
    name: str = typer.Option("", "--name", help="A name for the rule."),
    disabled: bool = typer.Option(False, "--disabled", help="Add the rule without enabling it."),
    priority: int = typer.Option(
        0, "--priority", help="Of two rules for an address the lower priority wins, then the newer rule."
    ),
    account: str = _ACCOUNT,
    as_json: bool = _JSON,
) -> None:
    """Add a rule. It takes effect within two seconds."""
    action, value = _action(worker, forward, drop, reject)

    async def work(stores: Stores, settings: Settings) -> tuple[RoutingRule, bool]:
        zone = await _zone(plain_address(address).rpartition("@")[2], account, stores, settings)
        _known(action, value, settings)
        made = await stores.routing.routes.add(
            zone, address, action, value, name=name, enabled=not disabled, priority=priority
        )
        return made, await _goes(made, stores)

    rule, goes = with_stores(work)
    print_json(rule) if as_json else print(f"{rule.address} → {_words(rule)}  (rule {rule.id})")
    _warn(rule, goes)


@app.command("catch-all")
def catch_all(
    domain: str = typer.Argument(help="The domain, or the report host."),
    worker: str | None = _WORKER,
    forward: str | None = _FORWARD,
    drop: bool = _DROP,
    reject: str | None = _REJECT,
    off: bool = typer.Option(False, "--off", help="Disable the catch-all: mail that no rule matches is rejected."),
    account: str = _ACCOUNT,
    as_json: bool = _JSON,
) -> None:
    """Set the action for mail that no rule matches."""
    action, value = (REJECT, "") if off else _action(worker, forward, drop, reject)

    async def work(stores: Stores, settings: Settings) -> tuple[RoutingRule, bool]:
        zone = await _zone(domain.strip().lower(), account, stores, settings)
        _known(action, value, settings)
        made = await stores.routing.routes.set_catch_all(zone, action, value, enabled=not off)
        return made, await _goes(made, stores)

    rule, goes = with_stores(work)
    if as_json:
        print_json(rule)
    else:
        print(
            f"the catch-all of {rule.domain} is disabled"
            if off
            else f"all other addresses @{rule.domain} → {_words(rule)}"
        )
    _warn(rule, goes)


@app.command("list")
def list_(
    domain: str | None = typer.Argument(None, help="Only this domain's rules."),
    account: str | None = typer.Option(None, "--account", help="Only this account's rules."),
    as_json: bool = _JSON,
) -> None:
    """List rules, the catch-all of a domain last."""

    async def work(stores: Stores, settings: Settings) -> tuple[list[RoutingRule], set[str], dict[str, str], list[str]]:
        owner = None if account is None else (await stores.accounts.account_by_name(account)).id
        rules = await stores.routing.routes.rules(account_id=owner)
        wanted = [rule for rule in rules if domain is None or rule.domain == domain.strip().lower()]
        waiting = {rule.id for rule in wanted if not await _goes(rule, stores)}
        switched_off = await stores.routing.routes.switched_off()
        off = [one.name for one in await stores.accounts.domains(owner) if one.id in switched_off]
        return wanted, waiting, await stores.routing.routes.objections(wanted), off

    rules, waiting, objections, off = with_stores(work)
    if as_json:
        print_json(rules)
        return
    rows = [
        (
            rule.id[:8],
            rule.address or f"*@{rule.domain}",
            _words(rule),
            _state(rule, waiting, objections),
            rule.name,
        )
        for rule in rules
    ]
    empty = "No rules yet. Add one: `dmarcworks route add info@example.com --forward me@example.org`."
    print_table(["rule", "address", "goes to", "state", "name"], rows, empty)
    for rule_id, reason in objections.items():
        print(f"Rule {rule_id[:8]} has no effect: {reason}.")
    for name in off:
        print(f"Routing is disabled for {name}. To enable it: `dmarcworks route domain enable {name}`.")


def _state(rule: RoutingRule, waiting: Collection[str], objections: Mapping[str, str]) -> str:
    if rule.id in objections:
        return "no effect"
    return ("unverified" if rule.id in waiting else "enabled") if rule.enabled else "disabled"


@app.command()
def remove(rule: str = _RULE, as_json: bool = _JSON) -> None:
    """Remove a rule."""

    async def work(stores: Stores, _: Settings) -> RoutingRule:
        existing = await _find(rule, stores)
        return await stores.routing.routes.remove(_of(existing), existing.id)

    removed = with_stores(work)
    print_json(removed) if as_json else print(f"removed the rule for {removed.address or 'all other addresses'}")


@app.command()
def enable(rule: str = _RULE, as_json: bool = _JSON) -> None:
    """Enable a rule."""
    _switch(rule, True, as_json)


@app.command()
def disable(rule: str = _RULE, as_json: bool = _JSON) -> None:
    """Disable a rule."""
    _switch(rule, False, as_json)


@destination.command("add")
def destination_add(
    email: str = typer.Argument(help="The address."),
    trust: bool = typer.Option(False, "--trust", help="Mark it as verified; you vouch for it."),
    account: str = _ACCOUNT,
    as_json: bool = _JSON,
) -> None:
    """Add a destination: prints the link that its owner must open. (The dashboard sends the link by mail.)"""

    async def work(stores: Stores, settings: Settings) -> tuple[Destination, str]:
        owner = await stores.accounts.account_by_name(account, create=True)
        made, secret = await stores.routing.destinations.add(owner.id, email, verified=trust)
        return made, "" if trust else f"{dashboard_address(settings)}/routing/verify/{secret}"

    made, link = with_stores(work)
    if as_json:
        print_json({**asdict(made), "link": link or None})
    else:
        print(f"{made.email} is verified" if trust else f"{made.email} will be verified when its owner opens\n  {link}")


@destination.command("list")
def destination_list(
    account: str | None = typer.Option(None, "--account", help="Only this account's destinations."),
    as_json: bool = _JSON,
) -> None:
    """List destinations."""

    async def work(stores: Stores, _: Settings) -> list[Destination]:
        owner = None if account is None else (await stores.accounts.account_by_name(account)).id
        return await stores.routing.destinations.destinations(owner)

    destinations = with_stores(work)
    if as_json:
        print_json(destinations)
    else:
        rows = [(one.email, one.verified or "not yet", one.created) for one in destinations]
        print_table(["address", "verified", "added"], rows, "No destinations yet.")


@destination.command("remove")
def destination_remove(
    email: str = typer.Argument(help="The address."), account: str = _ACCOUNT, as_json: bool = _JSON
) -> None:
    """Remove a destination: rules that forward to it have no effect."""

    async def work(stores: Stores, _: Settings) -> Destination:
        owner = await stores.accounts.account_by_name(account)
        return await stores.routing.destinations.remove(owner.id, email)

    gone = with_stores(work)
    print_json(gone) if as_json else print(f"{gone.email} is removed")


def _action(worker: str | None, forward: str | None, drop: bool, reject: str | None) -> tuple[str, str]:
    """The one action given."""
    chosen = [(WORKER, worker), (FORWARD, forward), (DROP, "" if drop else None), (REJECT, reject)]
    given = [(action, value) for action, value in chosen if value is not None]
    if len(given) != 1:
        raise UsageError("give exactly one of --worker NAME, --forward ADDRESS, --drop, --reject REASON")
    return given[0]


def _known(action: str, value: str, settings: Settings) -> None:
    names = {"dmarc", *(entry.partition("=")[0].strip() for entry in settings.workers.split(",") if entry.strip())}
    if action == WORKER and value not in names:
        raise UsageError(f"there is no worker {value!r}; DMARCWORKS_WORKERS defines {', '.join(sorted(names))}")


async def _zone(domain: str, account: str, stores: Stores, settings: Settings) -> Zone:
    """The zone of an address's domain: the report host, or one of our domains with that name or above it."""
    if domain in await stores.accounts.zones.hosts():
        owner = await stores.accounts.account_by_name(account, create=True)
        return Zone(owner.id, "", domain)
    view = await stores.accounts.zones.view([domain])
    if (held := view.nearest(domain)) is not None:
        return Zone(held.account_id, held.domain_id, held.name)
    for barred in view.held.values():
        raise DeniedError(f"{view.barred(barred)}: account {barred.account!r} cannot have rules there")
    raise NotFoundError(f"{domain} is not a domain of this system; add it with `dmarcworks domain add`")


async def _goes(rule: RoutingRule, stores: Stores) -> bool:
    """Whether the rule can take effect: a destination must be verified."""
    return rule.action != FORWARD or await stores.routing.destinations.verified(rule.account_id, rule.value)


def _warn(rule: RoutingRule, goes: bool) -> None:
    if rule.enabled and not goes:
        warning = f"{rule.value} is not verified; until it is, the rule has no effect"
        print(f"dmarcworks: {warning} (`dmarcworks route destination add {rule.value}`)", file=sys.stderr)


async def _find(rule_id: str, stores: Stores) -> RoutingRule:
    rules = [rule for rule in await stores.routing.routes.rules() if rule_id and rule.id.startswith(rule_id)]
    if len(rules) != 1:
        raise NotFoundError(f"there is no rule {rule_id}" if not rules else f"{len(rules)} rules begin with {rule_id}")
    return rules[0]


def _of(rule: RoutingRule) -> Zone:
    return Zone(rule.account_id, rule.domain_id, rule.domain)


def _switch(rule_id: str, enabled: bool, as_json: bool) -> None:
    async def work(stores: Stores, _: Settings) -> RoutingRule:
        existing = await _find(rule_id, stores)
        return await stores.routing.routes.change(_of(existing), existing.id, enabled=enabled)

    rule = with_stores(work)
    if as_json:
        print_json(rule)
        return
    print(f"the rule for {rule.address or 'all other addresses'} is {'enabled' if rule.enabled else 'disabled'}")


def _words(rule: RoutingRule) -> str:
    words: dict[str, Any] = {DROP: "dropped", REJECT: f"rejected: {rule.value}" if rule.value else "rejected"}
    return str(words.get(rule.action, f"{'worker ' if rule.action == WORKER else ''}{rule.value}"))
