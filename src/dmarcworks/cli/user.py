"""`dmarcworks user …`: manage the users of the dashboard."""

from __future__ import annotations

import typer

from dmarcworks.catalogue.accounts import User
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import dashboard_address, print_json, print_table, with_stores
from dmarcworks.settings import Settings

app = typer.Typer(help="Manage the users of the dashboard.", no_args_is_help=True, add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def add(
    email: str = typer.Argument(help="The person's e-mail address, used to log in."),
    account: str = typer.Option("default", "--account", help="The account that they belong to; created if missing."),
) -> None:
    """Add a user and print a one-time login link."""

    async def work(stores: Stores, settings: Settings) -> str:
        await stores.accounts.add_user(email, account)
        return f"{dashboard_address(settings)}/login/{await stores.accounts.login_link(email)}"

    link = with_stores(work)
    print(f"Added {email}. One-time login link, valid for 24 hours:\n\n  {link}")


@app.command()
def link(email: str = typer.Argument(help="The user's e-mail address.")) -> None:
    """Print a new one-time login link for a user, valid for 24 hours."""

    async def work(stores: Stores, settings: Settings) -> str:
        return f"{dashboard_address(settings)}/login/{await stores.accounts.login_link(email)}"

    print(with_stores(work))


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List users."""

    async def work(stores: Stores, settings: Settings) -> list[User]:
        return await stores.accounts.users()

    users = with_stores(work)
    if as_json:
        print_json(users)
    else:
        rows = [(u.email, u.role, u.account_id, u.created, "set" if u.has_password else "not set") for u in users]
        print_table(["user", "role", "account id", "created", "password"], rows, "No users yet. Start the server once.")
