"""Who sent the messages of a folder of reports: the share with a name by kind of evidence, and the largest without one.

One command: `python bench/senders_of.py PATH… [--top N] [--json]`. PATH is whatever `dmarcworks parse` reads. Only what
reports state is used, without DNS: DKIM, envelope, published blocks and selectors. A sender without a name is grouped
by the DKIM domain that passed, otherwise by the envelope domain that passed SPF, otherwise by its address. A source is
what may name a sender: passing signatures and envelope, and the address unless it was made anonymous (127.0.0.1).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from typing import Any

from dmarcworks.enrich.senders.evidence import evidence_of_record
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.model import Evidence, Identification
from dmarcworks.reports.model import AggregateReport
from dmarcworks.sources.files import members, read


def kind_of(answer: Identification) -> str:
    """The kind of evidence that an answer rests on; each has its own range of confidence (docs/senders.md)."""
    levels = ((0.9, "DKIM"), (0.8, "envelope"), (0.7, "address block"), (0.5, "selector"))
    return next((kind for least, kind in levels if answer.confidence >= least), "unnamed")


def group_of(evidence: Evidence) -> str:
    """What a sender without a name is grouped by."""
    signer = next((one.domain for one in evidence.dkim if one.result == "pass" and one.domain), "")
    if signer:
        return f"DKIM {signer}"
    if evidence.spf_result == "pass" and evidence.spf_domain:
        return f"SPF {evidence.spf_domain}"
    return f"address {evidence.ip}"


def source_of(evidence: Evidence) -> tuple[object, ...]:
    """What makes a source distinct from others."""
    signatures = sorted({(one.domain, one.selector or "") for one in evidence.dkim if one.result == "pass"})
    envelope = evidence.spf_domain if evidence.spf_result == "pass" else None
    return "" if evidence.ip in ("127.0.0.1", "::1") else evidence.ip, tuple(signatures), envelope


def measure(paths: list[str], top: int) -> dict[str, Any]:
    """The figures of all reports under the paths."""
    identifier = SenderIdentifier()
    kinds: Counter[str] = Counter()
    records: Counter[str] = Counter()
    senders: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    sources: dict[tuple[str, str], set[object]] = defaultdict(set)
    details: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for member in members(paths):
        for item in read(member).items:
            if not isinstance(item.report, AggregateReport):
                continue
            for record in item.report.records:
                evidence = evidence_of_record(record)
                answer = identifier.identify(evidence)
                kinds[kind_of(answer)] += record.count
                records[kind_of(answer)] += 1
                sources[answer.sender or "", kind_of(answer)].add(source_of(evidence))
                if answer.sender is not None:
                    senders[answer.sender] += record.count
                    continue
                group = group_of(evidence)
                groups[group] += record.count
                seen = details[group]
                seen["address"].add(evidence.ip or "")
                seen["header from"].add(evidence.header_from or "")
                seen["SPF"].add(f"{evidence.spf_domain}={evidence.spf_result}")
                seen["DKIM"].update(f"{one.domain}/{one.selector or ''}={one.result}" for one in evidence.dkim)
    return {
        "messages": sum(kinds.values()),
        "records": sum(records.values()),
        "messages_by_evidence": dict(kinds.most_common()),
        "records_by_evidence": dict(records.most_common()),
        "senders": dict(senders.most_common(top)),
        "sources": [
            {"sender": sender or None, "evidence": kind, "sources": len(some)}
            for (sender, kind), some in sorted(sources.items(), key=lambda one: (-len(one[1]), one[0]))
        ],
        "unnamed": [
            {"group": group, "messages": messages, **{key: sorted(seen)[:4] for key, seen in details[group].items()}}
            for group, messages in groups.most_common(top)
        ],
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.paths, arguments.top)
    if arguments.json:
        print(json.dumps(figures, ensure_ascii=False, indent=2))
        return 0
    print(f"{figures['messages']:,} messages in {figures['records']:,} records")
    for kind, messages in figures["messages_by_evidence"].items():
        share = messages / max(figures["messages"], 1)
        in_records = figures["records_by_evidence"][kind]
        print(f"  {kind}: {messages:,} messages ({share:.1%}), {in_records:,} records")
    print("senders with a name:")
    for name, messages in figures["senders"].items():
        print(f"  {messages:>12,}  {name}")
    print("distinct sources:")
    for one in figures["sources"]:
        print(f"  {one['sources']:>12,}  {one['sender'] or 'without a name'} ({one['evidence']})")
    print("largest without a name:")
    for group in figures["unnamed"]:
        print(f"  {group.pop('messages'):>12,}  {group.pop('group')}: {json.dumps(group, ensure_ascii=False)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
