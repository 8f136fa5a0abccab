"""`dmarcworks user …`: manage the users of the dashboard."""

from __future__ import annotations

import dataclasses

import typer

from dmarcworks.catalogue.accounts import User
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import dashboard_address, print_json, print_table, with_stores
from dmarcworks.errors import ConflictError, NotFoundError
from dmarcworks.settings import Settings

app = typer.Typer(help="Manage the users of the dashboard.", no_args_is_help=True, add_completion=False)
_EMAIL = typer.Argument(help="The user's e-mail address.")
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def add(
    email: str = typer.Argument(help="The person's e-mail address, used to log in."),
    account: str = typer.Option("default", "--account", help="The account that they belong to; created if missing."),
    as_json: bool = _JSON,
) -> None:
    """Add a user and print a one-time login link."""

    async def work(stores: Stores, settings: Settings) -> str:
        await stores.accounts.add_user(email, account)
        return f"{dashboard_address(settings)}/login/{await stores.accounts.login_link(email)}"

    link = with_stores(work)
    if as_json:
        print_json({"user": email, "account": account, "login_link": link})
    else:
        print(f"Added {email}. One-time login link, valid for 24 hours:\n\n  {link}")


@app.command()
def link(email: str = _EMAIL, as_json: bool = _JSON) -> None:
    """Print a new one-time login link for a user, valid for 24 hours."""

    async def work(stores: Stores, settings: Settings) -> str:
        return f"{dashboard_address(settings)}/login/{await stores.accounts.login_link(email)}"

    login_link = with_stores(work)
    print_json({"user": email, "login_link": login_link}) if as_json else print(login_link)


@app.command()
def remove(
    email: str = _EMAIL, yes: bool = typer.Option(False, "--yes", help="Do not prompt."), as_json: bool = _JSON
) -> None:
    """Remove a user. Their sessions end immediately; the audit log keeps their name."""
    if not yes:
        typer.confirm(f"{email} will no longer be able to log in. Remove the user?", abort=True, err=True)

    async def work(stores: Stores, settings: Settings) -> User:
        user = await _find(email, stores)
        await stores.accounts.remove_user(user)
        return user

    user = with_stores(work)
    print_json(user) if as_json else print(f"Removed {user.email}.")


@app.command()
def disable(email: str = _EMAIL, as_json: bool = _JSON) -> None:
    """Disable a user: end their sessions and refuse their logins until they are enabled."""
    user = _switch(email, False)
    print_json(user) if as_json else print(f"{user.email} can no longer log in.")


@app.command()
def enable(email: str = _EMAIL, as_json: bool = _JSON) -> None:
    """Enable a user: let them log in again, with their password."""
    user = _switch(email, True)
    print_json(user) if as_json else print(f"{user.email} can log in again.")


def _switch(email: str, enabled: bool) -> User:
    async def work(stores: Stores, settings: Settings) -> User:
        return await stores.accounts.enable_user(await _find(email, stores), enabled)

    return with_stores(work)


@app.command()
def reset(email: str = _EMAIL, as_json: bool = _JSON) -> None:
    """Delete a user's password, end their sessions, and print a one-time login link, valid for 24 hours."""

    async def work(stores: Stores, settings: Settings) -> str:
        user = await _find(email, stores)
        if not user.enabled:
            raise ConflictError(f"{email} is disabled; enable them first: `dmarcworks user enable {email}`")
        return f"{dashboard_address(settings)}/login/{await stores.accounts.reset_user(user)}"

    login_link = with_stores(work)
    print_json({"user": email, "login_link": login_link}) if as_json else print(login_link)


async def _find(email: str, stores: Stores) -> User:
    user = await stores.accounts.user(email)
    if user is None:
        raise NotFoundError(f"there is no user {email}; `dmarcworks user list` lists the users")
    return user


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List users."""

    async def work(stores: Stores, settings: Settings) -> tuple[list[User], dict[str, str]]:
        return await stores.accounts.users(), {one.id: one.name for one in await stores.accounts.accounts()}

    users, accounts = with_stores(work)
    if as_json:
        print_json([{**dataclasses.asdict(user), "account": accounts.get(user.account_id, "")} for user in users])
        return
    rows = [
        (
            user.email,
            user.role,
            accounts.get(user.account_id, user.account_id),
            user.created,
            "set" if user.has_password else "not set",
            "yes" if user.enabled else "no",
        )
        for user in users
    ]
    columns = ["user", "role", "account", "created", "password", "may log in"]
    print_table(columns, rows, "No users. Add one: `dmarcworks user add you@example.net`.")
