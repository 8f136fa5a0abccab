"""`dmarcworks domain add`: one domain, or many from a file."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import typer

from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.cli.domain_show import ADD_SECONDS, ShownDomain, look_up, print_domain, shown_domain
from dmarcworks.errors import UsageError
from dmarcworks.settings import Settings

__all__ = ["add"]

_MOST = 100_000


def add(
    name: str = typer.Argument("", help="The domain, like example.com.", show_default=False),
    file: str = typer.Option(
        "",
        "--file",
        help="Add every domain in this file, one per line, or CSV with the columns domain, account and parked; - reads"
        " standard input.",
        show_default=False,
    ),
    account: str = typer.Option("default", "--account", help="The account that owns it; created if missing."),
    public_suffix: bool = typer.Option(
        False, "--public-suffix", help="Add it even if it is a public suffix, whose subdomains have other owners."
    ),
    parked: bool = typer.Option(
        False, "--parked", help="The domain neither sends nor receives mail: prints records that state it."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Add a domain: prints its rua address, what DNS shows of it now, and the records to publish.

    With --file: add every domain of the file that the account does not have yet. Exit status 1 when one was refused.
    """
    if bool(name) == bool(file):
        raise UsageError("name a domain, or a file of domains with --file")
    if file:
        if parked:
            raise UsageError("--parked is for one domain; a file has a column parked")
        _add_all(_text(file), file, account, public_suffix, as_json)
        return

    from dmarcworks.ingest.retry import adoptable  # not needed to list domains

    async def work(stores: Stores, settings: Settings) -> tuple[ShownDomain, int]:
        domain = await stores.accounts.add_domain(
            name, account, operator=True, public_suffix=public_suffix, parked=parked
        )
        waiting = await adoptable(stores, domain.account_id)
        kept = sum(list(reports.values()).count(domain.id) for _, reports in waiting)
        if settings.setup_checks == "on":
            domain = await look_up(domain, stores, settings, ADD_SECONDS)
        return await shown_domain(domain, stores), kept

    added, kept = with_stores(work)
    if as_json:
        print_json(added.document)
        return
    print_domain(added, f"Added {added.document['domain']}.")
    if kept:
        reports = "1 report about it" if kept == 1 else f"{kept} reports about it"
        print(
            f"\n{reports} arrived earlier at other addresses of the account; `dmarcworks problems adopt --all` "
            f"counts them."
        )


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{file} cannot be read: {reason}") from None


def _add_all(text: str, file: str, account: str, public_suffix: bool, as_json: bool) -> None:
    from dmarcworks.catalogue.domain_lines import DomainOutcome, add_lines, domain_lines

    try:
        lines = domain_lines(text, _MOST)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None

    async def work(stores: Stores, settings: Settings) -> list[DomainOutcome]:
        owner = await stores.accounts.account_by_name(account, create=True)
        return await add_lines(stores.accounts, owner, lines, operator=True, public_suffix=public_suffix)

    outcomes = with_stores(work)
    if as_json:
        print_json([asdict(one) for one in outcomes])
    else:
        rows = [(one.line, one.domain, one.outcome, one.rua or one.reason) for one in outcomes]
        print_table(["line", "domain", "outcome", "reports to"], rows, "")
        print("`dmarcworks domain show NAME` prints the records to publish and whether DNS shows them.")
    if any(one.outcome == "refused" for one in outcomes):
        raise typer.Exit(1)
