"""`dmarcworks audit`: list changes: who changed what, when and from where."""

from __future__ import annotations

import dataclasses

import typer

from dmarcworks.catalogue.audit import AuditRow
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.settings import Settings


def audit(
    account: str | None = typer.Option(None, "--account", help="Only this account's changes."),
    action: str | None = typer.Option(None, "--action", help="Only this action (domain.add) or kind (domain)."),
    limit: int = typer.Option(100, "--limit", min=1, max=1000, help="At most this many, newest first."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """List changes, newest first. A token is shown by its name, an account by its name."""

    async def work(stores: Stores, settings: Settings) -> tuple[list[AuditRow], dict[str, str]]:
        owner = None if account is None else await stores.accounts.account_by_name(account)
        rows = await stores.audit.list(None if owner is None else owner.id, action=action, limit=limit)
        return rows, await _names(stores, rows)

    entries, names = with_stores(work)
    if as_json:
        print_json([{**dataclasses.asdict(row), **_named(row, names)} for row in entries])
        return
    shown = []
    for row in entries:
        named = _named(row, names)
        shown.append(
            (row.at, row.actor, named["name_shown"], row.action, named["target_shown"], named["account"], row.peer)
        )
    print_table(["time", "by", "name", "action", "target", "account", "from"], shown, "No changes yet.")


async def _names(stores: Stores, rows: list[AuditRow]) -> dict[str, str]:
    """What people call accounts and tokens, by id; a token that was revoked by the name in its entries."""
    names = {
        row.target: str(row.detail["name"])
        for row in rows
        if row.action.startswith("token.") and row.detail.get("name")
    }
    names |= {account.id: account.name for account in await stores.accounts.accounts()}
    return names | {token.id: token.name for token in await stores.accounts.tokens() if token.name}


def _named(row: AuditRow, names: dict[str, str]) -> dict[str, str]:
    return {
        "account": names.get(row.account_id or "", row.account_id or ""),
        "name_shown": names.get(row.name, row.name) if row.actor == "token" else row.name,
        "target_shown": names.get(row.target, row.target),
    }
