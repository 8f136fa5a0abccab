"""Scheduled checks of DNS records: what is due is claimed in the database, checked, and stored.

Any number of processes may run this. Each domain's check is claimed by one of them for a while; queries of all of them
together stay within the bound (`QueryPace`). A change of the DMARC record brings the check of all records forward, so
that the report card is about the records of now.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_schedule import CheckPart, DnsSchedule, DueCheck
from dmarcworks.catalogue.dns_states import RecordKind
from dmarcworks.errors import DmarcworksError
from dmarcworks.policy.dns_records.full_check import CheckResolver, check_and_observe, stored_card
from dmarcworks.policy.dns_records.https_fetch import DocumentFetcher, HttpsFetcher
from dmarcworks.policy.dns_records.lookup import RecordLookup, RecordResolver
from dmarcworks.policy.dns_records.observe import Observation, observe_dmarc
from dmarcworks.policy.dns_records.report_card import CardRequest
from dmarcworks.process.metrics import Metrics

__all__ = ["RecordChecks", "lease_seconds"]

log = structlog.get_logger("dmarcworks.upkeep")

# Seconds between two looks for requested checks, between two looks for new domains, and after an error.
LOOK_SECONDS, SETTLE_SECONDS, AGAIN_SECONDS = 2.0, 60.0, 60.0
# A check causes this many queries at most in practice; each waits until it may be sent.
_QUERIES, _LEAST_LEASE = 150, 300.0
# DKIM selectors whose keys were found before and are still looked up.
_KNOWN_SELECTORS = 30
SeenSelectors = Callable[[str, str, str], Awaitable[tuple[str, ...]]]


def lease_seconds(per_second: float, concurrency: int) -> float:
    """For how long a check is claimed: so long that the slowest one ends before. Pure."""
    return max(_LEAST_LEASE, 2.0 * _QUERIES * concurrency / per_second)


async def _none_seen(account_id: str, domain_id: str, domain: str) -> tuple[str, ...]:
    return ()


@dataclass(slots=True)
class RecordChecks:
    """The background task. With `scheduled` False only checks that a person requested are made.

    `seen_selectors` returns the selectors of a domain in reports, by account, domain id and name.
    """

    schedule: DnsSchedule
    history: DnsHistory
    resolver: RecordResolver
    concurrency: int = 8
    lease: float = _LEAST_LEASE
    scheduled: bool = True
    report_host: str = ""
    resolver_name: str = ""
    seen_selectors: SeenSelectors = _none_seen
    fetcher: Callable[[RecordLookup], DocumentFetcher] = HttpsFetcher
    metrics: Metrics | None = None
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _running: dict[asyncio.Task[None], DueCheck] = field(default_factory=dict)
    _settled: float = 0.0

    async def run(self) -> None:
        """Check what is due until cancelled; what is claimed then is released."""
        try:
            while True:
                rest = LOOK_SECONDS
                try:
                    rest = 0.0 if await self.step() else LOOK_SECONDS
                except DmarcworksError as error:
                    log.warning("checking DNS records is postponed", error=str(error))
                    rest = AGAIN_SECONDS
                # The server lives on whatever happens here; the next round tries again.
                except Exception:
                    log.exception("checking DNS records failed")
                    rest = AGAIN_SECONDS
                if rest:
                    await self.sleep(rest)
        finally:
            await self._stop()

    async def step(self) -> bool:
        """Claim as many domains as there are free places, and wait for a free place; whether more may be due now."""
        if self.scheduled and self.clock() - self._settled >= SETTLE_SECONDS:
            self._settled = self.clock()
            await self.schedule.settle()
        self._running = {task: check for task, check in self._running.items() if not task.done()}
        free = self.concurrency - len(self._running)
        claimed = await self.schedule.claim(free, self.lease, only_requested=not self.scheduled)
        for check in claimed:
            self._running[asyncio.create_task(self._check(check), name=f"DNS of {check.domain}")] = check
        if len(claimed) < free:
            return False
        await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        return True

    @property
    def busy(self) -> bool:
        """Whether a check runs in this process."""
        return any(not task.done() for task in self._running)

    async def _stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        released, self._running = list(self._running.values()), {}
        if released:
            # At the end of a process nothing may raise; the claims run out by themselves.
            with contextlib.suppress(DmarcworksError):
                await asyncio.shield(self.schedule.release(released))

    async def _check(self, check: DueCheck) -> None:
        """One domain. It ends before its claim does, so that no other process works on it at the same time."""
        part = CheckPart.records if CheckPart.records in check.parts else CheckPart.dmarc
        answered, outcome = False, "failed"
        resolver = CheckResolver(self.resolver)
        try:
            # Real time: a clock that a test moves does not end a check.
            async with asyncio.timeout(self.lease * 0.9):
                whole = part is CheckPart.records
                answered = await (self._records(check, resolver) if whole else self._dmarc(check, resolver))
            outcome = "answered" if answered else "no_answer"
        except TimeoutError:
            log.warning("a check of DNS records took too long", domain=check.domain)
        except DmarcworksError as error:
            log.warning("a check of DNS records failed", domain=check.domain, error=str(error))
        # One domain's records stop no other's.
        except Exception:
            log.exception("a check of DNS records failed", domain=check.domain)
        finally:
            await resolver.close()
        if self.metrics is not None:
            self.metrics.dns_checks.labels(str(part), outcome).inc()
        try:
            await self.schedule.done(check, answered=answered)
        except DmarcworksError as error:
            log.warning("a check of DNS records is repeated", domain=check.domain, error=str(error))

    async def _dmarc(self, check: DueCheck, resolver: CheckResolver) -> bool:
        """The DMARC record and the authorisations alone: few queries, so that it can be done often."""
        lookup = RecordLookup(resolver, time.monotonic() + self.lease)
        observed = await observe_dmarc(lookup, check.domain)
        changed = await self._store(check, observed)
        if changed:
            await self.schedule.bring_forward(check.domain_id, CheckPart.records)
        return observed.answered

    async def _records(self, check: DueCheck, resolver: CheckResolver) -> bool:
        """All records, with the report card."""
        seen = await self.seen_selectors(check.account_id, check.domain_id, check.domain)
        suffix = f"._domainkey.{check.domain}"
        states = await self.history.latest(check.account_id, check.domain_id, [RecordKind.dkim])
        before = [state.name.removesuffix(suffix) for state in states if state.records and state.name.endswith(suffix)]
        request = CardRequest(
            check.domain,
            check.selectors,
            report_host=self.report_host,
            seen_selectors=tuple(dict.fromkeys((*seen, *before[:_KNOWN_SELECTORS]))),
        )
        card, observed = await check_and_observe(resolver, request, seconds=self.lease, fetcher=self.fetcher)
        await self._store(check, observed)
        place = (check.account_id, check.domain_id)
        await self.history.store_card(*place, stored_card(card), resolver=self.resolver_name, answered=card.answered)
        return observed.answered

    async def _store(self, check: DueCheck, observed: Observation) -> list[RecordKind]:
        """Store the records; the kinds of which a name has new ones."""
        changed = await self.history.store(
            check.account_id,
            check.domain_id,
            observed.records,
            resolver=self.resolver_name,
            complete=observed.complete,
        )
        if self.metrics is not None and changed:
            self.metrics.dns_changes.inc(len(changed))
        return changed
