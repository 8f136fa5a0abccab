"""`dmarcworks mailbox …`: mailboxes that reports are fetched from."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from dmarcworks.catalogue.mailboxes import BY_COMMAND, MailboxRow, read_password
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.cli.mailbox_text import account_names, error_text, mailbox_json, print_test, tested_mailbox
from dmarcworks.errors import UsageError
from dmarcworks.settings import Settings
from dmarcworks.sources.mailbox_actions import MailboxActions
from dmarcworks.sources.mailbox_url import MailboxUrl
from dmarcworks.sources.presets import preset as preset_of
from dmarcworks.sources.presets import presets as all_presets

app = typer.Typer(help="Manage the mailboxes that reports are fetched from.", add_completion=False)
_STANDARD_INPUT = "-"
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_NAME = typer.Argument(help="The mailbox's name.", show_default=False)
_ACCOUNT = typer.Option("", "--account", help="The mailbox's account, where several have one of that name.")
_PASSWORD = typer.Option(
    "", "--password-file", help="File whose first line is the password, - for standard input; default: a prompt."
)


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, as_json: bool = _JSON) -> None:
    if context.invoked_subcommand is None:
        list_(account="", as_json=as_json)


@app.command()
def add(
    name: str = typer.Argument(help="A name for it: letters, digits, dots, hyphens, underscores.", show_default=False),
    url: str = typer.Option("", "--url", help="Like imaps://USER@HOST:PORT/FOLDER; several folders with commas."),
    preset: str = typer.Option("", "--preset", help="A provider of `dmarcworks mailbox presets`, instead of --url."),
    user: str = typer.Option("", "--user", help="With --preset: the user name."),
    password_file: str = _PASSWORD,
    settle: str = typer.Option(
        "leave", "--settle", help="What becomes of accepted mail: leave, seen, move:FOLDER or delete."
    ),
    account: str = typer.Option("default", "--account", help="The account that the reports are for."),
    paused: bool = typer.Option(False, "--paused", help="Fetch nothing until it is resumed."),
    as_json: bool = _JSON,
) -> None:
    """Add a mailbox and test it.

    The password is stored encrypted. An access token (auth=xoauth2) stays in its file, which is read at every login.
    """
    if bool(url) == bool(preset):
        raise UsageError("name the mailbox with --url, or with --preset and --user")
    if preset:
        if not user:
            raise UsageError("--preset needs --user")
        url = preset_of(preset).filled(user)
    kept, secret = "", ""
    parts = MailboxUrl.of(url)
    if parts.auth == "xoauth2":
        if not password_file or password_file == _STANDARD_INPUT:
            raise UsageError("auth=xoauth2 needs --password-file with the file that the access token is kept in")
        kept = str(Path(password_file).resolve())
        read_password(kept)
    elif parts.scheme != "file":
        secret = _password(password_file, url)

    async def work(stores: Stores, settings: Settings) -> tuple[MailboxRow, dict[str, Any]]:
        actions = MailboxActions(stores, settings)
        owner = await stores.accounts.account_by_name(account, create=True)
        row = await actions.add(
            owner.id, name, url, secret, settle=settle, origin=BY_COMMAND, password_file=kept, paused=paused
        )
        return row, await tested_mailbox(actions, row)

    row, tested = with_stores(work)
    if as_json:
        print_json({**mailbox_json(row, account), "test": tested})
    else:
        print(f"The mailbox {name} was added{' and is paused' if paused else ''}.")
        print_test(tested)
    if not tested["ok"]:
        raise typer.Exit(1)


@app.command("list")
def list_(
    account: str = typer.Option("", "--account", help="Only this account's.", show_default=False),
    as_json: bool = _JSON,
) -> None:
    """List the mailboxes with their state."""

    async def work(stores: Stores, settings: Settings) -> list[dict[str, Any]]:
        owner = (await stores.accounts.account_by_name(account)).id if account else None
        names = await account_names(stores.accounts)
        rows = await MailboxActions(stores, settings).mailboxes(owner)
        return [mailbox_json(row, names.get(row.account_id, "")) for row in rows]

    rows = with_stores(work)
    if as_json:
        print_json(rows)
        return
    columns = ["name", "state", "waiting", "accepted", "left alone", "last run", "last mail", "error"]
    shown = [(*(row[c.replace(" ", "_")] for c in columns[:-1]), error_text(row)) for row in rows]
    print_table(columns, shown, "There are no mailboxes; `dmarcworks mailbox add` adds one.")


@app.command("test")
def check_mailbox(name: str = _NAME, account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """Connect, log in and count what is there; nothing is changed. Exit status 1 when something is wrong."""

    async def work(stores: Stores, settings: Settings) -> dict[str, Any]:
        actions = MailboxActions(stores, settings)
        return await tested_mailbox(actions, await _row(actions, stores, name, account))

    tested = with_stores(work)
    if as_json:
        print_json(tested)
    else:
        print_test(tested)
    if not tested["ok"]:
        raise typer.Exit(1)


@app.command()
def run(name: str = _NAME, account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """Fetch from a mailbox now and wait for the end: by the running server, otherwise here."""
    # It imports the engine, which takes seconds that other commands need not wait for.
    from dmarcworks.cli.mailbox_run import run_here_or_there

    row, names = with_stores(lambda stores, settings: run_here_or_there(stores, settings, name, account))
    shown = mailbox_json(row, names.get(row.account_id, ""))
    if as_json:
        print_json(shown)
    else:
        numbers = ", ".join(f"{shown[key]} {key.replace('_', ' ')}" for key in ("accepted", "known", "left_alone"))
        print(f"{row.name}: {numbers}; {row.waiting} waiting")
        if row.error:
            print(row.error)
    if row.error:
        raise typer.Exit(1)


@app.command()
def pause(name: str = _NAME, account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """Fetch nothing from a mailbox until it is resumed."""
    _paused(name, account, True, as_json)


@app.command()
def resume(name: str = _NAME, account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """Fetch from a paused mailbox again."""
    _paused(name, account, False, as_json)


@app.command()
def remove(name: str = _NAME, account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """Remove a mailbox with its password. Its mail stays where it is; accepted reports stay too."""

    async def work(stores: Stores, settings: Settings) -> None:
        actions = MailboxActions(stores, settings)
        await actions.remove(await _row(actions, stores, name, account))

    with_stores(work)
    print_json({"removed": name}) if as_json else print(f"The mailbox {name} was removed.")


@app.command()
def password(name: str = _NAME, password_file: str = _PASSWORD, account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """Replace a mailbox's password."""
    secret = _password(password_file, "")

    async def work(stores: Stores, settings: Settings) -> None:
        actions = MailboxActions(stores, settings)
        await actions.set_password(await _row(actions, stores, name, account), secret)

    with_stores(work)
    print_json({"changed": name}) if as_json else print(f"The password of the mailbox {name} was replaced.")


@app.command()
def left(
    name: str = _NAME,
    account: str = _ACCOUNT,
    limit: int = typer.Option(100, "--limit", min=1, max=1000, help="At most this many, newest first."),
    as_json: bool = _JSON,
) -> None:
    """List mail without a report, which was left alone."""

    async def work(stores: Stores, settings: Settings) -> list[dict[str, Any]]:
        actions = MailboxActions(stores, settings)
        rows = await actions.left(await _row(actions, stores, name, account), limit)
        return [asdict(one) for _, one in rows]

    rows = with_stores(work)
    if as_json:
        print_json(rows)
        return
    columns = ["at", "folder", "sender", "subject", "reason"]
    print_table(columns, [tuple(row[c] for c in columns) for row in rows], "No mail was left alone.")


@app.command()
def domains(
    account: str = typer.Option("default", "--account", help="The account.", show_default=True),
    add: str = typer.Option("", "--add", help="Add this domain and count the reports about it.", show_default=False),
    as_json: bool = _JSON,
) -> None:
    """List domains that reports from mailboxes are about and that the account does not have."""

    async def work(stores: Stores, settings: Settings) -> Any:
        from dmarcworks.catalogue.audit import command

        actions = MailboxActions(stores, settings)
        owner = await stores.accounts.account_by_name(account)
        if add:
            domain, reports = await actions.add_domain(owner.id, add, command().name)
            return {"domain": domain.name, "rua": domain.rua, "reports": reports}
        return [asdict(one) for one in await actions.unknown_domains(owner.id)]

    result = with_stores(work)
    if as_json:
        print_json(result)
    elif add:
        print(f"{result['domain']} was added; {result['reports']} reports are counted as soon as they are reprocessed.")
    else:
        columns = ["name", "reports", "messages", "first_day", "last_day"]
        print_table(columns, [tuple(row[c] for c in columns) for row in result], "There are none.")


@app.command()
def presets(as_json: bool = _JSON) -> None:
    """List providers with their addresses and what must be done there first."""
    if as_json:
        print_json([asdict(one) for one in all_presets()])
        return
    print_table(["preset", "provider", "first"], [(one.id, one.name, one.about) for one in all_presets()], "")


@app.command("rotate-key")
def rotate_key(as_json: bool = _JSON) -> None:
    """Encrypt all stored passwords with a new key and remove the old keys from the key file."""

    async def work(stores: Stores, _: Settings) -> int:
        return await stores.mailboxes.rotate()

    number = with_stores(work)
    print_json({"passwords": number}) if as_json else print(f"{number} passwords are encrypted with a new key.")


def _paused(name: str, account: str, paused: bool, as_json: bool) -> None:
    async def work(stores: Stores, settings: Settings) -> tuple[MailboxRow, Mapping[str, str]]:
        actions = MailboxActions(stores, settings)
        row = await _row(actions, stores, name, account)
        await actions.pause(row, paused)
        return await actions.get(None, row.id), await account_names(stores.accounts)

    row, names = with_stores(work)
    if as_json:
        print_json(mailbox_json(row, names.get(row.account_id, "")))
        return
    print(f"{name} is {'paused' if paused else 'resumed'}.")


async def _row(actions: MailboxActions, stores: Stores, name: str, account: str) -> MailboxRow:
    owner = (await stores.accounts.account_by_name(account)).id if account else None
    return await actions.get(owner, name)


def _password(file: str, url: str) -> str:
    """From a file, standard input or a prompt; never from the command line, which others can read."""
    if url:
        from dmarcworks.settings import MailboxTable

        if MailboxTable("-", url).without_password()[1]:
            raise UsageError("a password in the URL can be read by every user of this machine; use --password-file")
    if file == _STANDARD_INPUT:
        secret = sys.stdin.readline().rstrip("\r\n")
    elif file:
        secret = read_password(file)
    elif sys.stdin.isatty():
        secret = getpass.getpass("Password: ")
    else:
        raise UsageError("name the password's file with --password-file, or - for standard input")
    if not secret:
        raise UsageError("the password is empty")
    return secret
