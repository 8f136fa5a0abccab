"""All checks of a domain's records at the same time, within one deadline, as one report card."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from dmarcworks.policy.dns_records.bimi import check_bimi
from dmarcworks.policy.dns_records.dkim_record import check_dkim
from dmarcworks.policy.dns_records.dmarc_check import check_dmarc
from dmarcworks.policy.dns_records.dmarc_lookup import NO_POLICY, EffectivePolicy
from dmarcworks.policy.dns_records.dnssec import check_dnssec
from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck, Severity
from dmarcworks.policy.dns_records.https_fetch import DocumentFetcher, HttpsFetcher
from dmarcworks.policy.dns_records.lookup import RecordLookup, RecordResolver
from dmarcworks.policy.dns_records.mta_sts import check_mta_sts
from dmarcworks.policy.dns_records.mx import check_mx
from dmarcworks.policy.dns_records.report_host import check_report_host
from dmarcworks.policy.dns_records.spf import SpfReport, check_spf, evaluate_spf
from dmarcworks.policy.dns_records.spf_tree import SpfNode
from dmarcworks.policy.dns_records.tls_rpt import check_tls_rpt

__all__ = ["CARD_SECONDS", "CardRequest", "ReportCard", "make_report_card"]

CARD_SECONDS = 20.0
_SEVERITIES = list(Severity)
_CHECKS = list(RecordCheck)


@dataclass(frozen=True, slots=True)
class CardRequest:
    """What to check. `domain` in A-labels; `report_host`: ours, checked when the domain names it.
    `seen_selectors` are those that reports show, forged ones among them.

    With `spf_ip`, SPF is evaluated for `mail_from`: None is the domain, "" a bounce, for which `helo` decides.
    """

    domain: str
    selectors: tuple[str, ...] = ()
    spf_ip: str = ""
    mail_from: str | None = None
    helo: str = ""
    report_host: str = ""
    seen_selectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportCard:
    """The findings, the most serious first; `answered` is False when DNS did not answer the main questions."""

    domain: str
    findings: tuple[DnsFinding, ...]
    effective: EffectivePolicy = NO_POLICY
    spf: dict[str, Any] = field(default_factory=dict)
    answered: bool = True
    spf_tree: SpfNode | None = None

    @property
    def failed(self) -> bool:
        """Whether an error was found."""
        return any(finding.severity is Severity.error for finding in self.findings)


async def make_report_card(
    resolver: RecordResolver,
    request: CardRequest,
    *,
    private: bool = False,
    fetcher: Callable[[RecordLookup], DocumentFetcher] | None = None,
    seconds: float = CARD_SECONDS,
) -> ReportCard:
    """Check everything. `private` lets documents be fetched from addresses that are not public."""
    domain = request.domain
    lookup = RecordLookup(resolver, time.monotonic() + seconds)
    fetch = fetcher(lookup) if fetcher else HttpsFetcher(lookup, private=private)
    dmarc_task = asyncio.ensure_future(check_dmarc(lookup, domain))

    async def bimi() -> list[DnsFinding]:
        return await check_bimi(lookup, fetch, domain, await dmarc_task)

    spf_task = asyncio.ensure_future(_spf(lookup, request))

    async def host() -> list[DnsFinding]:
        # The report host matters to the domains that send their reports there.
        name = request.report_host
        if not name or (name != domain and name not in (await dmarc_task).targets):
            return []
        return await check_report_host(lookup, name)

    mx_task = asyncio.ensure_future(check_mx(lookup, domain))
    checks: list[Awaitable[list[DnsFinding]]] = [
        check_dkim(lookup, domain, request.selectors, request.seen_selectors),
        check_mta_sts(lookup, fetch, domain),
        check_tls_rpt(lookup, domain),
        bimi(),
        check_dnssec(lookup, domain),
        host(),
    ]
    others = await asyncio.gather(*checks)
    dmarc, (mx, mx_answered) = await dmarc_task, await mx_task
    spf, spf_document = await spf_task
    findings = [*dmarc.findings, *spf.findings, *mx, *(finding for part in others for finding in part)]
    return ReportCard(
        domain,
        tuple(sorted(dict.fromkeys(findings), key=_order)),
        dmarc.effective,
        spf_document,
        dmarc.answered and spf.answered and mx_answered,
        spf.tree,
    )


async def _spf(lookup: RecordLookup, request: CardRequest) -> tuple[SpfReport, dict[str, Any]]:
    """The SPF record and, where a client is named, what SPF decides about it."""
    report = await check_spf(request.domain, lookup.resolver, lookup.deadline)
    document: dict[str, Any] = {
        "record": report.record or None,
        "lookups": report.lookups,
        "void_lookups": report.void_lookups,
    }
    if request.spf_ip:
        sender = request.domain if request.mail_from is None else request.mail_from
        evaluation = await evaluate_spf(request.spf_ip, sender, request.helo, lookup.resolver, lookup.deadline)
        document["result"] = str(evaluation.result)
        document["mechanism"] = evaluation.mechanism or None
        document["explanation"] = evaluation.explanation or None
        document["trace"] = list(evaluation.trace)
    return report, document


def _order(finding: DnsFinding) -> tuple[int, int, str]:
    return _SEVERITIES.index(finding.severity), _CHECKS.index(finding.check), finding.code
