"""`dmarcworks audit`: list changes: who changed what, when and from where."""

from __future__ import annotations

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
    """List changes, newest first."""

    async def work(stores: Stores, settings: Settings) -> list[AuditRow]:
        owner = None if account is None else await stores.accounts.account_by_name(account)
        return await stores.audit.list(None if owner is None else owner.id, action=action, limit=limit)

    entries = with_stores(work)
    if as_json:
        print_json(entries)
    else:
        rows = [(row.at, row.actor, row.name, row.action, row.target, row.peer) for row in entries]
        print_table(["time", "by", "name", "action", "target", "from"], rows, "No changes yet.")
