"""A report's way after 250: named steps over mails that take them together.

In: queued items. Each step is idempotent, is timed (metric `dmarcworks_ingest_step_seconds`) and ends in one of
`Outcome`; a failed step raises what went wrong, `StoreError` when a store is unavailable. Mails take each step
together, since a step costs a wait for a disk. What is replayed, adopted or processed once more runs a part of the
same list.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from dmarcworks.ingest import steps
from dmarcworks.ingest.environment import Env
from dmarcworks.ingest.steps import PipelineMail

__all__ = ["BEFORE_WRITING", "STEPS", "WRITING", "Outcome", "Step", "run"]


class Outcome(enum.Enum):
    """How a step ended: for all mails, with some left waiting, or with an error."""

    DONE = "done"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """A step: mails in, those mails out that take the next one."""

    name: str
    work: Callable[[Sequence[PipelineMail], Env, bool], Awaitable[Sequence[PipelineMail]]]


async def _authenticate(mails: Sequence[PipelineMail], env: Env, check: bool) -> Sequence[PipelineMail]:
    if env.prove is None:
        return mails
    await env.prove(mails)
    # Those whose authenticity is not known yet wait; their neighbours continue.
    return [mail for mail in mails if not mail.waits]


async def _archive(mails: Sequence[PipelineMail], env: Env, check: bool) -> Sequence[PipelineMail]:
    await steps.archive(mails, env)
    return mails


async def _note(mails: Sequence[PipelineMail], env: Env, check: bool) -> Sequence[PipelineMail]:
    await steps.note(mails, env)
    return mails


async def _publish(mails: Sequence[PipelineMail], env: Env, check: bool) -> Sequence[PipelineMail]:
    async with env.publishing:
        await steps.publish(mails, env, check=check)
    return mails


async def _finish(mails: Sequence[PipelineMail], env: Env, check: bool) -> Sequence[PipelineMail]:
    await steps.finish(mails, env)
    return mails


# Reading comes before these and has a form of its own: it decides how many mails are processed together
# (`ingest.processing`).
STEPS = (
    Step("authenticate", _authenticate),
    Step("archive", _archive),
    Step("note", _note),
    Step("publish", _publish),
    Step("finish", _finish),
)


# Alongside a batch, before anything is written, and what is left then.
BEFORE_WRITING, WRITING = STEPS[:1], STEPS[1:]


async def run(
    mails: Sequence[PipelineMail], env: Env, *, check: bool = False, part: Sequence[Step] = STEPS
) -> Sequence[PipelineMail]:
    """Take the steps one after the other; the mails that went through all of them.

    `check` looks up every report in Analytics before it is inserted.
    """
    for step in part:
        if not mails:
            break
        began, outcome = time.perf_counter(), Outcome.FAILED
        try:
            left = await step.work(mails, env, check)
            outcome = Outcome.DONE if len(left) == len(mails) else Outcome.WAITING
            mails = left
        finally:
            if env.metrics is not None:
                env.metrics.step(step.name, outcome.value, time.perf_counter() - began)
    return mails
