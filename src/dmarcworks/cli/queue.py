"""`dmarcworks queue …`: inspect the queues of users' workers, requeue or discard dead-lettered messages."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer

from dmarcworks.bindings.contracts import DeadLetter, QueueStats
from dmarcworks.catalogue.dead_letters import DeadLetterActions, excerpt
from dmarcworks.catalogue.stores import Stores
from dmarcworks.cli.common import print_json, print_table, with_stores
from dmarcworks.errors import UsageError
from dmarcworks.settings import Settings
from dmarcworks.workers.batch import decode

app = typer.Typer(help="Inspect worker queues and requeue failed messages.", add_completion=False)
_JSON = typer.Option(False, "--json", help="Print JSON for machines.")
_ID = typer.Argument(help="The message's number, as listed by `dmarcworks queue dead`.")
_ID_OR_ALL = typer.Argument(0, help="The message's number.", show_default=False)
_QUEUE = typer.Option("", "--queue", help="With --all: only messages of this queue.")
_SHOWN = 80


@app.callback(invoke_without_command=True)
def _default(context: typer.Context, as_json: bool = _JSON) -> None:
    if context.invoked_subcommand is None:
        list_(as_json=as_json)


@app.command("list")
def list_(as_json: bool = _JSON) -> None:
    """List the queues that contain messages."""

    async def work(stores: Stores, _: Settings) -> Mapping[str, QueueStats]:
        return await _dead_letters(stores).stats()

    queues = with_stores(work)
    if as_json:
        print_json([{"queue": name, **asdict(stats)} for name, stats in queues.items()])
        return
    rows = [
        (name, stats.ready, stats.delayed, stats.leased, stats.dead, f"{stats.oldest_age:.0f} s")
        for name, stats in queues.items()
    ]
    columns = ["queue", "ready", "delayed", "in progress", "dead", "oldest"]
    print_table(columns, rows, "The queues are empty.")


@app.command()
def dead(
    queue: str = typer.Argument("", help="Only messages of this queue.", show_default=False),
    limit: int = typer.Option(100, "--limit", min=1, max=1000, help="At most this many, newest first."),
    as_json: bool = _JSON,
) -> None:
    """List dead-lettered messages, newest first."""

    async def work(stores: Stores, _: Settings) -> list[DeadLetter]:
        return list(await _dead_letters(stores).dead(queue, limit=limit))

    messages = with_stores(work)
    if as_json:
        print_json([_document(message) for message in messages])
        return
    rows = [(one.id, one.queue, one.died, one.failures, one.error, _excerpt(one)) for one in messages]
    print_table(["id", "queue", "failed", "attempts", "error", "body"], rows, "No dead-lettered messages.")


@app.command()
def show(
    message_id: int = _ID,
    raw: bool = typer.Option(False, "--raw", help="Write the body's bytes to standard output instead."),
    as_json: bool = _JSON,
) -> None:
    """Show one dead-lettered message with its complete body."""

    async def work(stores: Stores, _: Settings) -> DeadLetter:
        return await _dead_letters(stores).one(message_id)

    message = with_stores(work)
    if raw:
        sys.stdout.buffer.write(message.body)
    elif as_json:
        print_json(_document(message))
    else:
        print_table(["field", "value"], list(_document(message).items()), "")


@app.command()
def retry(
    message_id: int = _ID_OR_ALL,
    every: bool = typer.Option(False, "--all", help="All dead-lettered messages."),
    queue: str = _QUEUE,
    as_json: bool = _JSON,
) -> None:
    """Requeue failed messages with a fresh retry count. A running server delivers them within a second."""
    _one_or_all(message_id, every, queue)

    async def work(stores: Stores, _: Settings) -> int:
        if every:
            return await _dead_letters(stores).retry_all(queue)
        await _dead_letters(stores).retry(message_id)
        return 1

    done = with_stores(work)
    print_json({"messages": done}) if as_json else print(f"{_count(done)} requeued")


@app.command()
def discard(
    message_id: int = _ID_OR_ALL,
    every: bool = typer.Option(False, "--all", help="All dead-lettered messages."),
    queue: str = _QUEUE,
    yes: bool = typer.Option(False, "--yes", help="Do not prompt."),
    as_json: bool = _JSON,
) -> None:
    """Discard failed messages. They are deleted permanently."""
    _one_or_all(message_id, every, queue)

    async def find(stores: Stores, _: Settings) -> str:
        if not every:
            message = await _dead_letters(stores).one(message_id)
            return f"Message {message.id} of {message.queue}: {_plain(message.error)}"
        queues = await _dead_letters(stores).stats()
        return _count(sum(stats.dead for name, stats in queues.items() if queue in ("", name)))

    async def work(stores: Stores, _: Settings) -> int:
        if every:
            return await _dead_letters(stores).discard_all(queue)
        await _dead_letters(stores).discard(message_id)
        return 1

    if not yes:
        print(with_stores(find), file=sys.stderr)
        typer.confirm("Delete permanently?", abort=True, err=True)
    done = with_stores(work)
    print_json({"messages": done}) if as_json else print(f"{_count(done)} deleted")


def _dead_letters(stores: Stores) -> DeadLetterActions:
    return DeadLetterActions(stores.queue, stores.dead_letters, stores.audit)


def _one_or_all(message_id: int, every: bool, queue: str) -> None:
    if bool(message_id) == every:
        raise UsageError("give the number of one message, or --all")
    if queue and not every:
        raise UsageError("--queue requires --all")


def _document(message: DeadLetter) -> dict[str, Any]:
    """A dead-lettered message as JSON: the body as sent, bytes in base64."""
    body = decode(message.type, message.body)
    shown = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    document = {**asdict(message), "body": shown, "attempts": message.failures}
    return {name: value for name, value in document.items() if name not in ("deliveries", "failures")}


def _excerpt(message: DeadLetter) -> str:
    """The beginning of a body on one line."""
    text, more = excerpt(message, _SHOWN)
    return f"{text}…" if more else text


def _count(number: int) -> str:
    return f"{number} message{'' if number == 1 else 's'}"


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
