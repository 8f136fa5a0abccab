"""Reads what the change plan of a domain rests on: its records now, the advice, the replay, the use of its SPF."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol, TypeVar

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.analytics.sender_key import SenderBasis, SenderKey
from dmarcworks.analytics.sender_reasons import evidence_of
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.senders import OwnerDecision, Senders
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.errors import NotFoundError
from dmarcworks.policy.change_plan import ChangePlan, PlanInput, change_plan
from dmarcworks.policy.dns_records.lookup import RecordLookup, RecordResolver
from dmarcworks.policy.reader import PolicyReader, PolicyStudy
from dmarcworks.policy.record_place import RecordPlace, record_place
from dmarcworks.policy.spf_prune import KnownOwners, SpfPrune
from dmarcworks.policy.spf_usage import SpfPruner
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["PRUNE_DAYS", "PlanRequest", "Planner"]

# Days that a term of an SPF record must have carried no mail.
PRUNE_DAYS = 90
# A client waits for its answer: shorter than a proxy's usual patience.
_SECONDS = 15.0
_Result = TypeVar("_Result")


class LookupLender(Protocol):
    """What bounds how many checks of DNS records run at the same time."""

    async def lend(self, work: Callable[[RecordResolver], Awaitable[_Result]]) -> _Result:
        """The result of work with the resolver; `BusyError` while too many others have it."""


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Of which domain a plan is wanted, checked on the mail of which days; `parked`: the domain is to have no mail."""

    domain: Domain
    first: date
    last: date
    today: date
    prune_days: int = PRUNE_DAYS
    parked: bool = False


class Planner:
    """Makes change plans."""

    def __init__(self, questions: Questions, senders: Senders, policies: PolicyReader, records: LookupLender) -> None:
        self._senders = senders
        self._policies = policies
        self._records = records
        self._pruner = SpfPruner(questions)
        self._identifier = SenderIdentifier()

    async def plan(self, request: PlanRequest, study: PolicyStudy | None = None) -> ChangePlan:
        """All changes that can be proposed; with a `study` of the same days nothing is replayed again."""
        domain = request.domain
        if study is None:
            study = await self._policies.study(domain, request.first, request.last, request.today)
        if request.parked:
            return await self._parked(request, study)
        owners = await self.owners(domain)
        first = request.last - timedelta(days=request.prune_days - 1)

        async def looked_up(resolver: RecordResolver) -> tuple[RecordPlace, RecordPlace, SpfPrune]:
            deadline = time.monotonic() + _SECONDS
            lookup = RecordLookup(resolver, deadline)
            return await asyncio.gather(
                record_place(lookup, domain.name, f"_dmarc.{domain.name}"),
                record_place(lookup, domain.name, domain.name),
                self._pruner.prune(domain, first, request.last, owners, resolver, deadline),
            )

        dmarc, spf, prune = await self._records.lend(looked_up)
        return change_plan(PlanInput(domain.name, domain.rua, dmarc, study.advice, study.step, prune, spf))

    async def prune(self, domain: Domain, last: date, days: int = PRUNE_DAYS) -> SpfPrune:
        """What can be removed from the SPF record of a domain, by the reports of so many days."""
        owners = await self.owners(domain)
        first = last - timedelta(days=days - 1)

        async def pruned(resolver: RecordResolver) -> SpfPrune:
            return await self._pruner.prune(domain, first, last, owners, resolver, time.monotonic() + _SECONDS)

        return await self._records.lend(pruned)

    async def owners(self, domain: Domain) -> KnownOwners:
        """The services and blocks of addresses that the owner decided are theirs, or named as their own."""
        decisions = await self._senders.decisions(domain.account_id, domain.id)
        services: set[str] = set()
        blocks: set[str] = set()
        for sender_id, decision in decisions.items():
            if decision.decision is not OwnerDecision.mine:
                continue
            try:
                key = SenderKey.parse(sender_id)
            except NotFoundError:
                continue
            if key.basis is SenderBasis.block:
                blocks.add(key.block)
            elif key.basis is SenderBasis.name:
                services.add(key.value)
            else:
                answers = (self._identifier.identify(one).sender for one in evidence_of((key,), domain.name))
                services.update(name for name in answers if name)
        names = await self._senders.own_names(domain.account_id)
        blocks.update(one.value for one in names if one.evidence == "block")
        return KnownOwners(frozenset(services), tuple(sorted(blocks)))

    async def _parked(self, request: PlanRequest, study: PolicyStudy) -> ChangePlan:
        domain = request.domain
        replayed = await self._policies.replay(domain, request.first, request.last, DomainPolicy("reject"), sources=0)

        async def looked_up(resolver: RecordResolver) -> list[RecordPlace]:
            lookup = RecordLookup(resolver, time.monotonic() + _SECONDS)
            names = ((f"_dmarc.{domain.name}", "TXT"), (domain.name, "TXT"), (domain.name, "MX"))
            keys = (f"*._domainkey.{domain.name}", "TXT")
            return list(await asyncio.gather(*(record_place(lookup, domain.name, *one) for one in (*names, keys))))

        dmarc, spf, mx, keys = await self._records.lend(looked_up)
        known = PlanInput(
            domain.name, domain.rua, dmarc, study.advice, spf=spf, mx=mx, wildcard_keys=keys, parked=replayed
        )
        return change_plan(known)
