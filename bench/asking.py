"""How fast the questions of the product are answered, with 100 million rows of 2,000 accounts over a year.

One command: `python bench/asking.py [--rows 100000000] [--peer-rows 10000000] [--only insert|ask|load] [--write]`. Rows are made inside the engine
(asking_rows.py); then every question of the dashboard for a domain over 30 days and a year, and for its whole account
without end; bytes a row; rows a second into the store from finished Arrow tables; answers while rows are published. With
--peer-rows both we and PostgreSQL, in parsedmarc's own tables, get so many rows and the same questions, in the same run.
`--write` renews docs/benchmarks-asking.md. All of it stands in bench/.asking/ and is removed.
"""

# ruff: noqa: E501 - tables are long lines by nature
from __future__ import annotations

import argparse
import asyncio
import calendar
import io
import os
import random
import shutil
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asking_peer
import asking_rows
import pyarrow as pa
import pyarrow.ipc

from dmarcworks.analytics import schema
from dmarcworks.analytics.questions.all import Questions
from dmarcworks.bindings.chdb import ChdbAnalytics
from dmarcworks.bindings.contracts import QueryBounds

HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent
FOLDER = ROOT / "bench" / ".asking"
TIMES = 7
PATIENCE = 3.0
LAST = asking_rows.LAST
# What a question may take, milliseconds by the clock.
ALLOWED = {"30 days": 50, "a year": 100, "everything": 300}
SPANS = {"30 days": LAST - timedelta(days=29), "a year": asking_rows.FIRST, "everything": date(2011, 1, 1)}
ROOMY = QueryBounds(seconds=600, rows=50_000_000, memory=8 << 30)


@dataclass(frozen=True)
class Place:
    """A domain whose questions are asked, and what it is an example of."""

    number: int
    rows: int
    account_rows: int

    @property
    def account(self) -> str:
        return asking_rows.account_id(self.number % asking_rows.ACCOUNTS)

    @property
    def domain(self) -> str:
        return asking_rows.domain_id(self.number)


def months() -> list[tuple[date, int]]:
    """The year's months as (first day, days)."""
    found, first = [], asking_rows.FIRST
    while first <= LAST:
        days = min(calendar.monthrange(first.year, first.month)[1], (LAST - first).days + 1)
        found.append((first, days))
        first += timedelta(days=days)
    return found


async def filled(folder: Path, rows: int) -> ChdbAnalytics:
    """A store with the rows, its merges done; months that are over in one part, as the engine makes them within a day."""
    analytics = ChdbAnalytics(folder)
    await schema.migrate(analytics)
    start, began = 0, time.perf_counter()
    for first, days in months():
        size = rows * days // asking_rows.DAYS
        await analytics.execute(asking_rows.insert("dmarc_reports", start, size, first, days))
        start += size
        print(f"{start:,} rows after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    for first, _ in months()[:-1]:
        await analytics.execute(f"OPTIMIZE TABLE dmarc_reports PARTITION {first:%Y%m} FINAL")
    print(f"months that are over in one part after {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    deadline = time.monotonic() + 900
    while await number(analytics, "SELECT count() FROM system.merges") and time.monotonic() < deadline:
        await asyncio.sleep(1)
    return analytics


async def number(analytics: ChdbAnalytics, statement: str, **parameters: Any) -> int:
    return int(float(await analytics.query(statement, parameters, format="TabSeparatedRaw", bounds=ROOMY) or 0))


async def place(analytics: ChdbAnalytics, domain: int) -> Place:
    account = asking_rows.account_id(domain % asking_rows.ACCOUNTS)
    where = "SELECT count() FROM dmarc_reports WHERE account_id = {a:String}"
    rows = await number(analytics, where + " AND domain_id = {d:String}", a=account, d=asking_rows.domain_id(domain))
    return Place(domain, rows, await number(analytics, where, a=account))


async def typical(analytics: ChdbAnalytics) -> Place:
    """The domain whose rows are nearest to what an account has on average."""
    text = await analytics.query(
        "SELECT domain_id FROM dmarc_reports GROUP BY domain_id ORDER BY abs(toInt64(count()) -"
        f" (SELECT toInt64(count() / {asking_rows.ACCOUNTS}) FROM dmarc_reports)) LIMIT 1",
        format="TabSeparatedRaw",
        bounds=ROOMY,
    )
    return await place(analytics, int(text.decode().strip()[1:], 16))


def questions(ask: Questions, where: Place, span: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Every question of the dashboard, of the domain, or of its whole account for everything."""
    first = SPANS[span]
    domain = None if span == "everything" else where.domain
    scope = (where.account, domain, first, LAST)
    return {
        "volume by day": lambda: ask.volume_by_day(*scope),
        "figures": lambda: ask.figures(*scope),
        "all domains": lambda: ask.domains(where.account, first, LAST),
        "sources, first page": lambda: ask.sources(*scope),
        "sources that fail": lambda: ask.sources(*scope, limit=1, result="fail"),
        "sources by failed": lambda: ask.sources(*scope, order="failed", limit=100),
        "reporters": lambda: ask.reporters(*scope),
        "records, first page": lambda: ask.records(where.account, domain_id=domain, first=first, last=LAST),
        "senders": lambda: ask.senders(*scope),
        "countries": lambda: ask.countries(*scope),
        "selectors": lambda: ask.selectors(*scope),
        "dispositions": lambda: ask.dispositions(*scope),
        "policy effect": lambda: ask.policy_effect(*scope),
        "new sources": lambda: ask.new_sources(where.account, domain, LAST - timedelta(days=6)),
    }


async def measured(question: Callable[[], Awaitable[Any]], times: int = TIMES) -> tuple[float, float]:
    """Median milliseconds by the clock and of processor time, the first (cold) one left out; slow ones are asked less."""
    taken, worked, end = [], [], time.monotonic() + PATIENCE
    for index in range(times + 1):
        started, used = time.perf_counter(), time.process_time()
        await question()
        taken.append((time.perf_counter() - started) * 1000)
        worked.append((time.process_time() - used) * 1000)
        if index >= 2 and time.monotonic() > end:
            break
    return statistics.median(taken[1:]), statistics.median(worked[1:])


async def asked(ask: Questions, places: list[Place]) -> list[str]:
    """The table of answers."""
    lines = [
        "| query | " + " | ".join(f"{span}, {p.rows:,} rows" for p in places for span in SPANS) + " |",
        "|---|" + "---|" * (len(places) * len(SPANS)),
    ]
    columns = [[(name, q) for name, q in questions(ask, where, span).items()] for where in places for span in SPANS]
    medians: list[list[tuple[float, float]]] = [[] for _ in columns]
    for index in range(len(columns[0])):
        for values, column in zip(medians, columns, strict=True):
            values.append(await measured(column[index][1]))
        cells = " | ".join(f"{values[-1][0]:.0f} ({values[-1][1]:.0f})" for values in medians)
        lines.append(f"| {columns[0][index][0]} | {cells} |")
        print(lines[-1], file=sys.stderr, flush=True)
    middle = [[statistics.median(each) for each in zip(*values, strict=True)] for values in medians]
    lines.append("| **median** | " + " | ".join(f"**{wall:.0f}** ({worked:.0f})" for wall, worked in middle) + " |")
    return lines


async def within(analytics: ChdbAnalytics, ask: Questions) -> str:
    """From which domain on, the largest first, every question keeps to what it may take."""
    tried: dict[int, tuple[Place, list[str]]] = {}

    async def holds(domain: int) -> bool:
        where = await place(analytics, domain)
        slow = []
        for span, most in ALLOWED.items():
            for name, question in questions(ask, where, span).items():
                if (took := (await measured(question))[0]) > most:
                    slow.append(f"{name} over {span} {took:.0f} ms")
        tried[domain] = (where, slow)
        print(f"domain {domain}, {where.rows:,} rows: {'; '.join(slow) or 'all kept'}", file=sys.stderr, flush=True)
        return not slow

    # Domains are numbered by size: looked for by doubling, then between the last that missed and the first that did not.
    first = 1
    while first < asking_rows.DOMAINS and not await holds(first - 1):
        first *= 2
    before = first // 2
    while first - before > 1:
        middle = (before + first) // 2
        before, first = (before, middle) if await holds(middle - 1) else (middle, first)
    where, _ = tried[first - 1]
    told = f"Every query stays within {' / '.join(f'{most} ms over {span}' for span, most in ALLOWED.items())} for "
    if first == 1:
        return told + "every domain."
    larger, slow = tried[before - 1]
    return (
        f"{told}{asking_rows.DOMAINS - first + 1:,} of the {asking_rows.DOMAINS:,} domains, the {first}th largest ({where.rows:,} rows, its account "
        f"{where.account_rows:,}) and all smaller ones. The next larger one ({larger.rows:,} rows): {'; '.join(slow)}."
    )


async def finished(analytics: ChdbAnalytics, rows: int) -> pa.Table:
    """A table of rows as the worker hands it over."""
    body = await analytics.query(
        f"SELECT {', '.join(c.name for c in schema.DMARC_REPORTS.columns)} FROM dmarc_reports"
        f" WHERE day BETWEEN '{LAST - timedelta(days=4)}' AND '{LAST}' LIMIT {rows}",
        format="Arrow",
        bounds=ROOMY,
    )
    found = pyarrow.ipc.open_file(io.BytesIO(body)).read_all()
    return found.cast(schema.DMARC_REPORTS.schema).combine_chunks()


async def published(analytics: ChdbAnalytics, table: pa.Table) -> tuple[float, float, float, float]:
    """Rows a second into a table of its own, in batches of up to 100,000, one and two at a time; ms of the processor for
    such a batch, merges with it; ms of one batch of 500."""
    target = schema.DMARC_REPORTS.named("bench_inserts")
    await analytics.execute(target.create)
    batch = table.slice(0, 100_000)
    await analytics.insert(target.name, batch)

    async def some(times: int) -> None:
        for _ in range(times):
            await analytics.insert(target.name, batch)

    rates = []
    used = time.process_time()
    for lanes in (1, 2):
        started = time.perf_counter()
        await asyncio.gather(*(some(16 // lanes) for _ in range(lanes)))
        rates.append(16 * batch.num_rows / (time.perf_counter() - started))
    worked = (time.process_time() - used) * 1000 / 32
    small = []
    for _ in range(20):
        started = time.perf_counter()
        await analytics.insert(target.name, table.slice(0, 500))
        small.append((time.perf_counter() - started) * 1000)
    await analytics.execute(f"DROP TABLE {target.name}")
    return rates[0], rates[1], worked, statistics.median(small)


async def under_load(analytics: ChdbAnalytics, table: pa.Table, where: Place, seconds: float = 30) -> str:
    """20 questions a second while 2,000 rows a second are published, 500 at a time."""
    ask, dice, taken, errors = Questions(analytics), random.Random(1), [], 0
    pool = [q for span in ("30 days", "a year") for q in questions(ask, where, span).values()]
    target = schema.DMARC_REPORTS.named("bench_inserts")
    await analytics.execute(target.create)
    end, inserted = time.monotonic() + seconds, 0

    async def publish() -> None:
        nonlocal inserted
        due = time.monotonic()
        while due < end:
            await analytics.insert(target.name, table.slice(dice.randrange(1000), 500))
            inserted += 500
            due += 0.25
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def one() -> None:
        nonlocal errors
        started = time.perf_counter()
        try:
            await dice.choice(pool)()
        # Whatever it is, a question that fails is counted and the run goes on.
        except Exception:
            errors += 1
        taken.append((time.perf_counter() - started) * 1000)

    publishing, asking, due = asyncio.create_task(publish()), [], time.monotonic()
    while due < end:
        asking.append(asyncio.create_task(one()))
        due += 0.05
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    took = time.monotonic()
    await asyncio.gather(publishing, *asking)
    late = time.monotonic() - took
    await analytics.execute(f"DROP TABLE {target.name}")
    taken.sort()
    return (
        f"20 queries a second for {seconds:.0f} s, with {inserted / seconds:,.0f} rows a second published meanwhile: {len(taken)} answers, "
        f"{errors} errors, median {statistics.median(taken):.0f} ms, p95 {taken[int(len(taken) * 0.95)]:.0f} ms, "
        f"worst {taken[-1]:.0f} ms (the last answer came {late:.1f} s after the last query)."
    )


async def sizes(analytics: ChdbAnalytics) -> str:
    """Bytes a row: all of it, and the daily sums in it."""
    where = "FROM system.{} WHERE active AND database = 'dmarcworks' AND table = 'dmarc_reports'"
    rows = await number(analytics, "SELECT sum(rows) " + where.format("parts"))
    whole = await number(analytics, "SELECT sum(bytes_on_disk) " + where.format("parts"))
    daily = await number(analytics, "SELECT sum(bytes_on_disk) " + where.format("projection_parts"))
    parts = await number(analytics, "SELECT count() " + where.format("parts"))
    return f"{whole / rows:.1f} bytes a row on disk, {daily / rows:.1f} of them daily sums ({rows:,} rows in {parts} parts)."


async def against(rows: int) -> list[str]:
    """Ours and PostgreSQL with the same rows, the same domain, the same questions."""
    analytics = await filled(FOLDER / "small", rows)
    ask, where = Questions(analytics), await typical(analytics)
    large = await place(analytics, 0)
    lines = []
    with asking_peer.peer(FOLDER) as found:
        copied = await asking_peer.fill(found, analytics, months())
        stored = int(found.sql("SELECT count(*) FROM dmarc_aggregate_record"))
        lines.append(
            f"PostgreSQL {found.version} with parsedmarc 11's tables: {stored:,} records, {found.bytes() / stored:.0f} bytes each with indexes, "
            f"{stored / copied:,.0f} records a second by COPY (commits of a month). Ours: {await sizes(analytics)}\n"
        )
        lines += [
            "| query | "
            + " | ".join(
                f"{span}, {p.rows:,} rows: ours / theirs" for p in (where, large) for span in ("30 days", "a year")
            )
            + " |",
            "|---|---|---|---|---|",
        ]
        for name in asking_peer.QUESTIONS:
            cells = []
            for spot in (where, large):
                for span in ("30 days", "a year"):
                    mine, _ = await measured(questions(ask, spot, span)[name], 3)
                    theirs = found.ask(name, f"domain{spot.number}.example", SPANS[span], LAST, 3)
                    cells.append(f"{mine:.0f} / {theirs:,.0f} ms ({theirs / mine:.1f}×)")
            lines.append(f"| {name} | {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
    await analytics.close()
    return lines


async def run(options: argparse.Namespace) -> str:
    """Everything, as the page's text."""
    analytics = await filled(FOLDER / "large", options.rows)
    ask, only = Questions(analytics), options.only
    places = [await typical(analytics), await place(analytics, 0)]
    lines = [f"Bytes: {await sizes(analytics)}\n"]
    if only in (None, "ask"):
        lines += await asked(ask, places)
        lines.append(f"\n{await within(analytics, ask)}")
    table = await finished(analytics, 100_000)
    if only in (None, "insert"):
        one, two, worked, small = await published(analytics, table)
        lines.append(
            f"\nDurable inserts of finished Arrow tables, in batches of {table.num_rows:,}: {one:,.0f} rows a second sequentially, "
            f"{two:,.0f} two at a time, {worked:.0f} ms of processor time a batch, including merges; a batch of 500 takes {small:.0f} ms."
        )
    if only in (None, "load"):
        lines.append(f"\nUnder load: {await under_load(analytics, table, places[0])}")
    await analytics.close()
    shutil.rmtree(FOLDER / "large")
    return "\n".join(lines)


async def child(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(sys.executable, str(HERE), *words, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    if process.returncode:
        raise SystemExit("the comparison failed")
    return told.decode()


def main() -> int:
    """Measure and print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000_000, help="rows in our store")
    parser.add_argument(
        "--peer-rows", type=int, default=10_000_000, help="rows of the comparison with PostgreSQL; 0 omits it"
    )
    parser.add_argument("--only", choices=("insert", "ask", "load"), help="measure only this, without PostgreSQL")
    parser.add_argument("--write", action="store_true", help="regenerate docs/benchmarks-asking.md")
    parser.add_argument("--against", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.against:
        print("\n".join(asyncio.run(against(options.against))))
        return 0
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    began = os.getloadavg()[0]
    try:
        body = asyncio.run(run(options))
        page(options, began, body)
        if options.peer_rows and not options.only:
            # The engine serves one folder a process: a child has the other.
            body += f"\n\n## Compared with PostgreSQL\n\n{asyncio.run(child('--against', str(options.peer_rows)))}"
            page(options, began, body)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    return 0


def page(options: argparse.Namespace, began: float, body: str) -> None:
    """Print the page, and write it when asked to."""
    cores = os.cpu_count() or 1
    most = max(began, os.getloadavg()[0])
    busy = (
        f"\n**The machine was shared during the run** (a load of up to {most:.0f} on {cores} cores): elapsed times are longer than on a quiet machine and\n"
        "vary from cell to cell; processor times and bytes are valid."
        if most > 2 * cores
        else ""
    )
    text = (
        "# Benchmarks: queries\n\n`python bench/asking.py --write` (in the project's virtual environment) regenerates this page. Each cell is the elapsed time in milliseconds, with\n"
        f"the processor time in brackets: medians of up to {TIMES} warm queries through `analytics/questions.py`. {options.rows:,} rows of {asking_rows.ACCOUNTS:,} accounts over a year. The left domain\n"
        'has as many rows as the average account, the right one is the largest of all; "everything" is its whole account for all time.\n'
        "Past months are one part each, as the engine merges them when a month has been quiet for a day. This run:\n"
        f"{os.cpu_count()} cores, load {began:.1f} at the start and {os.getloadavg()[0]:.1f} at the end, Python {sys.version.split()[0]}.{busy}\n\n{body.strip()}\n"
    )
    print(text)
    if options.write:
        (ROOT / "docs" / "benchmarks-asking.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
