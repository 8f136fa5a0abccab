"""Many domains at once from CSV: the lines of a file, and what becomes of each.

The first line may name the columns: domain, and account and parked where they are wanted. Without it each line is a
domain. Empty lines and comments (#) do not count.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dmarcworks.catalogue.accounts import Account, Accounts
from dmarcworks.catalogue.names import normal_domain
from dmarcworks.errors import BoundError, ConflictError, DeniedError, NotFoundError, UsageError

__all__ = ["COLUMNS", "DomainOutcome", "FileDomain", "add_lines", "domain_lines"]

COLUMNS = ("domain", "account", "parked")
_YES, _NO = ("yes", "true", "1", "x"), ("", "no", "false", "0")
_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class FileDomain:
    """A domain to add; `account` is "" for the one that adds it. `wrong` is why the line cannot be used."""

    line: int
    name: str
    account: str = ""
    parked: bool = False
    wrong: str = ""


@dataclass(frozen=True, slots=True)
class DomainOutcome:
    """What became of a line: added, present or refused with the reason."""

    line: int
    domain: str
    outcome: str
    rua: str | None = None
    reason: str = ""


def domain_lines(text: str, most: int) -> list[FileDomain]:
    """The domains of a file, each once; `UsageError` for an unknown column or no domain, `BoundError` for too many."""
    columns: Sequence[str] = ("domain",)
    lines: dict[tuple[str, str], FileDomain] = {}
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=False, skipinitialspace=True)
    named = False
    try:
        for row in rows:
            cells = [cell.partition("#")[0].strip() for cell in row]
            if not any(cells):
                continue
            header = [cell.lower() for cell in cells]
            if not named and not lines and header[0] in (*COLUMNS, "name"):
                columns, named = _header(header), True
                continue
            line = _line(rows.line_num, columns, cells)
            lines.setdefault((line.name.lower(), line.account), line)
            if len(lines) > most:
                raise BoundError(f"there are more than {most:,} domains; split the file")
    except csv.Error as error:
        raise UsageError(f"line {rows.line_num} is not CSV: {error}") from None
    if not lines:
        raise UsageError("it contains no domain; write one per line")
    return list(lines.values())


def _header(names: list[str]) -> list[str]:
    columns = ["domain" if name == "name" else name for name in names]
    for name in columns:
        if name not in COLUMNS:
            raise UsageError(f"there is no column {name[:40]!r}; the columns are {', '.join(COLUMNS)}")
    if "domain" not in columns:
        raise UsageError("no column is called domain")
    return columns


def _line(number: int, columns: Sequence[str], cells: Sequence[str]) -> FileDomain:
    values: dict[str, Any] = dict(zip(columns, cells, strict=False))
    name, parked = str(values.get("domain", ""))[:_CHARACTERS], str(values.get("parked", "")).lower()
    wrong = ""
    if len([cell for cell in cells[len(columns) :] if cell]):
        wrong = f"the line has more than {len(columns)} column{'' if len(columns) == 1 else 's'}"
    elif parked not in (*_YES, *_NO):
        wrong = f"parked must be yes or no, not {parked[:40]!r}"
    return FileDomain(number, name, str(values.get("account", ""))[:_CHARACTERS], parked in _YES, wrong)


async def add_lines(
    accounts: Accounts,
    owner: Account,
    lines: Sequence[FileDomain],
    *,
    operator: bool = False,
    public_suffix: bool = False,
) -> list[DomainOutcome]:
    """Add each domain that is not there yet. Only an operator may name accounts."""
    return [await _outcome(accounts, owner, line, operator, public_suffix) for line in lines]


async def _outcome(
    accounts: Accounts, owner: Account, line: FileDomain, operator: bool, public_suffix: bool
) -> DomainOutcome:
    try:
        if line.wrong:
            raise UsageError(line.wrong)
        if line.account and not operator:
            raise DeniedError("only the operator may name an account; leave the column out")
        account = await accounts.account_by_name(line.account, create=True) if line.account else owner
        domain, outcome = await accounts.domain(account.id, normal_domain(line.name)), "present"
        if domain is None:
            outcome = "added"
            domain = await accounts.add_domain(
                line.name, account.name, operator=operator, public_suffix=public_suffix, parked=line.parked
            )
    except (UsageError, ConflictError, DeniedError, NotFoundError) as error:
        return DomainOutcome(line.line, line.name, "refused", None, str(error))
    return DomainOutcome(line.line, domain.name, outcome, domain.rua)
