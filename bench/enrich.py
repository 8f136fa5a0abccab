"""What enrichment (network, country and the sender's name) costs: processor time of reading 100,000 records to rows,
without and with it, in turn in one process.

One command: `python bench/enrich.py [--mmdb FILE] [--rounds N] [--stored ROWS]`. Without --mmdb the installed IP data file is used. The mails are
those of bench/reading.py. "every address new": no address repeats within a report, and none is known from another report of the
round; "as in reports": each address is in some ten records of several reports, which is what the reports of large receivers look like.
"""

# ruff: noqa: E501 - the report is made of long lines by nature
from __future__ import annotations

import argparse
import asyncio
import logging
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from reading import document, mail

from dmarcworks.analytics.refresh import apply
from dmarcworks.analytics.rows import Placed, tables_of
from dmarcworks.analytics.setup import opened_analytics
from dmarcworks.bindings.open import open_database
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.enrich.network.ip_data import IpData
from dmarcworks.enrich.network.setup import INSTALLED
from dmarcworks.ingest.enriching import Enricher
from dmarcworks.ingest.identifying import sender_names
from dmarcworks.process.garbage import rarely
from dmarcworks.reports.read import read_mail
from dmarcworks.settings import Settings

MAILS, RECORDS = 1000, 100
RECEIVED = datetime(2026, 1, 1, tzinfo=UTC)


def mails(addresses: int) -> list[bytes]:
    """So many mails with a hundred records each, whose sources are among so many addresses."""
    dice = random.Random(7)
    pool = [
        f"{dice.randrange(1, 224)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"
        for _ in range(addresses)
    ]
    made = []
    for number in range(MAILS):
        xml, _ = document(dice, number, RECORDS)
        text = xml.decode()
        pieces = text.split("<source_ip>")
        fresh = [pieces[0]]
        for place, piece in enumerate(pieces[1:]):
            address = (
                pool[(number * RECORDS + place) % addresses] if addresses >= MAILS * RECORDS else dice.choice(pool)
            )
            fresh.append(f"{address}</source_ip>" + piece.partition("</source_ip>")[2])
        made.append(mail("<source_ip>".join(fresh).encode(), number, "gz"))
    return made


def read(raws: list[bytes]) -> list[Placed[Any]]:
    """The mails' reports, ready to become rows."""
    return [
        Placed(item.report, "a" * 32, "d" * 32, "example.com", RECEIVED, item.digest, "k", item.digest)
        for raw in raws
        for item in read_mail(raw).items
    ]


async def measure(
    raws: list[bytes], enricher: Enricher | None, addresses: SourceAddresses | None = None
) -> tuple[float, int]:
    """Seconds of processor time from mails to rows, and how many rows name a country. With `addresses` until those
    whose names are unknown are queued, too."""
    began = time.process_time()
    placed = await asyncio.to_thread(read, raws)
    enrichment = None if enricher is None else await enricher.prepared(placed)
    table = (await asyncio.to_thread(tables_of, placed, enrichment))["dmarc_reports"]
    if addresses is not None:
        await addresses.settle()
    seconds = time.process_time() - began
    return seconds, table.num_rows - table["country"].null_count


async def run(mmdb: Path, rounds: int) -> None:
    """Print the medians and their ratio."""
    print(f"{MAILS:,} mails with {RECORDS} records each; median processor time of {rounds} rounds, in turn.")
    print("Names: every address is queued for a look-up of its name in the catalogue (SQLite).\n")
    print("| addresses | reading alone | with enrichment | more | and names | more | rows with a country |")
    print("|---|---|---|---|---|---|---|")
    for title, addresses in (("as in reports", MAILS * RECORDS // 10), ("every address new", MAILS * RECORDS)):
        raws = mails(addresses)
        plain, full, queued, named = [], [], [], 0
        data, identify = IpData([mmdb]), sender_names("")
        # What a running server has: the file and the catalogue are open. Its garbage collection is the server's, too.
        await measure(raws, Enricher(data, identify=identify, by_block=True))
        rarely()
        for _ in range(rounds):
            plain.append((await measure(raws, None))[0])
            # Nothing is remembered of the addresses from the round before.
            data.forget()
            seconds, named = await measure(raws, Enricher(data, identify=identify, by_block=True))
            full.append(seconds)
            data.forget()
            with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
                database = open_database(f"sqlite:///{folder}/names.db")
                await database.migrate()
                names = SourceAddresses(database)
                enricher = Enricher(data, names, identify=identify, by_block=True)
                queued.append((await measure(raws, enricher, names))[0])
                await database.close()
        one, two, three = map(statistics.median, (plain, full, queued))
        cells = f"{one:.2f} s | {two:.2f} s | {two / one - 1:+.1%} | {three:.2f} s | {three / one - 1:+.1%} | {named:,}"
        print(f"| {title} ({addresses:,}) | {cells} |")


async def stored(mmdb: Path, rows: int) -> None:
    """Enrich so many stored rows of a year again; rows per second, memory, and queries meanwhile."""
    enricher = Enricher(IpData([mmdb]), identify=sender_names(""), by_block=True)
    rarely()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        async with opened_analytics(Settings(home=Path(folder))) as analytics:
            step = 500_000
            for start in range(0, rows, step):
                await analytics.execute(
                    "INSERT INTO dmarc_reports (account_id, domain_id, domain, day, report_key, record_index, source_ip, count, dmarc, dkim_aligned,"
                    " spf_aligned, disposition, header_from, dkim, spf) SELECT 'a', toString(number % 50), 'example.com', toDate('2026-01-01') + number % 365,"
                    " toString(intDiv(number, 50)), number % 50, IPv4NumToString(toUInt32(16777216 + cityHash64(number % 1000000) % 3500000000)), 1, 'pass',"
                    " 'pass', 'pass', 'none', 'example.com', [('example.com', 's1', 'pass', NULL)], [('bounce.example.com', 'mfrom', 'pass', NULL)]"
                    f" FROM numbers({start}, {min(step, rows - start)})"
                )
            waits: list[float] = []

            async def ask() -> None:
                while True:
                    began = time.perf_counter()
                    answer = await analytics.query(
                        "SELECT sum(count) FROM dmarc_reports WHERE account_id = 'a'", format="TabSeparated"
                    )
                    waits.append(time.perf_counter() - began)
                    if int(answer) != rows:
                        raise SystemExit(f"a query counted {int(answer)} of {rows} messages")
                    await asyncio.sleep(0.2)

            asking, before, memory = asyncio.create_task(ask()), resident(), []
            began, cpu, changed = time.perf_counter(), time.process_time(), 0
            async for part in apply(analytics, await enricher.enrichment({})):
                changed += part.changed
                memory.append(resident())
                if asking.done():
                    asking.result()
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            asking.cancel()
            print(
                f"{rows:,} rows, {changed:,} groups changed: {rows / seconds:,.0f} rows/s, {cpu:.0f} s of processor time ({rows / cpu:,.0f} rows a second of it)."
            )
            tenth = max(1, len(memory) // 10)
            print(
                "Resident MB before, and over the run:",
                f"{before:.0f};",
                ", ".join(f"{one:.0f}" for one in memory[::tenth]),
            )
            print(
                f"Queries meanwhile: {len(waits)}, median {statistics.median(waits) * 1000:.0f} ms, longest {max(waits) * 1000:.0f} ms; all counted {rows:,}."
            )


def resident() -> float:
    """MB that this process holds."""
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mmdb", type=Path, default=INSTALLED / "ipinfo-lite.mmdb")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--stored", type=int, metavar="ROWS", help="enrich so many stored rows again instead")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if arguments.stored:
        asyncio.run(stored(arguments.mmdb, arguments.stored))
    else:
        asyncio.run(run(arguments.mmdb, arguments.rounds))


if __name__ == "__main__":
    main()
