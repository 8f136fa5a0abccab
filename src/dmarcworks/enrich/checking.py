"""Checks a mail: the arithmetic in an isolated process, the questions to DNS from here, side by side.

The author's policy, SPF and every key are queried at the same time, each within the mail's whole time box, so that no
slow domain uses another's share. Alignment never depends on the name servers of an unrelated domain. Once the verdict
is known, the checks that cannot change it get only a little more time.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import structlog

from dmarcworks.enrich.authenticity import (
    NOT_CHECKED,
    UNABLE,
    UNKNOWN,
    Authenticity,
    CheckedSignature,
    Identifier,
    MailToCheck,
    dmarc_result,
    overall,
)
from dmarcworks.enrich.dkim.signature import Claim
from dmarcworks.enrich.dmarc_policy import DmarcPolicy, PolicyFinder
from dmarcworks.enrich.examine import Work
from dmarcworks.enrich.facts import Facts
from dmarcworks.enrich.resolver import DnsRecords, NoAnswerError, RecordResolver
from dmarcworks.enrich.spf_check import MAX_QUERIES, Needed, spf_domain
from dmarcworks.process.isolated import FailedError, KilledError, UnavailableError

log = structlog.get_logger("dmarcworks.authenticity")

# Questions of a chain at once.
_CHAIN_AT_ONCE = 4
# Mails of one reporter come together: its SPF result is kept so long.
_SPF_SECONDS = 30.0
_SPF_KEPT = 1_000
_Result = TypeVar("_Result")


class Checker:
    """Checks mails with `resolver` and `work`; the questions of one mail may take `seconds`, those that cannot change
    the verdict any more `patience`."""

    def __init__(
        self, resolver: RecordResolver, work: Work, *, seconds: float = 5.0, patience: float | None = None
    ) -> None:
        self.resolver = resolver
        self._work = work
        self._seconds = seconds
        self._patience = seconds if patience is None else patience
        self._left: set[asyncio.Task[Any]] = set()
        self._spf_known: OrderedDict[tuple[str, str, str], tuple[float, asyncio.Task[str]]] = OrderedDict()

    async def check(self, mail: MailToCheck) -> Authenticity:
        """Everything about one mail: never an error, whatever the mail holds."""
        try:
            return await self._examined(mail)
        except (KilledError, FailedError) as error:
            log.warning("a mail could not be checked", error=str(error), peer=mail.peer, sender=mail.sender)
            return NOT_CHECKED
        except UnavailableError as error:
            log.error("no mail can be checked", error=str(error))
            return UNKNOWN

    def close(self) -> None:
        """Stop the queries for mails that have their result."""
        for task in self._left:
            task.cancel()

    async def alive(self) -> bool:
        """Whether DNS answers at all."""
        return await self.resolver.alive()

    async def _examined(self, mail: MailToCheck) -> Authenticity:
        facts: Facts = await self._work(("facts", mail.raw, time.time()))
        if facts.too_large:
            return NOT_CHECKED
        deadline = time.monotonic() + self._seconds
        envelope = spf_domain(mail.helo, mail.sender)
        spf = self._spf_known_for(mail) or self._begin(self._spf(mail, deadline))
        # What needs no query has its result at once: a task for each would be most of what a plain mail costs.
        keys = [
            _ready(one.result) if one.claim is None else self._begin(self._dkim(one.claim, deadline))
            for one in facts.signatures
        ]
        chain = facts.chain
        sealed = _ready(chain.result) if chain.result else self._begin(self._arc(chain.claims, deadline))
        everything = [spf, sealed, *keys]
        try:
            policy, by_dkim, by_spf = await self._alignment(facts, envelope, deadline)
        except NoAnswerError:
            await _settled(everything, self._patience)
            return _result(facts, envelope, _now(spf), [_now(key) for key in keys], _now(sealed), UNABLE, "")
        relevant = [
            task for task, aligned in zip([spf, *keys], [by_spf, *by_dkim], strict=True) if aligned is not False
        ]
        await _settled(relevant, None)
        await _settled(everything, self._patience)
        results = [_now(task) for task in (spf, *keys)]
        identifiers = [Identifier(*one) for one in zip(results, [by_spf, *by_dkim], strict=True)]
        dmarc = dmarc_result(facts.author, policy, identifiers)
        return _result(facts, envelope, results[0], results[1:], _now(sealed), dmarc, policy.action if policy else "")

    def _begin(self, work: Coroutine[Any, Any, str]) -> asyncio.Task[str]:
        """A task that may outlive its mail: its answer is useful for the next one."""
        task = asyncio.get_running_loop().create_task(work)
        self._left.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # it is seen where the result is wanted; elsewhere it concerns nobody

    async def _alignment(
        self, facts: Facts, envelope: str, deadline: float
    ) -> tuple[DmarcPolicy | None, list[bool | None], bool | None]:
        """The author's policy, and for each signature and the envelope's domain whether it is aligned."""
        author, known = facts.author, _Known()
        nobody: list[bool | None] = [False] * len(facts.signatures)
        if not author:
            return None, nobody, False
        policy = await self._replayed(lambda finder: finder.policy(author), known, deadline)
        if policy is None:
            return None, nobody, False

        async def aligned(domain: str, strict: bool) -> bool | None:
            try:
                return await self._replayed(lambda finder: finder.aligned(author, domain, strict), known, deadline)
            except NoAnswerError:
                return None

        if not facts.signatures:
            return policy, nobody, await aligned(envelope, policy.strict_spf)
        answers = await asyncio.gather(
            *(aligned(signed.domain, policy.strict_dkim) for signed in facts.signatures),
            aligned(envelope, policy.strict_spf),
        )
        return policy, answers[:-1], answers[-1]

    async def _replayed(self, work: Callable[[PolicyFinder], _Result], known: _Known, deadline: float) -> _Result:
        """The result of queries that depend on one another: run again from the start with each answer."""
        while True:
            try:
                return work(PolicyFinder(known, known.exists, deadline))
            except _UnansweredError as missing:
                known.answers[missing.question] = await self.resolver.lookup(*missing.question, deadline)

    def _spf_known_for(self, mail: MailToCheck) -> asyncio.Future[str] | None:
        """The evaluation that another mail with the same envelope has ended; None when there is none."""
        until, task = self._spf_known.get((mail.peer, mail.helo, mail.sender), (0.0, None))
        if task is None or until < time.monotonic() or not task.done() or task.cancelled():
            return None
        return task if task.exception() is None and task.result() != UNABLE else None

    async def _spf(self, mail: MailToCheck, deadline: float) -> str:
        """SPF's result; mails with the same envelope, such as those of one reporter, share an evaluation."""
        key = (mail.peer, mail.helo, mail.sender)
        until, task = self._spf_known.get(key, (0.0, None))
        if task is None or until < time.monotonic():
            task = self._begin(self._evaluated(key, deadline))
            self._spf_known[key] = (time.monotonic() + _SPF_SECONDS, task)
            while len(self._spf_known) > _SPF_KEPT:
                self._spf_known.popitem(last=False)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(deadline - time.monotonic(), 0.001)):
                result = await asyncio.shield(task)
        except TimeoutError:
            return UNABLE
        if result == UNABLE and self._spf_known.get(key, (0.0, None))[1] is task:
            del self._spf_known[key]
        return result

    async def _evaluated(self, envelope: tuple[str, str, str], deadline: float) -> str:
        answers: dict[tuple[str, str], list[Any] | None] = {}
        for _ in range(MAX_QUERIES + 1):
            step: str | Needed = await self._work(("spf", *envelope, answers))
            if isinstance(step, str):
                return step
            try:
                answers[step.name, step.kind] = await self.resolver(step.name, step.kind, deadline)
            except NoAnswerError:
                answers[step.name, step.kind] = None
        return "permerror"

    async def _dkim(self, claim: Claim, deadline: float) -> str:
        try:
            records = await self.resolver(claim.key_name, "TXT", deadline)
        except NoAnswerError:
            return UNABLE
        results: list[str] = await self._work(("verify", [(claim, records)]))
        return results[0]

    async def _arc(self, claims: Sequence[Claim], deadline: float) -> str:
        limit = asyncio.Semaphore(_CHAIN_AT_ONCE)

        async def with_key(claim: Claim) -> tuple[Claim, Sequence[bytes]]:
            async with limit:
                return claim, await self.resolver(claim.key_name, "TXT", deadline)

        keys = await asyncio.gather(*(with_key(claim) for claim in claims), return_exceptions=True)
        if any(isinstance(one, NoAnswerError) for one in keys):
            return UNABLE
        results: list[str] = await self._work(("verify", keys))
        return "pass" if all(result == "pass" for result in results) else "fail"


class _UnansweredError(Exception):
    def __init__(self, question: tuple[str, str]) -> None:
        super().__init__(question)
        self.question = question


class _Known:
    """Known answers, as the policy's tree walk queries them."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], DnsRecords] = {}

    def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records, or `_UnansweredError`."""
        return self._known(name, kind).records

    def exists(self, name: str, deadline: float) -> bool:
        """Whether the name exists, or `_UnansweredError`."""
        return self._known(name, "A").exists

    def _known(self, name: str, kind: str) -> DnsRecords:
        if (name, kind) not in self.answers:
            raise _UnansweredError((name, kind))
        return self.answers[name, kind]


def _ready(result: str) -> asyncio.Future[str]:
    """A result that is known."""
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future


async def _settled(tasks: Sequence[asyncio.Future[str]], seconds: float | None) -> None:
    """Wait for all, at most so long."""
    if unfinished := [task for task in tasks if not task.done()]:
        await asyncio.wait(unfinished, timeout=seconds)


def _now(task: asyncio.Future[str]) -> str:
    """The result of what has ended; what has not is "temperror"."""
    return task.result() if task.done() else UNABLE


def _result(
    facts: Facts, envelope: str, spf: str, keys: Sequence[str], chain: str, dmarc: str, action: str
) -> Authenticity:
    signatures = tuple(
        CheckedSignature(signed.domain, signed.selector, result)
        for signed, result in zip(facts.signatures, keys, strict=True)
    )
    return Authenticity(
        spf=spf,
        dkim=overall(signatures),
        dmarc=dmarc,
        arc=chain,
        from_domain=facts.author,
        spf_domain=envelope,
        policy=action,
        signatures=signatures,
    )
