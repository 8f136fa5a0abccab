"""Mailboxes as `dmarcworks mailbox` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.mailboxes import MailboxRow
from dmarcworks.sources.contract import MailboxError, MailboxLook
from dmarcworks.sources.mailbox_actions import MailboxActions

__all__ = ["account_names", "error_text", "mailbox_json", "print_test", "tested_mailbox"]


async def account_names(accounts: Accounts) -> dict[str, str]:
    """The accounts' names by id."""
    return {account.id: account.name for account in await accounts.accounts()}


async def tested_mailbox(actions: MailboxActions, row: MailboxRow) -> dict[str, Any]:
    """What a look into the mailbox shows, as JSON."""
    try:
        look = await actions.look(row)
    except MailboxError as error:
        return {"ok": False, "code": error.code, "error": str(error), "folders": [], "notes": []}
    return _looked(look)


def _looked(look: MailboxLook) -> dict[str, Any]:
    wrong = [folder.error for folder in look.folders if folder.error]
    return {
        "ok": not wrong,
        "code": "folder" if wrong else "",
        "error": " ".join(wrong),
        "folders": [asdict(folder) for folder in look.folders],
        "notes": list(look.notes),
    }


def print_test(tested: Mapping[str, Any]) -> None:
    """The same for people."""
    for note in tested["notes"]:
        print(note)
    for folder in tested["folders"]:
        if not folder["error"]:
            print(f"{folder['folder']}: {folder['mails']} mails, {folder['new']} of them not processed yet.")
    if tested["error"]:
        print(tested["error"])


def mailbox_json(row: MailboxRow, account: str) -> dict[str, Any]:
    """A mailbox with its state as JSON."""
    names = ("id", "name", "url", "settle", "origin", "paused", "failures", "next_try", "last_run", "last_mail")
    counts = ("waiting", "accepted", "known", "left_alone", "too_large", "gone")
    return {
        "account": account,
        "account_id": row.account_id,
        "state": row.condition,
        **{name: getattr(row, name) for name in (*names, *counts)},
        "error": {"code": row.error_code, "text": row.error} if row.error else None,
    }


def error_text(row: Mapping[str, Any]) -> str:
    """Its error and the next try; "" when there is none."""
    if row["error"] is None:
        return ""
    when = f" (next try {row['next_try']:%H:%M:%S} UTC)" if row["next_try"] is not None else ""
    return f"{row['error']['text']}{when}"
