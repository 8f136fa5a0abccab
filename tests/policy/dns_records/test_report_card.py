"""Every test domain through a real DNS server: each fault is found by its code, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dmarcworks.enrich.resolver import Dns
from dmarcworks.policy.dns_records.finding import RecordCheck
from dmarcworks.policy.dns_records.https_fetch import FetchedDocument, FetchError
from dmarcworks.policy.dns_records.report_card import CardRequest, ReportCard, make_report_card
from tests.support.dns_cases import CASES, DnsCase, all_records, expected_codes, spf_zone
from tests.support.dns_server import dns_server
from tests.support.spf_zones import SPF_DOMAINS, SpfDomain


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with dns_server(all_records()) as port:
        yield f"127.0.0.1:{port}"


def card(server: str, case: DnsCase) -> ReportCard:
    async def fetch(url: str) -> FetchedDocument:
        document = case.documents.get(url)
        if document is None:
            raise FetchError("unreachable", "nothing is served")
        if isinstance(document, FetchError):
            raise document
        return document

    async def made() -> ReportCard:
        dns = Dns(server)
        try:
            request = CardRequest(case.domain, case.selectors)
            return await make_report_card(dns, request, fetcher=lambda lookup: fetch)
        finally:
            dns.close()

    return asyncio.run(made())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_domain_has_exactly_its_findings(server: str, case: DnsCase) -> None:
    """The whole set of codes; the policy that applies, where the case is about DMARC."""
    result = card(server, case)
    assert {finding.code for finding in result.findings} == expected_codes(case)
    if case.effective is not None:
        found = result.effective
        assert (found.record_domain, found.organizational_domain, found.policy, found.tag) == case.effective
    assert result.answered is (case.name != "silent")


@pytest.mark.parametrize("domain", SPF_DOMAINS, ids=lambda domain: domain.name)
def test_each_spf_domain_has_exactly_its_findings(domain: SpfDomain) -> None:
    """The SPF part of the card, through a DNS server of its own."""

    async def made(port: int) -> ReportCard:
        dns = Dns(f"127.0.0.1:{port}")
        try:
            return await make_report_card(dns, CardRequest("d.example"))
        finally:
            dns.close()

    with dns_server(spf_zone(domain)) as port:
        result = asyncio.run(made(port))
    codes = [finding.code for finding in result.findings if finding.check is RecordCheck.spf]
    assert set(codes) == set(domain.codes)
    assert (result.spf["lookups"], result.spf["void_lookups"]) == (domain.lookups, domain.voids)


def test_there_are_enough_domains() -> None:
    """Names are unique."""
    assert len({case.name for case in CASES}) == len(CASES) >= 80
