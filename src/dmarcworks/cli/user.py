"""`dmarcworks user …`: who may log in to the dashboard."""

from __future__ import annotations

import typer

from dmarcworks.catalogue.accounts import User
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import dashboard_address, print_json, print_table, with_stores
from dmarcworks.settings import Settings

app = typer.Typer(help="Who may log in to the dashboard.", no_args_is_help=True, add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def add(
    email: str = typer.Argument(help="The person's mail address; it is their name at login."),
    account: str = typer.Option("default", "--account", help="The account that they see; made when absent."),
) -> None:
    """Make a user and print a one-time login link for them."""

    async def work(stores: Stores, settings: Settings) -> str:
        await stores.accounts.add_user(email, account)
        return f"{dashboard_address(settings)}/login/{await stores.accounts.login_link(email)}"

    link = with_stores(work)
    print(f"{email} is added. One-time login link, good for 24 hours:\n\n  {link}")


@app.command()
def link(email: str = typer.Argument(help="The user's mail address.")) -> None:
    """Print a new one-time login link for a user, good for 24 hours."""

    async def work(stores: Stores, settings: Settings) -> str:
        return f"{dashboard_address(settings)}/login/{await stores.accounts.login_link(email)}"

    print(with_stores(work))


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List the users."""

    async def work(stores: Stores, settings: Settings) -> list[User]:
        return await stores.accounts.users()

    users = with_stores(work)
    if as_json:
        print_json(users)
    else:
        rows = [(u.email, u.role, u.account_id, u.created, "set" if u.has_password else "not set") for u in users]
        print_table(["user", "role", "account id", "created", "password"], rows, "No user yet: start the server once.")
