"""THE worker: a DMARC report mail becomes archived originals, catalogue rows and exact figures.

`email()` is the post's first half: the recipient's KV entry names account and domain; the raw mail goes to Objects and
an item into the Queue, and only then the sender hears 250. `queue()` is the second half: read every report in the mail,
archive each attachment as received, note it in the catalogue, publish its rows, acknowledge. Mails take each step
together, since a step costs a wait for a disk; each step is idempotent, and where one fails the mails go on one by one.
What cannot be read is kept under `inbox/` and listed as a problem.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import structlog

from dmarcworks.errors import StoreError
from dmarcworks.ingest import steps
from dmarcworks.ingest.report_rows import inbox_key
from dmarcworks.ingest.steps import PUBLISH_ROWS, Mail
from dmarcworks.process import failpoints
from dmarcworks.process.isolated import UnavailableError
from dmarcworks.workers.message import Message
from dmarcworks.workers.read import Read, Source
from dmarcworks.workers.reading import ORDINARY_BYTES
from dmarcworks.workers.runtime import BatchMessage, Env

__all__ = ["PUBLISH_ROWS", "dead", "email", "queue", "recipient"]

log = structlog.get_logger("dmarcworks.dmarc")

ADDRESS_LENGTH = 320
# Mails of so many bytes together are read at once, so that memory stays flat. Small mails may hold much: with so many
# reports or records in hand no further one is read.
_TOGETHER = 4 * 1024 * 1024
_REPORTS = 2_000
_Unread = tuple[BatchMessage, bytes | None]


async def recipient(address: str, env: Env) -> bool:
    """Whether the address is a rua address of ours (asked at RCPT)."""
    return await _gate(address, env) is not None


async def email(message: Message, env: Env) -> str:
    """Take a mail durably: raw mail into Objects, an item into the Queue; the mail's id."""
    # Looked at again, also where RCPT was answered a moment ago: a domain may have been switched off since.
    gate = await _gate(message.to, env)
    if gate is None:
        message.set_reject("This address takes no reports")
        return "unknown rua address"
    received = env.now()
    mail_id = uuid.uuid4().hex
    key = inbox_key(mail_id, gate["domain_id"], received)
    raw = await message.raw()
    await env.objects.put(key, raw, create_only=True)
    failpoints.hit("accept.put")
    await env.queue.send(
        {
            "mail_id": mail_id,
            "object_key": key,
            "account_id": gate["account_id"],
            "domain_id": gate["domain_id"],
            "domain": gate["domain"],
            "recipient": message.to,
            "sender": message.from_,
            "peer": message.peer,
            "helo": message.helo,
            "received": received.timestamp(),
            "size": message.raw_size,
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
    )
    failpoints.hit("accept.sent")
    return mail_id


async def queue(batch: Sequence[BatchMessage], env: Env) -> None:
    """Read, archive, note and publish a batch of mails; each is acknowledged once its rows are in Analytics."""
    quick = []
    for message in batch:
        if not (env.reader.isolated and int(message.body["size"]) > ORDINARY_BYTES):
            quick.append(message)
        elif not _aside(message, env):
            await _together([message], env)
    for messages in _slices(quick):
        await _together(messages, env)


async def dead(message: BatchMessage, env: Env) -> None:
    """A mail is given up: a person sees why, and the raw mail stays."""
    body, times = message.body, f"{message.failures} time{'' if message.failures == 1 else 's'}"
    await env.problems.reopen_mail(body["mail_id"])
    await env.problems.add(
        account_id=body["account_id"],
        domain_id=body["domain_id"],
        mail_id=body["mail_id"],
        reason="gave_up",
        where="mail",
        detail=f"Reading this mail failed {times}; the last error was: {message.error}",
        object_key=body["object_key"],
        letter=message.id,
    )


async def _together(messages: Sequence[BatchMessage], env: Env, alone: bool = False) -> None:
    """The steps for some mails; `alone` for one whose neighbours or itself made a step fail before."""
    left = list(messages)
    try:
        raws = await steps.side_by_side(env.objects.get(message.body["object_key"]) for message in messages)
        unread = deque(zip(messages, raws, strict=True))
        del raws
        while unread:
            async with env.reading:
                mails, slow = await _read(unread, env)
                failpoints.hit("read.done")
            await _rest(mails, env, check=alone)
            for message in slow:
                if not _aside(message, env):
                    await _rest([await _read_alone(message, env)], env, check=alone)
            left = [message for message, _ in unread]
    except (StoreError, UnavailableError) as error:
        log.warning("mails wait for a store or a process", mails=len(left), error=str(error))
        for message in left:
            message.retry(str(error), temporary=True)
    # One poisonous mail must not stop its neighbours: alone it is tried again and then listed as a problem.
    except Exception as error:
        if len(messages) == 1:
            log.exception("mail failed", id=messages[0].body.get("mail_id"))
            messages[0].retry(repr(error))
            return
        for message in left:
            await _together([message], env, alone=True)


async def _read(unread: deque[_Unread], env: Env) -> tuple[list[Mail], list[BatchMessage]]:
    """Every report and every problem in the next mails, as many as do not hold too much together and at least one; and
    those of them that must be read by themselves."""
    mails: list[Mail] = []
    slow: list[BatchMessage] = []
    sources = [Source(raw) for _, raw in unread if raw is not None]
    found = deque(await env.reader.together(sources, _REPORTS, PUBLISH_ROWS) if sources else ())
    while unread and (found or unread[0][1] is None):
        message, raw = unread.popleft()
        if raw is None:
            mails.append(Mail(message, _received(message), steps.MISSING))
        elif (done := found.popleft()) is None:
            slow.append(message)
        else:
            mails.append(_mail(message, raw, done, env))
    return mails, slow


def _aside(message: BatchMessage, env: Env) -> bool:
    """Read it by itself and go on with it apart from its batch; False where nobody does that."""

    async def prepare() -> list[Mail]:
        return await _proved([await _read_alone(message, env)], env)

    async def rest(mails: list[Mail]) -> None:
        await _kept(mails, env, check=message.failures > 0)

    return message.aside(prepare, rest)


async def _read_alone(message: BatchMessage, env: Env) -> Mail:
    raw: bytes | None = None

    async def fetch() -> Source:
        nonlocal raw
        raw = await env.objects.get(message.body["object_key"])
        return Source(raw or b"")

    done = await env.reader.alone(fetch)
    failpoints.hit("read.done")
    return Mail(message, _received(message), steps.MISSING) if raw is None else _mail(message, raw, done, env)


async def _rest(mails: list[Mail], env: Env, *, check: bool) -> None:
    """Everything after reading; `check` when a step failed before."""
    await _kept(await _proved(mails, env), env, check=check)


async def _proved(mails: list[Mail], env: Env) -> list[Mail]:
    """Those that go on: what is not known to be genuine yet waits, its neighbours do not."""
    if env.prove is not None and mails:
        await env.prove(mails)
    return [mail for mail in mails if not mail.message.waits]


async def _kept(mails: Sequence[Mail], env: Env, *, check: bool) -> None:
    """Everything that writes."""
    if not mails:
        return
    await steps.archive(mails, env)
    await steps.note(mails, env)
    async with env.publishing:
        await steps.publish(mails, env, check=check)
    await steps.finish(mails, env)


def _mail(message: BatchMessage, raw: bytes, done: Read, env: Env) -> Mail:
    kept = raw if env.prove is not None else b""
    return Mail(message, _received(message), done.reading, done.instead, raw=kept)


def _received(message: BatchMessage) -> datetime:
    return datetime.fromtimestamp(message.body["received"], UTC)


def _slices(batch: Sequence[BatchMessage]) -> Iterator[list[BatchMessage]]:
    """The batch in pieces that fit into memory together."""
    piece: list[BatchMessage] = []
    size = 0
    for message in batch:
        size += int(message.body["size"])
        if piece and size > _TOGETHER:
            yield piece
            piece, size = [], int(message.body["size"])
        piece.append(message)
    if piece:
        yield piece


async def _gate(address: str, env: Env) -> dict[str, str] | None:
    if not address.isascii() or len(address) > ADDRESS_LENGTH:
        return None  # none of ours looks so, and no store need be asked
    entry = await env.kv.get(f"dmarc:{address.strip('<>').lower()}")
    if entry is None:
        return None
    gate: dict[str, str] = json.loads(entry)
    return gate
