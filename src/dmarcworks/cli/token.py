"""`dmarcworks token …`: what lets a program ask over HTTP."""

from __future__ import annotations

import typer

from dmarcworks.catalogue.accounts import Token
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import NotFoundError
from dmarcworks.settings import Settings
from dmarcworks.stores import Stores

app = typer.Typer(help="Tokens that let a program ask over HTTP.", no_args_is_help=True, add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.command()
def create(
    account: str = typer.Option("default", "--account", help="The account whose figures it opens."),
    scope: str = typer.Option("read", "--scope", help="read, write or admin."),
    name: str = typer.Option("", "--name", help="What it is for."),
    as_json: bool = _JSON,
) -> None:
    """Make a token. It is shown this once; the store keeps only its hash."""

    async def work(stores: Stores, settings: Settings) -> tuple[str, Token]:
        owner = await stores.accounts.account_by_name(account, create=account == "default")
        return await stores.accounts.create_token(owner.id, scope, name)

    secret, token = with_stores(work)
    if as_json:
        print_json({"token": secret, "account_id": token.account_id, "id": token.id, "scope": token.scope})
    else:
        print(f"token       {secret}")
        print(f"account id  {token.account_id}")
        print(f"scope       {token.scope}")
        print("\nKeep it: it is not shown again. Send it as `Authorization: Bearer <token>`.")


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List the tokens without their secrets."""

    async def work(stores: Stores, settings: Settings) -> list[Token]:
        return await stores.accounts.tokens()

    tokens = with_stores(work)
    if as_json:
        print_json(tokens)
    else:
        rows = [(t.id, t.name, t.scope, t.account_id, t.created, t.last_used) for t in tokens]
        columns = ["id", "name", "scope", "account id", "created", "last used"]
        print_table(columns, rows, "No token yet: `dmarcworks token create`.")


@app.command()
def revoke(token_id: str = typer.Argument(help="The token's id, as `token list` prints it.")) -> None:
    """End a token at once."""

    async def work(stores: Stores, settings: Settings) -> bool:
        return await stores.accounts.revoke_token(token_id)

    if not with_stores(work):
        raise NotFoundError(f"there is no token {token_id}; `dmarcworks token list` names them")
    print(f"{token_id} is revoked.")
