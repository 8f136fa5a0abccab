"""`dmarcworks retention …`: configure retention periods and delete expired data."""

from __future__ import annotations

from dataclasses import asdict

import typer

from dmarcworks.catalogue.accounts import Account
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.cli.work import Event
from dmarcworks.cli.work import run as work
from dmarcworks.settings import Settings
from dmarcworks.upkeep.retention.periods import KINDS, RetentionPeriod, RetentionPeriods
from dmarcworks.upkeep.retention.runs import Run, Runs

app = typer.Typer(
    help="Configure retention periods and delete expired data.", add_completion=False, no_args_is_help=True
)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_ACCOUNT = typer.Option("default", "--account", help="The account's name.")


@app.command()
def show(account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """Show how many days the account keeps each kind of data."""

    async def read(stores: Stores, settings: Settings) -> list[RetentionPeriod]:
        owner = await stores.accounts.account_by_name(account)
        return await RetentionPeriods(stores.database, settings).of(owner.id)

    _print(with_stores(read), as_json)


@app.command("set")
def set_(
    kind: str = typer.Argument(help=f"One of {', '.join(KINDS)}."),
    days: str = typer.Argument(help="Days, 0 for ever, or `default` to use the setting."),
    account: str = _ACCOUNT,
    as_json: bool = _JSON,
) -> None:
    """Set an account's retention period for one kind of data."""
    if days != "default" and not (days.isascii() and days.isdecimal()):
        raise typer.BadParameter("days must be a number or `default`")

    async def change(stores: Stores, settings: Settings) -> list[RetentionPeriod]:
        owner: Account = await stores.accounts.account_by_name(account)
        rules = RetentionPeriods(stores.database, settings)
        await rules.set(owner.id, kind, None if days == "default" else int(days))
        return await rules.of(owner.id)

    _print(with_stores(change), as_json)


@app.command()
def runs(
    account: str = _ACCOUNT,
    limit: int = typer.Option(50, "--limit", min=1, max=1000, help="At most this many, newest first."),
    as_json: bool = _JSON,
) -> None:
    """Show what was deleted in the last 400 days: when, kind, items and bytes; newest first."""

    async def read(stores: Stores, _: Settings) -> list[Run]:
        owner = await stores.accounts.account_by_name(account)
        return await Runs(stores.database).last(owner.id, limit)

    runs = with_stores(read)
    if as_json:
        print_json([{**asdict(run), "time": run.time.isoformat()} for run in runs])
        return
    cells = [(f"{run.time:%Y-%m-%d %H:%M}", run.kind, run.before[:10], run.things, run.bytes) for run in runs]
    print_table(["time (UTC)", "kind", "before", "items", "bytes"], cells, "Nothing has been deleted yet.")


@app.command()
def run(
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would be deleted."),
    account: str = typer.Option("", "--account", help="Only this account."),
    as_json: bool = _JSON,
) -> None:
    """Delete data past its retention period. A running server does this once a day."""
    deletions: list[Event] = []
    result = work(
        "retention",
        {"dry_run": dry_run, "account": account},
        lambda event: deletions.append(event) if event["event"] == "taken" else None,
        quiet=as_json,
    )
    if as_json:
        rows = [{name: value for name, value in event.items() if name != "event"} for event in deletions]
        print_json({"taken": rows, **{name: result[name] for name in ("dry_run", "things", "bytes")}})
        return
    cells = [
        (event["account"], event["kind"], event["before"][:10], event["things"], event["bytes"]) for event in deletions
    ]
    print_table(["account", "kind", "before", "items", "bytes"], cells, "Everything is kept for ever.")
    verb = "would be deleted" if dry_run else "deleted"
    print(f"{result['things']} items and {result['bytes']} bytes {verb}.")


def _print(rules: list[RetentionPeriod], as_json: bool) -> None:
    if as_json:
        print_json([asdict(rule) for rule in rules])
        return
    rows = [(rule.kind, rule.days or "for ever", "account" if rule.own else "setting") for rule in rules]
    print_table(["kind", "days", "from"], rows, "")
