"""Finds out which terms of a domain's SPF record its stored passes need: evaluates each address, with DNS as of now.

One set of answers serves all evaluations, so that each name is queried once, however many addresses there are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import date

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.enrich.resolver import NoAnswerError, Resolver
from dmarcworks.enrich.spf.client import spf_client
from dmarcworks.enrich.spf.evaluation import check_host
from dmarcworks.enrich.spf.model import DnsRecordSet, SpfEvaluation, SpfResultCode
from dmarcworks.enrich.spf.record import SpfRecord, is_spf_record
from dmarcworks.policy.dns_records.spf import SpfReport, check_spf
from dmarcworks.policy.dns_records.spf_tree import SpfNode
from dmarcworks.policy.spf_prune import KnownOwners, SpfPass, SpfPrune, proven, prunable, prune_spf

__all__ = ["SpfPruner"]

# Addresses that are evaluated; a domain with more gets no proposal.
ADDRESSES = 20_000
# Evaluations until the event loop may do other work.
_BATCH = 50


class SpfPruner:
    """Prunes the record of a domain by what its stored reports show."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def prune(
        self, domain: Domain, first: date, last: date, owners: KnownOwners, resolver: Resolver, deadline: float
    ) -> SpfPrune:
        """What can be removed from the SPF record, by the reports of these days; `deadline` of time.monotonic."""
        report = await check_spf(domain.name, resolver, deadline)
        days = (last - first).days + 1
        if report.tree is None or report.tree.parsed is None:
            return SpfPrune(domain.name, report.record, "", (), 0, 0, 0, 0, _without_record(report), "")
        addresses = await self._questions.spf_passes(
            domain.account_id, domain.id, first, last, domain.name, limit=ADDRESSES + 1
        )
        passes = [SpfPass(one.source_ip, one.messages, one.aligned) for one in addresses]
        reported = len(await self._questions.volume_by_day(domain.account_id, domain.id, first, last))
        if len(passes) > ADDRESSES:
            why = f"More than {ADDRESSES:,} addresses passed SPF in this period; nothing is proposed."
            return SpfPrune(domain.name, report.record, "", (), len(passes), 0, report.lookups, 0, why, "")
        evaluations = _Evaluations(domain.name, resolver, deadline)
        before = await evaluations.all(passes)
        needed = await _needed(evaluations, report.tree, passes, before)
        result = prune_spf(domain.name, report.tree, passes, needed, owners, reported_days=reported, days=days)
        if not result.trimmed:
            return result
        after = await evaluations.all(passes, result.trimmed)
        return proven(result, before, after, passes)


def _without_record(report: SpfReport) -> str:
    if not report.answered:
        return "DNS did not answer about the domain; nothing is proposed."
    return f"{report.domain} does not have exactly one SPF record; see its check."


class _Evaluations:
    """Evaluates addresses for mail from the domain, over answers that are kept."""

    def __init__(self, domain: str, resolver: Resolver, deadline: float) -> None:
        self._domain = domain
        self._resolver = resolver
        self._deadline = deadline
        self._answers: dict[tuple[str, str], DnsRecordSet] = {}

    async def all(self, passes: Sequence[SpfPass], record: str = "") -> dict[str, SpfEvaluation]:
        """The result of each address, by the published record or by another one."""
        results = {}
        for number, one in enumerate(passes):
            results[one.source_ip] = await self.one(one.source_ip, record)
            if number % _BATCH == 0:
                await asyncio.sleep(0)
        return results

    async def one(self, ip: str, record: str = "") -> SpfEvaluation:
        """The result of one address."""
        client = spf_client(ip, f"postmaster@{self._domain}", self._domain, unix_time=int(time.time()))
        if client is None:
            return SpfEvaluation(SpfResultCode.none, problem="the report states no IP address")
        steps = check_host(client, explain=False)
        try:
            needed = next(steps)
            while True:
                answer = await self._answer(needed.name, needed.kind)
                if record and (needed.name, needed.kind) == (self._domain, "TXT"):
                    answer = _with_record(answer, record)
                needed = steps.send(answer)
        except StopIteration as end:
            evaluation: SpfEvaluation = end.value
            return evaluation

    async def _answer(self, name: str, kind: str) -> DnsRecordSet:
        key = (name, kind)
        if key not in self._answers:
            try:
                self._answers[key] = await self._resolver(name, kind, self._deadline)
            except NoAnswerError:
                self._answers[key] = None
        return self._answers[key]


def _with_record(answer: DnsRecordSet, record: str) -> DnsRecordSet:
    """The TXT records of the domain with another SPF record."""
    return None if answer is None else [record.encode() if is_spf_record(text) else text for text in answer]


async def _needed(
    evaluations: _Evaluations, tree: SpfNode, passes: Sequence[SpfPass], before: Mapping[str, SpfEvaluation]
) -> dict[str, str]:
    """The term of the domain's own record that each address matches.

    Where the whole record ends in permerror, as one with too many look-ups does, each term is tried alone.
    """
    needed: dict[str, str] = {}
    assert tree.parsed is not None
    for one in passes:
        evaluation = before[one.source_ip]
        if evaluation.result is SpfResultCode.passed and evaluation.matched:
            # Behind a redirect no term of this record matched.
            if evaluation.domain == tree.name:
                needed[one.source_ip] = evaluation.mechanism
        elif evaluation.result is SpfResultCode.permerror:
            text = await _matching(evaluations, tree.parsed, one.source_ip)
            if text:
                needed[one.source_ip] = text
    return needed


async def _matching(evaluations: _Evaluations, record: SpfRecord, ip: str) -> str:
    for term in record.mechanisms:
        if term.name == "all":
            return ""
        if prunable(term):
            continue
        alone = await evaluations.one(ip, f"v=spf1 {term.text} -all")
        if alone.result is SpfResultCode.passed:
            return term.text
    return ""
