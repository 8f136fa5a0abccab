"""The sources of the shared corpus that get a name: this table was checked by hand, and none is wrong. Microsoft's were
checked by the form of their domains and selectors, all others source by source.

A source is what may name a sender: the signatures and the envelope that passed, and the address unless the corpus has
127.0.0.1 in its place. The table of docs/senders.md is this one.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dmarcworks.enrich.senders.evidence import evidence_of_record
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.reports.model import AggregateReport
from dmarcworks.sources.files import members, read

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"
CHECKED = {
    ("Microsoft 365 (Outlook)", "selector"): 300,
    ("Microsoft 365 (Outlook)", "DKIM"): 19,
    ("Microsoft 365 (Outlook)", "block"): 1,
    ("Amazon SES", "DKIM"): 15,
    ("Google Workspace (Gmail)", "block"): 6,
    ("Google Workspace (Gmail)", "DKIM"): 3,
    ("Google Workspace (Gmail)", "envelope"): 2,
    ("Cloudflare Email Routing", "selector"): 5,
    ("SparkPost", "selector"): 5,
    ("SendGrid", "DKIM"): 4,
    ("ImprovMX", "selector"): 3,
    ("Namecheap Private Email", "envelope"): 2,
    ("Forward Email", "DKIM"): 1,
    ("one.com", "DKIM"): 1,
}
_LEVELS = ((0.9, "DKIM"), (0.8, "envelope"), (0.7, "block"), (0.5, "selector"))


def test_the_named_sources_of_the_corpus_are_those_that_were_checked() -> None:
    if not (CORPUS / "INDEX.tsv").is_file():
        message = f"the shared corpus is not at {CORPUS}"
        pytest.skip(message)
    identifier = SenderIdentifier()
    sources: set[tuple[object, ...]] = set()
    messages: Counter[str] = Counter()
    for member in members([str(CORPUS)]):
        for item in read(member).items:
            for record in item.report.records if isinstance(item.report, AggregateReport) else ():
                evidence = evidence_of_record(record)
                answer = identifier.identify(evidence)
                kind = next((kind for least, kind in _LEVELS if answer.confidence >= least), "")
                messages[kind] += record.count
                if answer.sender is not None:
                    address = None if evidence.ip in ("127.0.0.1", "::1") else evidence.ip
                    signed = {(one.domain, one.selector or "") for one in evidence.dkim if one.result == "pass"}
                    envelope = evidence.spf_domain if evidence.spf_result == "pass" else None
                    sources.add((answer.sender, kind, address, tuple(sorted(signed)), envelope))
    assert Counter((sender, kind) for sender, kind, *_ in sources) == CHECKED
    assert messages == {"": 29_308, "block": 10_461, "DKIM": 1_793, "selector": 639, "envelope": 6}
