"""`dmarcworks senders own` and `senders refresh`: names for an account's own systems, and new names for stored rows."""

from __future__ import annotations

from typing import Any

import typer

from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import NotFoundError, UsageError

__all__ = ["app", "refresh"]

app = typer.Typer(help="Name your own systems.", no_args_is_help=True, add_completion=False)
_ACCOUNT = typer.Option("default", "--account", help="The account's name.")
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_NAME = typer.Argument(help="The name of your system.", metavar="NAME")
_REFRESH = "`dmarcworks senders refresh` applies this to stored rows."


@app.command()
def add(
    name: str = _NAME,
    ip: str = typer.Option("", "--ip", metavar="NETWORK", help="Its address block, such as 203.0.113.0/28."),
    dkim: str = typer.Option("", "--dkim", metavar="DOMAIN[/SELECTOR]", help="The domain of its DKIM signatures."),
    envelope: str = typer.Option("", "--envelope", metavar="DOMAIN", help="Its return-path domain."),
    ptr: str = typer.Option("", "--ptr", metavar="DOMAIN", help="The domain of its confirmed host names."),
    account: str = _ACCOUNT,
    as_json: bool = _JSON,
) -> None:
    """Name messages by one kind of evidence. This changes no DNS and authorises no address."""
    given = {
        kind: value for kind, value in (("block", ip), ("dkim", dkim), ("envelope", envelope), ("ptr", ptr)) if value
    }
    if len(given) != 1:
        raise UsageError("give one kind of evidence: --ip, --dkim, --envelope or --ptr")
    ((evidence, value),) = given.items()
    selector = ""
    if evidence == "dkim":
        value, slash, selector = value.partition("/")
        if slash and not selector:
            raise UsageError("there is no selector after /; write --dkim DOMAIN for any selector")

    async def work(stores: Any, settings: Any) -> Any:
        owner = await stores.accounts.account_by_name(account)
        return await stores.senders.add_own_name(owner.id, name, evidence, value, selector)

    made = with_stores(work)
    if as_json:
        print_json(made)
        return
    print(f"Added {made.name}: {_shown(made)}. {_REFRESH}")


@app.command("list")
def list_(account: str = _ACCOUNT, as_json: bool = _JSON) -> None:
    """List the names of an account's own systems."""

    async def work(stores: Any, settings: Any) -> list[Any]:
        owner = await stores.accounts.account_by_name(account)
        names: list[Any] = await stores.senders.own_names(owner.id)
        return names

    names = with_stores(work)
    if as_json:
        print_json(names)
        return
    rows = [(one.id, one.name, one.evidence, _value(one), one.created, one.created_by) for one in names]
    print_table(["id", "name", "evidence", "value", "created (UTC)", "by"], rows, "The account has no own names.")


@app.command()
def remove(
    name: str = _NAME,
    own_id: int | None = typer.Option(None, "--id", help="Only the evidence with this id of `senders own list`."),
    account: str = _ACCOUNT,
    as_json: bool = _JSON,
) -> None:
    """Remove a name, with all of its evidence or one piece of it."""

    async def work(stores: Any, settings: Any) -> list[Any]:
        owner = await stores.accounts.account_by_name(account)
        names = await stores.senders.own_names(owner.id)
        chosen = [one for one in names if one.name == name.strip() and own_id in (None, one.id)]
        if not chosen:
            which = "" if own_id is None else f" with the id {own_id}"
            raise NotFoundError(
                f"there is no own name {name[:100]}{which} in the account {account}; `dmarcworks senders own list`"
                " lists them"
            )
        for one in chosen:
            await stores.senders.remove_own_name(owner.id, one.id)
        return chosen

    removed = with_stores(work)
    if as_json:
        print_json(removed)
        return
    for one in removed:
        print(f"Removed {one.name}: {_shown(one)}. {_REFRESH}")


def refresh(
    domain: str = typer.Option("", "--domain", help="Only the rows of this domain."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only show what would change."),
    as_json: bool = _JSON,
) -> None:
    """Apply the current catalogue, files and names to stored rows, without reprocessing reports.

    If interrupted, run it again to complete it: rows that are up to date are not written again.
    """
    from dmarcworks.cli.work import run

    result = run("senders-refresh", {"domain": domain, "dry_run": dry_run}, lambda _: None, quiet=as_json)
    if as_json:
        print_json({name: value for name, value in result.items() if name != "event"})
        return
    if result["changes"]:
        moves = [(_sender(one["before"]), _sender(one["after"]), f"{one['messages']:,}") for one in result["changes"]]
        print_table(["sender before", "after", "messages"], moves, "")
        print()
        counts = [
            (_sender(one["sender"]), f"{one['before']:,} → {one['after']:,}")
            for one in result["senders"]
            if one["before"] != one["after"]
        ]
        print_table(["sender", "messages"], counts, "The totals of all senders stay the same.")
        print()
    moved = sum(one["messages"] for one in result["changes"])
    print(
        f"{moved:,} of {result['messages']:,} messages {'would get' if dry_run else 'got'} another sender; values of"
        f" {result['changed']:,} of {result['groups']:,} groups of rows {'would change' if dry_run else 'changed'}."
    )
    if dry_run:
        print("Nothing was written. To apply the changes, run the same command without --dry-run.")


def _value(own: Any) -> str:
    return f"{own.value}/{own.selector}" if own.selector else str(own.value)


def _shown(own: Any) -> str:
    words = {"block": "addresses in", "dkim": "DKIM signatures of", "envelope": "return paths of", "ptr": "hosts of"}
    return f"{words[own.evidence]} {_value(own)}"


def _sender(name: str | None) -> str:
    return "(unknown)" if name is None else name
