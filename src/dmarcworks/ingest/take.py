"""Queued mails through the pipeline: read as many as memory allows, run the steps, and keep failures apart.

Small mails are read together and large ones apart from them. Where a step fails, the mails continue one by one, so that
a
poisonous one does not stop its neighbours; while a store is unavailable they wait for it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from dmarcworks.errors import StoreError
from dmarcworks.ingest import pipeline, steps
from dmarcworks.ingest.environment import Delivery, Env
from dmarcworks.ingest.item import MailItem
from dmarcworks.ingest.read_source import Read, Source
from dmarcworks.ingest.reading import ORDINARY_BYTES
from dmarcworks.ingest.steps import PUBLISH_ROWS, PipelineMail
from dmarcworks.process import failpoints
from dmarcworks.process.isolated import UnavailableError

__all__ = ["Taken", "process"]

log = structlog.get_logger("dmarcworks.dmarc")

# Mails of so many bytes together are read at once, so that memory stays flat. Small mails may hold much: with so many
# reports or records in memory no further one is read.
_TOGETHER = 4 * 1024 * 1024
_REPORTS = 2_000


class QueuedMail(Delivery, Protocol):
    """A delivery that can be worked on apart from its batch."""

    def aside(self, prepare: Callable[[Any], Awaitable[Any]], work: Callable[[Any], Awaitable[None]]) -> bool:
        """Work on it apart; False where nobody does that."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A queued mail that is being processed."""

    message: QueuedMail
    item: MailItem


_Unread = tuple[Taken, bytes | None]


async def process(batch: Sequence[Taken], env: Env) -> None:
    """Take every mail through the pipeline; each is acknowledged or retried."""
    quick = []
    for taken in batch:
        if not (env.reader.isolated and taken.item.size > ORDINARY_BYTES):
            quick.append(taken)
        elif not _aside(taken, env):
            await _together([taken], env)
    for some in _slices(quick):
        await _together(some, env)


async def _together(batch: Sequence[Taken], env: Env, alone: bool = False) -> None:
    """The steps for some mails; `alone` for one whose neighbours or itself made a step fail before."""
    left = list(batch)
    try:
        raws = await steps.side_by_side(env.objects.get(taken.item.object_key) for taken in batch)
        unread = deque(zip(batch, raws, strict=True))
        del raws
        while unread:
            async with env.reading:
                mails, slow = await _read(unread, env)
                failpoints.hit("read.done")
            await pipeline.run(mails, env, check=alone)
            for taken in slow:
                if not _aside(taken, env):
                    await pipeline.run([await _read_alone(taken, env)], env, check=alone)
            left = [taken for taken, _ in unread]
    except (StoreError, UnavailableError) as error:
        log.warning("mails wait for a store or a process", mails=len(left), error=str(error))
        for taken in left:
            taken.message.retry(error=str(error), temporary=True)
    # One poisonous mail must not stop its neighbours: alone it is tried again and then listed as a problem.
    except Exception as error:
        if len(batch) == 1:
            log.exception("mail failed", id=batch[0].item.mail_id)
            batch[0].message.retry(error=repr(error))
            return
        for taken in left:
            await _together([taken], env, alone=True)


async def _read(unread: deque[_Unread], env: Env) -> tuple[list[PipelineMail], list[Taken]]:
    """Every report and every problem in the next mails, as many as do not hold too much together and at least one; and
    those of them that must be read by themselves."""
    began = time.perf_counter()
    mails: list[PipelineMail] = []
    slow: list[Taken] = []
    sources = [Source(raw) for _, raw in unread if raw is not None]
    readings = deque(await env.reader.together(sources, _REPORTS, PUBLISH_ROWS) if sources else ())
    while unread and (readings or unread[0][1] is None):
        taken, raw = unread.popleft()
        if raw is None:
            mails.append(PipelineMail(taken.message, taken.item, steps.MISSING))
        elif (done := readings.popleft()) is None:
            slow.append(taken)
        else:
            mails.append(_mail(taken, raw, done, env))
    if env.metrics is not None:
        outcome = pipeline.Outcome.WAITING if slow else pipeline.Outcome.DONE
        env.metrics.step("read", outcome.value, time.perf_counter() - began)
    return mails, slow


def _aside(taken: Taken, env: Env) -> bool:
    """Read it by itself and continue with it apart from its batch; False where the environment cannot do that."""

    async def prepare(own: QueuedMail) -> Sequence[PipelineMail]:
        mail = await _read_alone(Taken(own, taken.item), env)
        return await pipeline.run([mail], env, part=pipeline.BEFORE_WRITING)

    async def rest(mails: Sequence[PipelineMail]) -> None:
        await pipeline.run(mails, env, check=taken.message.failures > 0, part=pipeline.WRITING)

    return taken.message.aside(prepare, rest)


async def _read_alone(taken: Taken, env: Env) -> PipelineMail:
    began, outcome = time.perf_counter(), pipeline.Outcome.FAILED
    raw: bytes | None = None

    async def fetch() -> Source:
        nonlocal raw
        raw = await env.objects.get(taken.item.object_key)
        return Source(raw or b"")

    try:
        done = await env.reader.alone(fetch)
        outcome = pipeline.Outcome.DONE
    finally:
        if env.metrics is not None:
            env.metrics.step("read", outcome.value, time.perf_counter() - began)
    failpoints.hit("read.done")
    return PipelineMail(taken.message, taken.item, steps.MISSING) if raw is None else _mail(taken, raw, done, env)


def _mail(taken: Taken, raw: bytes, done: Read, env: Env) -> PipelineMail:
    kept = raw if env.prove is not None else b""
    return PipelineMail(taken.message, taken.item, done.reading, done.instead, raw=kept)


def _slices(batch: Sequence[Taken]) -> Iterator[list[Taken]]:
    """The batch in pieces that fit into memory together."""
    piece: list[Taken] = []
    size = 0
    for taken in batch:
        size += taken.item.size
        if piece and size > _TOGETHER:
            yield piece
            piece, size = [], taken.item.size
        piece.append(taken)
    if piece:
        yield piece
