"""Check the SPF record of a domain, and evaluate SPF for a client, with a resolver that is an argument.

    report = await check_spf("example.com", resolver, deadline)
    evaluation = await evaluate_spf("192.0.2.1", "me@example.com", "mail.example.com", resolver, deadline)

`check_spf` looks up the record and everything that it leads to (`spf_walk`) and judges it (`spf_findings`, pure); the
codes are in `spf_codes`. `evaluate_spf` runs `check_host()` of RFC 7208 (`enrich.spf`). Neither raises when DNS does
not answer: the report then has the finding `spf-no-answer`, the evaluation ends in temperror.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from dmarcworks.enrich.resolver import NoAnswerError, Resolver
from dmarcworks.enrich.spf.client import spf_client
from dmarcworks.enrich.spf.evaluation import check_host
from dmarcworks.enrich.spf.model import DnsRecordSet, SpfEvaluation
from dmarcworks.enrich.spf.record import is_spf_record, parse_record
from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.spf_findings import SpfSurvey, explanation_name, spf_findings
from dmarcworks.policy.dns_records.spf_tree import SpfNode, nodes_of
from dmarcworks.policy.dns_records.spf_walk import SpfQueries, SpfWalk

__all__ = ["SpfReport", "check_spf", "evaluate_spf"]

_QUERIES = 60
_OBSOLETE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class SpfReport:
    """What is published and what was found; `record` is "" and `tree` None without exactly one record.

    `lookups` counts the terms that cause queries when everything is evaluated to its end, with those of includes and
    redirects; `void_lookups` the queries among them that no client gets an answer to. `answered` is False when DNS did
    not answer about the domain itself.
    """

    domain: str
    record: str
    lookups: int
    void_lookups: int
    answered: bool
    tree: SpfNode | None
    findings: tuple[DnsFinding, ...]


async def check_spf(domain: str, resolver: Resolver, deadline: float, *, queries: int = _QUERIES) -> SpfReport:
    """Look up and judge the SPF record of a domain (lower-case A-labels); `deadline` in seconds of time.monotonic."""
    lookup = SpfQueries(resolver, deadline, queries)
    try:
        texts = await lookup.records(domain, "TXT")
    except NoAnswerError:
        survey = SpfSurvey(domain, answered=False)
        return SpfReport(domain, "", 0, 0, False, None, spf_findings(survey))
    # The obsolete type 99 (RFC 7208 section 3.1); the resolver returns its strings in quotation marks.
    obsolete = asyncio.create_task(lookup.records_or_none(domain, "SPF"))
    selected = [text for text in texts if is_spf_record(text)]
    if len(selected) != 1:
        survey = SpfSurvey(domain, tuple(texts), obsolete=await _obsolete(obsolete, deadline))
        return SpfReport(domain, "", 0, 0, True, None, spf_findings(survey))
    record = parse_record(selected[0])
    tree = await SpfWalk(lookup, domain).tree(record)
    name = explanation_name(tree)
    explanation = await lookup.records_or_none(name, "TXT") if name else None
    voids = sum(node.void_lookups for node in nodes_of(tree))
    survey = SpfSurvey(domain, tuple(texts), tree, voids, await _obsolete(obsolete, deadline), name, explanation)
    return SpfReport(domain, record.text, tree.lookups, voids, True, tree, spf_findings(survey))


async def evaluate_spf(
    ip: str, mail_from: str, helo: str, resolver: Resolver, deadline: float, *, receiver: str = "unknown"
) -> SpfEvaluation:
    """What RFC 7208 gives for mail from an address; an empty `mail_from` is the null sender, which HELO stands for.

    A bare domain is accepted as `mail_from`. `UsageError` for text that is no IP address.
    """
    client = spf_client(ip, mail_from, helo, receiver, int(time.time()))
    if client is None:
        raise UsageError(f"{ip[:80]!r} is not an IP address")
    steps = check_host(client)
    answer: DnsRecordSet
    try:
        needed = next(steps)
        while True:
            try:
                answer = await resolver(needed.name, needed.kind, deadline)
            except NoAnswerError:
                answer = None
            needed = steps.send(answer)
    except StopIteration as end:
        evaluation: SpfEvaluation = end.value
        return evaluation


async def _obsolete(task: asyncio.Task[list[Any] | None], deadline: float) -> tuple[str, ...]:
    """The records of type 99. Some servers leave the query unanswered, and no report waits long for it."""
    patience = max(_OBSOLETE_SECONDS, (deadline - time.monotonic()) / 30)
    await asyncio.wait({task}, timeout=patience)
    if not task.done():
        task.cancel()
        return ()
    return tuple(str(text) for text in task.result() or ())
