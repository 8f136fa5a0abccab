"""`dmarcworks token …`: manage API tokens."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import typer

from dmarcworks.catalogue.accounts import Token
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import ConflictError, NotFoundError, UsageError
from dmarcworks.settings import Settings

app = typer.Typer(help="Manage API tokens.", no_args_is_help=True, add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_TOKEN = typer.Argument(metavar="TOKEN", help="The token's id, or its name if no other token has it.")
_SPAN = re.compile(r"([1-9]\d{0,4})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def expiry(text: str, now: datetime) -> datetime:
    """When a token expires: after a span (12h, 90d, 26w) or at a UTC date or time in ISO 8601. Raises `UsageError`."""
    if match := _SPAN.fullmatch(text.strip().lower()):
        return now + timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{text!r} is not a time; write 12h, 90d, 26w or a date such as 2027-01-31") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _document(token: Token, names: dict[str, str]) -> dict[str, Any]:
    domains = None if token.domains is None else [names.get(domain, domain) for domain in token.domains]
    return {
        "account_id": token.account_id,
        "id": token.id,
        "scope": token.scope,
        "name": token.name,
        "domains": domains,
        "expires": token.expires,
    }


async def _names(stores: Stores) -> dict[str, str]:
    return {domain.id: domain.name for domain in await stores.accounts.domains()}


@app.command()
def create(
    account: str = typer.Option("default", "--account", help="The account that it gives access to."),
    scope: str = typer.Option("read", "--scope", help="read, write or admin."),
    name: str = typer.Option("", "--name", help="A name for the token."),
    domain: list[str] = typer.Option(
        [], "--domain", help="Limit the token to this domain; repeat for several.", show_default=False
    ),
    expires: str = typer.Option(
        "", "--expires", help="When it expires: 12h, 90d, 26w or a date; empty: never.", show_default=False
    ),
    as_json: bool = _JSON,
) -> None:
    """Create a token. It is shown once; the store keeps only its hash."""
    ends = expiry(expires, datetime.now(UTC)) if expires else None

    async def work(stores: Stores, settings: Settings) -> tuple[str, dict[str, Any]]:
        owner = await stores.accounts.account_by_name(account, create=account == "default")
        secret, token = await stores.accounts.create_token(owner.id, scope, name, domains=domain or None, expires=ends)
        return secret, _document(token, await _names(stores))

    _print_secret(*with_stores(work), as_json)


@app.command()
def rotate(token: str = _TOKEN, as_json: bool = _JSON) -> None:
    """Give a token a new secret, which is shown once. The old secret stops working immediately."""

    async def work(stores: Stores, settings: Settings) -> tuple[str, dict[str, Any]]:
        rotated = await stores.accounts.rotate_token((await _find(token, stores)).id)
        if rotated is None:
            raise _unknown(token)
        return rotated[0], _document(rotated[1], await _names(stores))

    _print_secret(*with_stores(work), as_json)


def _print_secret(secret: str, token: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json({"token": secret, **token})
        return
    ends = token["expires"]
    print(f"token       {secret}")
    print(f"account id  {token['account_id']}")
    print(f"scope       {token['scope']}")
    if token["domains"] is not None:
        print(f"domains     {', '.join(token['domains'])}")
    print(f"expires     {f'{ends:%Y-%m-%d %H:%M} UTC' if ends else 'never'}")
    print("\nStore it safely: it is not shown again. Send it as `Authorization: Bearer <token>`.")


async def _find(wanted: str, stores: Stores) -> Token:
    """The token of that id or name."""
    tokens = await stores.accounts.tokens()
    matches = [token for token in tokens if token.id == wanted] or [token for token in tokens if token.name == wanted]
    if len(matches) > 1:
        raise ConflictError(
            f"{len(matches)} tokens have the name {wanted}; use an id, as `dmarcworks token list` prints it"
        )
    if not matches or not wanted:
        raise _unknown(wanted)
    return matches[0]


def _unknown(token: str) -> NotFoundError:
    return NotFoundError(f"there is no token {token}; `dmarcworks token list` lists the tokens")


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List tokens, without their secrets."""

    async def work(stores: Stores, settings: Settings) -> tuple[list[Token], dict[str, str], dict[str, str]]:
        accounts = {account.id: account.name for account in await stores.accounts.accounts()}
        return await stores.accounts.tokens(), await _names(stores), accounts

    tokens, names, accounts = with_stores(work)
    if as_json:
        times = [{"created": token.created, "last_used": token.last_used} for token in tokens]
        owners = [{"account": accounts.get(token.account_id, "")} for token in tokens]
        print_json(
            [{**_document(t, names), **more, **time} for t, more, time in zip(tokens, owners, times, strict=True)]
        )
        return
    now = datetime.now(UTC)
    rows = []
    for token in tokens:
        domains = _document(token, names)["domains"]
        ended = token.expires is not None and token.expires <= now
        shown = "never" if token.expires is None else f"{token.expires:%Y-%m-%d %H:%M}{' (expired)' if ended else ''}"
        limited = "all" if domains is None else ", ".join(domains)
        rows.append(
            (
                token.id,
                token.name,
                token.scope,
                accounts.get(token.account_id, token.account_id),
                limited,
                shown,
                token.last_used,
            )
        )
    columns = ["id", "name", "scope", "account", "domains", "expires", "last used"]
    print_table(columns, rows, "No tokens yet. Create one: `dmarcworks token create`.")


@app.command()
def revoke(token: str = _TOKEN, as_json: bool = _JSON) -> None:
    """Revoke a token. It takes effect immediately."""

    async def work(stores: Stores, settings: Settings) -> Token:
        existing = await _find(token, stores)
        if not await stores.accounts.revoke_token(existing.id):
            raise _unknown(token)
        return existing

    revoked = with_stores(work)
    print_json({"id": revoked.id, "revoked": True}) if as_json else print(f"Revoked {revoked.name or revoked.id}.")
