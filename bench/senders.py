"""Identifying senders: processor time for one piece of evidence, remembered and not, and of loading the catalogue.

One command: `python bench/senders.py [--rows N]`. Half of the evidence names a service, half names nobody; each piece
is different, so nothing is remembered in the first pass. Medians of five passes. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.index import SenderIndex
from dmarcworks.enrich.senders.load import services_of, sources
from dmarcworks.enrich.senders.model import Evidence, SendingService, Signature

PASSES = 5
# Microseconds for one answer.
COMPUTED, REMEMBERED = 50.0, 5.0


def evidence(rows: int, services: list[SendingService]) -> list[Evidence]:
    """Different evidence with all kinds in each row."""
    signers = [service.dkim[0] for service in services if service.dkim]
    made = []
    for number in range(rows):
        signer = signers[number % len(signers)] if number % 2 else f"x{number}.example.net"
        made.append(
            Evidence(
                ip=f"203.0.{number // 250 % 250}.{number % 250}",
                ptr=f"o{number}.ptr.{signer}",
                ptr_confirmed=True,
                dkim=(Signature(signer, f"s{number}"), Signature("example.com", f"s{number}")),
                spf_domain=f"bounce{number}.{signer}",
                header_from="example.com",
            )
        )
    return made


def microseconds(work: Callable[[], object], times: int) -> float:
    """Processor time of one of so many repetitions."""
    spent = []
    for _ in range(PASSES):
        begin = time.process_time()
        work()
        spent.append((time.process_time() - begin) / times * 1e6)
    return statistics.median(spent)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    rows = parser.parse_args().rows
    begin = time.process_time()
    services = [service for file, text in sources() for service in services_of(text, file)]
    index = SenderIndex(services)
    print(f"catalogue: {len(services)} services loaded in {(time.process_time() - begin) * 1e3:.0f} ms")
    identifier = SenderIdentifier(index=index)
    different = evidence(rows, services)
    computed = microseconds(lambda: [identifier.identify_afresh(one) for one in different], rows)
    few = different[:500]
    for one in few:
        identifier.identify(one)
    again = [Evidence(*one) for one in few]
    remembered = microseconds(lambda: [identifier.identify(one) for one in again for _ in range(20)], len(again) * 20)
    named = sum(identifier.identify_afresh(one).sender is not None for one in different)
    print(f"computed: {computed:.1f} µs (target {COMPUTED:.0f}), {named} of {rows} named")
    print(f"remembered: {remembered:.2f} µs (target {REMEMBERED:.0f})")
    return 0 if computed < COMPUTED and remembered < REMEMBERED else 1


if __name__ == "__main__":
    sys.exit(main())
