"""`dmarcworks evidence DOMAIN…`: write a document about domains over a period, for auditors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from dmarcworks.cli.common import print_json
from dmarcworks.errors import UsageError

_FORMATS = {".pdf": "pdf", ".html": "html", ".htm": "html", ".json": "json"}


def evidence(
    domains: list[str] = typer.Argument(help="The domains or their ids, of one account."),
    out: Path | None = typer.Option(None, "--out", help="File to write: .pdf, .html or .json.", metavar="FILE"),
    days: int | None = typer.Option(
        None, "--days", min=1, max=3660, help="Number of UTC days, up to and including today; default 30."
    ),
    first: str = typer.Option("", "--from", help="First UTC day, YYYY-MM-DD.", metavar="DAY"),
    last: str = typer.Option("", "--to", help="Last UTC day, inclusive.", metavar="DAY"),
    as_json: bool = typer.Option(False, "--json", help="Print the document as JSON, without --out."),
) -> None:
    """Write a document for auditors: policy over time, mail at enforcement, senders with decisions, changes."""
    from dmarcworks.analytics.period import parse_day
    from dmarcworks.cli.rest import account_of, content

    format = _format(out, as_json)
    if days is not None and first:
        raise UsageError("--days and --from exclude each other: give --days with --to, or --from with --to")
    for day, name in ((first, "--from"), (last, "--to")):
        parse_day(day, name)
    owned = [account_of(domain, "") for domain in domains]
    if len({account for account, _ in owned}) > 1:
        raise UsageError("the domains belong to different accounts; make a document for each account")
    wanted: dict[str, Any] = {"days": days, "first": first, "last": last, "format": format}
    wanted["domains"] = ",".join(domain_id for _, domain_id in owned)
    document = content("/evidence", owned[0][0], wanted)
    if out is None:
        print_json(json.loads(document))
        return
    try:
        out.write_bytes(document)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    print(f"{out}: {len(owned)} domain{'' if len(owned) == 1 else 's'}, {len(document):,} bytes")


def _format(out: Path | None, as_json: bool) -> str:
    """The format of the document: that of the file's name, or JSON for the terminal."""
    if out is None:
        if not as_json:
            raise UsageError("name the file to write, as in --out evidence.pdf, or give --json")
        return "json"
    if as_json:
        raise UsageError("--json and --out exclude each other: --out evidence.json writes JSON to a file")
    format = _FORMATS.get(out.suffix.lower())
    if format is None:
        raise UsageError(f"--out must end in .pdf, .html or .json, not {out.suffix or 'nothing'}")
    return format
