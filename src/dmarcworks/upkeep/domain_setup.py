"""Checks of domains' set-up: look up what is published, store it, and settle what it proves.

`SetupChecker` checks one domain or one claim; `check_setups_forever` does it for those that are due, in the background
of a server, until all of their records are seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.addresses import host_of
from dmarcworks.catalogue.domain_claims import DomainClaim
from dmarcworks.catalogue.domain_setup import ClaimedSetup
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import DmarcworksError
from dmarcworks.policy.dns_records.lookup import RecordLookup, RecordResolver
from dmarcworks.policy.setup.look_up import look_up_records
from dmarcworks.policy.setup.ownership import evidence_of
from dmarcworks.policy.setup.plan import all_seen, challenge_record
from dmarcworks.policy.setup.published import PublishedRecords
from dmarcworks.routing.rules import DMARC_WORKER, ToWorker, route

__all__ = ["CHECK_SECONDS", "SetupChecker", "check_setups_forever"]

log = structlog.get_logger("dmarcworks.upkeep")

# How long one check may wait for DNS, and how long a process holds the domains that it claimed.
CHECK_SECONDS, _CLAIM_SECONDS = 8.0, 120.0
# Domains of a round, checks at the same time, and checks per second, each of which causes about ten queries.
_ROUND, _AT_ONCE, _PER_SECOND = 10, 8, 5.0
_LOOK_SECONDS, _AGAIN_SECONDS, _COMPLETE_SECONDS = 1.0, 60.0, 60.0


class SetupChecker:
    """Checks set-ups through one resolver. `resolver_name` is shown with the result, "" for the system's."""

    def __init__(
        self, stores: Stores, resolver: RecordResolver, resolver_name: str = "", *, subaddressing: bool = True
    ) -> None:
        self._stores = stores
        self._resolver = resolver
        self._name = resolver_name
        self._subaddressing = subaddressing

    async def check(self, domain: Domain, claimed: ClaimedSetup | None = None, seconds: float = CHECK_SECONDS) -> None:
        """Look up a domain's records and store what was seen; DNS that does not answer is a result too."""
        setups = self._stores.setups
        claimed = claimed or await setups.start(domain.id, _CLAIM_SECONDS)

        async def routed_here(address: str) -> bool:
            return await self._routed_here(domain, address)

        published = await look_up_records(
            self._lookup(seconds), domain.name, domain.rua, routed_here, parked=domain.parked
        )
        evidence = evidence_of(published, domain.token, _hosts(domain))
        complete = all_seen(domain, host_of(domain.rua), published) and bool(evidence or domain.proven)
        await setups.store(claimed, published.to_json(), evidence=evidence, resolver=self._name, complete=complete)

    async def check_claim(self, claim: DomainClaim, seconds: float = CHECK_SECONDS) -> Domain | None:
        """The domain when DNS has proven the claim, which is settled then; else None, with the reason in the claim."""
        claims, hostname = self._stores.claims, self._stores.accounts.hostname

        async def nowhere(address: str) -> bool:
            return False

        rua = f"{claim.token}@{hostname}"
        published = await look_up_records(self._lookup(seconds), claim.name, rua, nowhere)
        evidence = evidence_of(published, claim.token, frozenset({hostname}))
        if not evidence:
            await claims.refused(claim, _reason(published, claim))
            return None
        holder = await claims.holder(claim)
        if holder is not None and evidence_of(published, holder.token, _hosts(holder)):
            # Who controls DNS decides: as long as it names both accounts, nothing changes.
            shown = "the DMARC record or the TXT challenge also proves another account of this server"
            await claims.refused(claim, f"{shown}; remove the other address from DNS, then check again")
            return None
        try:
            return await claims.settle(claim, evidence)
        except DmarcworksError as error:
            if error.temporary:
                raise
            await claims.refused(claim, str(error))
            return None

    async def _routed_here(self, domain: Domain, address: str) -> bool:
        rules = await self._stores.routing.routes.effective(address.rpartition("@")[2])
        match = route(address, rules, rua=False, subaddressing=self._subaddressing)
        ours = match.rule is not None and match.rule.account_id == domain.account_id
        return ours and match.action == ToWorker(DMARC_WORKER)

    def _lookup(self, seconds: float) -> RecordLookup:
        return RecordLookup(self._resolver, time.monotonic() + seconds)


def _hosts(domain: Domain) -> frozenset[str]:
    return frozenset(host_of(address) for address in (domain.rua, *domain.earlier))


def _reason(published: PublishedRecords, claim: DomainClaim) -> str:
    if published.dmarc is None or published.challenge is None:
        return "DNS gave no answer; it is looked up again automatically"
    record = challenge_record(claim.name, claim.token)
    return f'DNS does not show the record {record.name} TXT "{record.value}"'


async def check_setups_forever(
    stores: Stores, checker: SetupChecker, clock: Callable[[], float] = time.monotonic
) -> None:
    """Check what is due, every second; never more than some checks per second."""
    completed = float("-inf")
    while True:
        rest = _LOOK_SECONDS
        try:
            if clock() - completed > _COMPLETE_SECONDS:
                await stores.setups.complete()
                completed = clock()
            rest = await _round(stores, checker)
        except DmarcworksError as error:
            log.warning("checking the set-up of domains is postponed", error=str(error))
            rest = _AGAIN_SECONDS
        # The server lives on whatever happens here; the next round tries again.
        except Exception:
            log.exception("checking the set-up of domains failed")
            rest = _AGAIN_SECONDS
        await asyncio.sleep(rest)


async def _round(stores: Stores, checker: SetupChecker) -> float:
    """One round: the seconds to wait until the next one."""
    setups = await stores.setups.claim(_ROUND, _CLAIM_SECONDS)
    claims = await stores.claims.due(_ROUND, _CLAIM_SECONDS)
    limit = asyncio.Semaphore(_AT_ONCE)

    async def check(claimed: ClaimedSetup) -> None:
        domain = await stores.accounts.domain(None, claimed.domain_id)
        if domain is not None:
            await checker.check(domain, claimed)

    async def alone(work: Coroutine[Any, Any, object]) -> None:
        """One that fails is free again when its claim runs out, and holds up no other one."""
        async with limit:
            try:
                await work
            except DmarcworksError as error:
                log.warning("the set-up of a domain is checked later", error=str(error))
            except Exception:
                log.exception("checking the set-up of a domain failed")

    await asyncio.gather(*(alone(check(one)) for one in setups), *(alone(checker.check_claim(one)) for one in claims))
    return max(_LOOK_SECONDS, (len(setups) + len(claims)) / _PER_SECOND)
