"""`dmarcworks route domain …`: enable or disable routing for a whole domain; its rules stay."""

from __future__ import annotations

import typer

from dmarcworks.catalogue.routes import Zone
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import NotFoundError
from dmarcworks.settings import Settings

app = typer.Typer(help="Enable or disable routing for a domain.", no_args_is_help=True, add_completion=False)

_DOMAIN = typer.Argument(help="The domain.")
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def enable(domain: str = _DOMAIN, as_json: bool = _JSON) -> None:
    """Enable routing: the domain's rules take effect."""
    _switch(domain, True, as_json)


@app.command()
def disable(domain: str = _DOMAIN, as_json: bool = _JSON) -> None:
    """Disable routing: the domain's rules have no effect. Reports are received as before."""
    _switch(domain, False, as_json)


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List domains and whether their routing is enabled."""

    async def work(stores: Stores, _: Settings) -> list[dict[str, object]]:
        off = await stores.routing.routes.switched_off()
        return [{"domain": one.name, "enabled": one.id not in off} for one in await stores.accounts.domains()]

    domains = with_stores(work)
    if as_json:
        print_json(domains)
    else:
        rows = [(one["domain"], "enabled" if one["enabled"] else "disabled") for one in domains]
        print_table(["domain", "routing"], rows, "No domains yet. Add one with `dmarcworks domain add`.")


def _switch(name: str, enabled: bool, as_json: bool) -> None:
    wanted = name.strip().lower()

    async def work(stores: Stores, _: Settings) -> Zone:
        for domain in await stores.accounts.domains():
            if domain.name == wanted:
                zone = Zone(domain.account_id, domain.id, domain.name)
                await stores.routing.routes.enable(zone, enabled)
                return zone
        raise NotFoundError(f"{wanted} is not a domain of this system; `dmarcworks route domain list` lists them")

    zone = with_stores(work)
    if as_json:
        print_json({"domain": zone.name, "enabled": enabled})
        return
    print(f"routing is {'enabled' if enabled else 'disabled'} for {zone.name}")
