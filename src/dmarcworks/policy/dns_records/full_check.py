"""A check whose results are stored: the report card and the records that it is about, from one set of look-ups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from dmarcworks.catalogue.dns_states import RecordKind
from dmarcworks.enrich.resolver import DnsRecords
from dmarcworks.policy.dns_records.dmarc_lookup import EffectivePolicy
from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck, Severity
from dmarcworks.policy.dns_records.https_fetch import DocumentFetcher, FetchedDocument, FetchError, HttpsFetcher
from dmarcworks.policy.dns_records.lookup import RecordLookup, RecordResolver
from dmarcworks.policy.dns_records.observe import Observation, observe_dmarc, observe_other_records, with_codes
from dmarcworks.policy.dns_records.report_card import CardRequest, ReportCard, make_report_card
from dmarcworks.policy.dns_records.spf_tree import SpfNode

__all__ = ["CheckResolver", "card_from", "check_and_observe", "stored_card"]

# Findings and nodes of an SPF tree that a stored card has; the most serious findings come first.
_FINDINGS, _NODES = 150, 150


class CheckResolver:
    """The look-ups of one check: each name and type is queried once, with or without an answer."""

    def __init__(self, resolver: RecordResolver) -> None:
        self._resolver = resolver
        self._answers: dict[tuple[str, str], asyncio.Task[DnsRecords]] = {}

    async def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
        """The records; `deadline` in seconds of time.monotonic."""
        return (await self.lookup(name, kind, deadline)).records

    async def lookup(self, name: str, kind: str, deadline: float) -> DnsRecords:
        """The records and whether the name exists."""
        key = (name.rstrip(".").lower(), kind)
        if key not in self._answers:
            self._answers[key] = asyncio.ensure_future(self._resolver.lookup(name, kind, deadline))
        answer = await asyncio.shield(self._answers[key])
        return DnsRecords(list(answer.records), answer.ttl, answer.exists)

    async def alive(self) -> bool:
        """Whether DNS answers at all."""
        return await self._resolver.alive()

    async def close(self) -> None:
        """End what nobody waits for any more."""
        for task in self._answers.values():
            task.cancel()
        await asyncio.gather(*self._answers.values(), return_exceptions=True)


async def check_and_observe(
    resolver: RecordResolver,
    request: CardRequest,
    *,
    seconds: float,
    fetcher: Callable[[RecordLookup], DocumentFetcher] = HttpsFetcher,
) -> tuple[ReportCard, Observation]:
    """Check everything and keep the records. The resolver queries each name once: a `CheckResolver`."""
    policy_url = f"https://mta-sts.{request.domain}/.well-known/mta-sts.txt"
    served: list[FetchedDocument | FetchError] = []

    def recording(lookup: RecordLookup) -> DocumentFetcher:
        fetch = fetcher(lookup)

        async def fetched(url: str) -> FetchedDocument:
            try:
                document = await fetch(url)
            except FetchError as error:
                if url == policy_url:
                    served.append(error)
                raise
            if url == policy_url:
                served.append(document)
            return document

        return fetched

    card = await make_report_card(resolver, request, fetcher=recording, seconds=seconds)
    lookup = RecordLookup(resolver, time.monotonic() + seconds)
    selectors = (*request.selectors, *request.seen_selectors)
    dmarc = await observe_dmarc(lookup, request.domain)
    others = await observe_other_records(
        lookup, request.domain, selectors, card.spf_tree, served[0] if served else None
    )
    observed = dmarc + others
    codes = [(str(finding.check), finding.code) for finding in card.findings]
    complete = observed.complete
    if not served and not any(one.failure for one in observed.records if one.kind is RecordKind.mta_sts):
        complete = (*complete, RecordKind.mta_sts_policy)
    return card, Observation(tuple(with_codes(observed.records, codes)), complete, observed.answered)


def stored_card(card: ReportCard) -> dict[str, Any]:
    """The card as it is stored, with as many findings and nodes as its bounds allow. Pure."""
    left = [_NODES]
    return {
        "domain": card.domain,
        "findings": [asdict(finding) for finding in card.findings[:_FINDINGS]],
        "effective": asdict(card.effective),
        "spf": dict(card.spf),
        "answered": card.answered,
        "tree": None if card.spf_tree is None else _node(card.spf_tree, left),
    }


def card_from(document: Mapping[str, Any]) -> ReportCard:
    """The card of a stored document. Pure."""
    return ReportCard(
        document["domain"],
        tuple(_finding(one) for one in document["findings"]),
        EffectivePolicy(**document["effective"]),
        dict(document["spf"]),
        document["answered"],
        None if document["tree"] is None else _tree(document["tree"]),
    )


def _finding(values: Mapping[str, Any]) -> DnsFinding:
    known = {**values, "check": RecordCheck(values["check"]), "severity": Severity(values["severity"])}
    return DnsFinding(**known)


def _node(node: SpfNode, left: list[int]) -> dict[str, Any]:
    children = []
    for child in node.children:
        if left[0] <= 0:
            break
        left[0] -= 1
        children.append(_node(child, left))
    return {
        "term": node.term[:300],
        "name": node.name[:300],
        "lookups": node.lookups,
        "voids": node.void_lookups,
        "problem": node.problem[:300],
        "sender": node.sender,
        "children": children,
    }


def _tree(values: Mapping[str, Any]) -> SpfNode:
    return SpfNode(
        values["term"],
        values["name"],
        lookups=values["lookups"],
        void_lookups=values["voids"],
        problem=values["problem"],
        sender=values["sender"],
        children=tuple(_tree(child) for child in values["children"]),
    )
