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

__all__ = ["LeasedMail", "process"]

log = structlog.get_logger("dmarcworks.dmarc")

# Mails of so many bytes together are read at once, so that memory stays flat. Small mails may hold much: with so many
# reports or records in memory no further one is read.
_TOGETHER = 4 * 1024 * 1024
_REPORTS = 2_000


class QueuedMail(Delivery, Protocol):
    """A delivery that can be worked on apart from its batch."""

    def detach(self, prepare: Callable[[Any], Awaitable[Any]], work: Callable[[Any], Awaitable[None]]) -> bool:
        """Work on it apart; False where nobody does that."""


@dataclass(frozen=True, slots=True)
class LeasedMail:
    """A queued mail that is being processed."""

    message: QueuedMail
    item: MailItem


_Unread = tuple[LeasedMail, bytes | None]


async def process(batch: Sequence[LeasedMail], env: Env) -> None:
    """Take every mail through the pipeline; each is acknowledged or retried."""
    quick = []
    for leased in batch:
        if not (env.reader.isolated and leased.item.size > ORDINARY_BYTES):
            quick.append(leased)
        elif not _detach(leased, env):
            await _together([leased], env)
    for some in _slices(quick):
        await _together(some, env)


async def _together(batch: Sequence[LeasedMail], env: Env, alone: bool = False) -> None:
    """The steps for some mails; `alone` for one whose neighbours or itself made a step fail before."""
    left = list(batch)
    try:
        raws = await steps.side_by_side(env.objects.get(leased.item.object_key) for leased in batch)
        unread = deque(zip(batch, raws, strict=True))
        del raws
        while unread:
            async with env.reading:
                mails, slow = await _read(unread, env)
                failpoints.hit("read.done")
            await pipeline.run(mails, env, check=alone)
            for leased in slow:
                if not _detach(leased, env):
                    await pipeline.run([await _read_alone(leased, env)], env, check=alone)
            left = [leased for leased, _ in unread]
    except (StoreError, UnavailableError) as error:
        log.warning("mails wait for a store or a process", mails=len(left), error=str(error))
        for leased in left:
            leased.message.retry(error=str(error), temporary=True)
    # One poisonous mail must not stop its neighbours: alone it is tried again and then listed as a problem.
    except Exception as error:
        if len(batch) == 1:
            log.exception("mail failed", id=batch[0].item.mail_id)
            batch[0].message.retry(error=repr(error))
            return
        for leased in left:
            await _together([leased], env, alone=True)


async def _read(unread: deque[_Unread], env: Env) -> tuple[list[PipelineMail], list[LeasedMail]]:
    """Every report and every problem in the next mails, as many as do not hold too much together and at least one; and
    those of them that must be read by themselves."""
    began = time.perf_counter()
    mails: list[PipelineMail] = []
    slow: list[LeasedMail] = []
    sources = [Source(raw) for _, raw in unread if raw is not None]
    readings = deque(await env.reader.together(sources, _REPORTS, PUBLISH_ROWS) if sources else ())
    while unread and (readings or unread[0][1] is None):
        leased, raw = unread.popleft()
        if raw is None:
            mails.append(PipelineMail(leased.message, leased.item, steps.MISSING))
        elif (done := readings.popleft()) is None:
            slow.append(leased)
        else:
            mails.append(_mail(leased, raw, done, env))
    if env.metrics is not None:
        outcome = pipeline.Outcome.WAITING if slow else pipeline.Outcome.DONE
        env.metrics.step("read", outcome.value, time.perf_counter() - began)
    return mails, slow


def _detach(leased: LeasedMail, env: Env) -> bool:
    """Read it by itself and continue with it apart from its batch; False where the environment cannot do that."""

    async def prepare(own: QueuedMail) -> Sequence[PipelineMail]:
        mail = await _read_alone(LeasedMail(own, leased.item), env)
        return await pipeline.run([mail], env, part=pipeline.BEFORE_WRITING)

    async def rest(mails: Sequence[PipelineMail]) -> None:
        await pipeline.run(mails, env, check=leased.message.failures > 0, part=pipeline.WRITING)

    return leased.message.detach(prepare, rest)


async def _read_alone(leased: LeasedMail, env: Env) -> PipelineMail:
    began, outcome = time.perf_counter(), pipeline.Outcome.FAILED
    raw: bytes | None = None

    async def fetch() -> Source:
        nonlocal raw
        raw = await env.objects.get(leased.item.object_key)
        return Source(raw or b"")

    try:
        done = await env.reader.alone(fetch)
        outcome = pipeline.Outcome.DONE
    finally:
        if env.metrics is not None:
            env.metrics.step("read", outcome.value, time.perf_counter() - began)
    failpoints.hit("read.done")
    return PipelineMail(leased.message, leased.item, steps.MISSING) if raw is None else _mail(leased, raw, done, env)


def _mail(leased: LeasedMail, raw: bytes, done: Read, env: Env) -> PipelineMail:
    kept = raw if env.prove is not None else b""
    return PipelineMail(leased.message, leased.item, done.reading, done.instead, raw=kept)


def _slices(batch: Sequence[LeasedMail]) -> Iterator[list[LeasedMail]]:
    """The batch in pieces that fit into memory together."""
    piece: list[LeasedMail] = []
    size = 0
    for leased in batch:
        size += leased.item.size
        if piece and size > _TOGETHER:
            yield piece
            piece, size = [], leased.item.size
        piece.append(leased)
    if piece:
        yield piece
