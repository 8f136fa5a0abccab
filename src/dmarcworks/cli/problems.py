"""`dmarcworks problems …`: what could not be read or counted, and why."""

from __future__ import annotations

import sys

import typer

from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import NotFoundError, UsageError
from dmarcworks.retry import retry_all, retry_mail
from dmarcworks.settings import Settings
from dmarcworks.stores import Stores

app = typer.Typer(help="What could not be read or counted, and why.", add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")


@app.callback(invoke_without_command=True)
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_(limit=100, as_json=False)


@app.command("list")
def list_(
    limit: int = typer.Option(100, "--limit", min=1, max=1000, help="At most this many, newest first."),
    as_json: bool = _JSON,
) -> None:
    """List the open problems, newest first."""

    async def work(stores: Stores, settings: Settings) -> list[ProblemRow]:
        return await stores.problems.list(limit=limit)

    problems = with_stores(work)
    if as_json:
        print_json(problems)
    else:
        rows = [(p.id, p.created, p.reason, p.where, p.detail) for p in problems]
        print_table(["id", "when", "reason", "where", "detail"], rows, "No open problem: everything was read.")


@app.command()
def retry(
    problem_id: int = typer.Argument(0, help="The problem's number.", show_default=False),
    every: bool = typer.Option(False, "--all", help="Every open problem, after an upgrade."),
) -> None:
    """Read the mail of a problem again. The running server does it at once; else the next one that starts."""
    if bool(problem_id) == every:
        raise UsageError("name one problem by its number, or all with --all")

    async def work(stores: Stores, settings: Settings) -> int:
        if every:
            return await retry_all(stores)
        problem = await stores.problems.get(None, problem_id)
        if problem is None:
            raise NotFoundError(f"there is no problem {problem_id}; `dmarcworks problems list` names them")
        await retry_mail(stores, problem)
        return 1

    mails = with_stores(work)
    print(f"{mails} mail{'' if mails == 1 else 's'} queued to be read again; what is still wrong will be listed anew.")


@app.command()
def show(
    problem_id: int = typer.Argument(help="The problem's number."),
    raw: bool = typer.Option(False, "--raw", help="Write the raw mail to standard output instead."),
    as_json: bool = _JSON,
) -> None:
    """Show one problem, or the raw mail that it is about."""

    async def work(stores: Stores, settings: Settings) -> tuple[ProblemRow | None, bytes | None]:
        problem = await stores.problems.get(None, problem_id)
        content = await stores.objects.get(problem.object_key) if problem and raw else None
        return problem, content

    problem, content = with_stores(work)
    if problem is None:
        raise NotFoundError(f"there is no problem {problem_id}; `dmarcworks problems list` names them")
    if raw:
        if content is None:
            raise NotFoundError(f"the raw mail {problem.object_key} is gone from the object store")
        sys.stdout.buffer.write(content)
    elif as_json:
        print_json(problem)
    else:
        rows = [(name, getattr(problem, name)) for name in ProblemRow.__slots__]
        print_table(["field", "value"], rows, "")
