"""`dmarcworks problems …`: list and resolve problems: mail that could not be parsed or counted."""

from __future__ import annotations

import sys

import typer

from dmarcworks.catalogue.audit import command
from dmarcworks.catalogue.problems import OTHER, ProblemRow, Retried
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import NotFoundError, UsageError
from dmarcworks.ingest.retry import adopt, adopt_all, discard, retry, retry_all
from dmarcworks.settings import Settings

app = typer.Typer(help="List and resolve problems: mail that could not be parsed or counted.", add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_NUMBER = typer.Argument(help="The problem's number.")
_NUMBER_OR_ALL = typer.Argument(0, help="The problem's number.", show_default=False)
_REASON = typer.Option("", "--reason", help="Only problems with this reason, such as no_report.")
STATES = ("open", "retrying", "closed", "discarded", "other")


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, as_json: bool = _JSON) -> None:
    if context.invoked_subcommand is None:
        list_(limit=100, reason="", state="open", every=False, as_json=as_json)


@app.command("list")
def list_(
    limit: int = typer.Option(100, "--limit", min=1, max=1000, help="At most this many, newest first."),
    reason: str = _REASON,
    state: str = typer.Option("open", "--state", help=f"Only problems in this state: {', '.join(STATES)}."),
    every: bool = typer.Option(False, "--all", help="Problems in every state."),
    as_json: bool = _JSON,
) -> None:
    """List the open problems, newest first."""
    if state not in STATES:
        raise UsageError(f"there is no state {state!r}; use one of {', '.join(STATES)}")

    async def work(stores: Stores, settings: Settings) -> list[ProblemRow]:
        return await stores.problems.list(limit=limit, state="" if every else state, reason=reason)

    problems = with_stores(work)
    if as_json:
        print_json(problems)
        return
    columns = ["id", "when", *(["state"] if every else []), "reason", "where", "detail"]
    rows = [(p.id, p.created, *([p.state] if every else []), p.reason, p.where, p.detail) for p in problems]
    narrowed = reason or every or state != "open"
    print_table(columns, rows, "No such problems." if narrowed else "No open problems.")


@app.command("retry")
def retry_(
    problem_id: int = _NUMBER_OR_ALL,
    every: bool = typer.Option(False, "--all", help="All open problems, after an upgrade."),
    reason: str = _REASON,
    as_json: bool = _JSON,
) -> None:
    """Reprocess the mail of a problem. A running server does it immediately, otherwise the next one that starts."""
    _one_or_all(problem_id, every)
    if reason and not every:
        raise UsageError("--reason requires --all")

    async def work(stores: Stores, settings: Settings) -> Retried:
        if every:
            return await retry_all(stores, reason=reason, by=command().name)
        await retry(stores, await _problem(stores, problem_id), command().name)
        return Retried(1)

    done = with_stores(work)
    text = f"{_count(done.mails, 'mail')} queued for reprocessing; unsolved problems will be listed again."
    _print_outcome(done, text, as_json)


@app.command("adopt")
def adopt_(
    problem_id: int = _NUMBER_OR_ALL,
    every: bool = typer.Option(False, "--all", help="All such reports whose domain has been added."),
    as_json: bool = _JSON,
) -> None:
    """Count a report that was sent to another domain's address, once the domain that it is about has been added."""
    _one_or_all(problem_id, every)

    async def work(stores: Stores, settings: Settings) -> Retried:
        if every:
            return await adopt_all(stores, by=command().name)
        await adopt(stores, await _problem(stores, problem_id), command().name)
        return Retried(1)

    done = with_stores(work)
    _print_outcome(
        done, f"{_count(done.mails, 'report')} adopted; counted for the right domain once reprocessed.", as_json
    )


@app.command("discard")
def discard_(
    problem_id: int = _NUMBER,
    yes: bool = typer.Option(False, "--yes", help="Do not prompt."),
    as_json: bool = _JSON,
) -> None:
    """Discard a problem. Its entry and raw mail are kept; it is not reprocessed."""

    async def find(stores: Stores, settings: Settings) -> ProblemRow:
        return await _problem(stores, problem_id)

    async def work(stores: Stores, settings: Settings) -> ProblemRow:
        await discard(stores, await _problem(stores, problem_id), command().name)
        return await _problem(stores, problem_id)

    if not yes:
        problem = with_stores(find)
        print(f"Problem {problem.id}, {problem.reason}: {_plain(problem.detail)}", file=sys.stderr)
        typer.confirm("Discard it?", abort=True, err=True)
    done = with_stores(work)
    if as_json:
        print_json(done)
    else:
        print(f"Discarded problem {problem_id}; its raw mail is kept: dmarcworks problems show {problem_id} --raw")


@app.command()
def other(
    limit: int = typer.Option(100, "--limit", min=1, max=1000, help="At most this many, newest first."),
    reason: str = _REASON,
    discard_all: bool = typer.Option(False, "--discard-all", help="Discard all of it, or all with this reason."),
    yes: bool = typer.Option(False, "--yes", help="Do not prompt."),
    as_json: bool = _JSON,
) -> None:
    """List other mail: mail that is not a report (bounces, automatic replies, spam, notices), or discard it."""

    async def find(stores: Stores, settings: Settings) -> list[ProblemRow]:
        return await stores.problems.list(limit=limit, state=OTHER, reason=reason)

    async def work(stores: Stores, settings: Settings) -> int:
        return await stores.problems.discard_other(None, command().name, reason)

    if not discard_all:
        rows = with_stores(find)
        if as_json:
            print_json(rows)
        else:
            columns = ["id", "when", "reason", "detail"]
            print_table(columns, [(row.id, row.created, row.reason, row.detail) for row in rows], "No other mail.")
        return
    if not yes:
        typer.confirm(f"Discard all other mail{f' with the reason {reason}' if reason else ''}?", abort=True, err=True)
    number = with_stores(work)
    if as_json:
        print_json({"discarded": number})
    else:
        print(f"Discarded {_count(number, 'mail')}; the raw mail is kept until its retention period ends.")


@app.command()
def show(
    problem_id: int = _NUMBER,
    raw: bool = typer.Option(False, "--raw", help="Write the raw mail to standard output instead."),
    as_json: bool = _JSON,
) -> None:
    """Show one problem, or its raw mail."""

    async def work(stores: Stores, settings: Settings) -> tuple[ProblemRow, bytes | None]:
        problem = await _problem(stores, problem_id)
        return problem, await stores.objects.get(problem.object_key) if raw else None

    problem, content = with_stores(work)
    if raw:
        if content is None:
            raise NotFoundError(f"the raw mail {problem.object_key} is no longer in the object store")
        sys.stdout.buffer.write(content)
    elif as_json:
        print_json(problem)
    else:
        rows = [(name, getattr(problem, name)) for name in ProblemRow.__slots__]
        print_table(["field", "value"], rows, "")


async def _problem(stores: Stores, problem_id: int) -> ProblemRow:
    problem = await stores.problems.get(None, problem_id)
    if problem is None:
        raise NotFoundError(f"there is no problem {problem_id}; `dmarcworks problems list` lists the problems")
    return problem


def _one_or_all(problem_id: int, every: bool) -> None:
    if bool(problem_id) == every:
        raise UsageError("give the number of one problem, or --all")


def _print_outcome(done: Retried, text: str, as_json: bool) -> None:
    """Print what was done; what was skipped goes to standard error, with exit status 1."""
    if as_json:
        print_json(done)
    else:
        print(text)
        for line in done.skipped:
            print(f"not {line}", file=sys.stderr)
    if done.skipped:
        raise typer.Exit(1)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
