"""The same rows in PostgreSQL, in the tables and indexes that parsedmarc 11 makes itself, asked the same questions.

The rows come out of our store as CSV and go in by COPY, which is the fastest way in; VACUUM ANALYZE before asking.
PostgreSQL has its defaults but for shared_buffers (1 GB) and work_mem (64 MB), which any operator would set.
"""

# ruff: noqa: E501 - statements are long lines by nature
from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import whole_peer
from reading import peer_python

from dmarcworks.bindings.chdb import ChdbAnalytics

_KEY = "toInt64(bitShiftRight(reinterpretAsUInt64(unhex(substring(report_key, 1, 16))), 1))"
_RECORD = f"bitAnd({_KEY} * 64 + record_index, 9223372036854775807)"
# The columns that questions meet; NULL in the others, as parsedmarc leaves what a report does not say.
_EXPORTS = {
    "dmarc_aggregate_report (id, org_name, org_email, report_id, begin_date, end_date, domain, policy, pct)": (
        f"SELECT {_KEY}, org_name, org_email, report_id, toDateTime(begin), toDateTime(end), domain, p, pct"
        " FROM dmarc_reports WHERE record_index = 0"
    ),
    "dmarc_aggregate_record (id, report_id, interval_begin, interval_end, source_ip_address, source_country, source_name,"
    " message_count, spf_aligned, dkim_aligned, dmarc_passed, disposition, policy_dkim, policy_spf, header_from)": (
        f"SELECT {_RECORD}, {_KEY}, toDateTime(begin), toDateTime(end), source_ip, country, sender, count,"
        " spf_aligned = 'pass', dkim_aligned = 'pass', dmarc = 'pass', disposition, dkim_aligned, spf_aligned, header_from"
        " FROM dmarc_reports"
    ),
    "dmarc_aggregate_record_dkim (record_id, domain, selector, result)": (
        f"SELECT {_RECORD}, dkim[1].1, dkim[1].2, dkim[1].3 FROM dmarc_reports"
    ),
    "dmarc_aggregate_record_spf (record_id, domain, scope, result)": (
        f"SELECT {_RECORD}, spf[1].1, spf[1].2, spf[1].3 FROM dmarc_reports"
    ),
}
_FROM = (
    " FROM dmarc_aggregate_record c JOIN dmarc_aggregate_report r ON r.id = c.report_id"
    " WHERE r.domain = '{domain}' AND r.begin_date >= '{first}' AND r.begin_date < '{after}'"
)
_SUMS = (
    "sum(message_count), sum(message_count) FILTER (WHERE dmarc_passed), sum(message_count) FILTER (WHERE dkim_aligned),"
    " sum(message_count) FILTER (WHERE spf_aligned), sum(message_count) FILTER (WHERE disposition = 'quarantine'),"
    " sum(message_count) FILTER (WHERE disposition = 'reject')"
)
QUESTIONS = {
    "volume by day": f"SELECT r.begin_date::date, {_SUMS}, count(DISTINCT r.id){_FROM} GROUP BY 1 ORDER BY 1",
    "figures": f"SELECT {_SUMS}, count(DISTINCT source_ip_address), count(DISTINCT r.id), count(DISTINCT r.org_name){_FROM}",
    "sources, first page": (
        f"SELECT source_ip_address, {_SUMS}, count(DISTINCT r.org_name), min(r.begin_date), max(r.begin_date),"
        f" count(*) OVER (){_FROM} GROUP BY 1 ORDER BY 2 DESC LIMIT 10"
    ),
    "reporters": f"SELECT r.org_name, count(DISTINCT r.id), {_SUMS}{_FROM} GROUP BY 1 ORDER BY 3 DESC LIMIT 10",
    "senders": f"SELECT source_name, {_SUMS}, count(DISTINCT source_ip_address){_FROM} GROUP BY 1 ORDER BY 2 DESC LIMIT 100",
    "records, first page": f"SELECT c.*{_FROM} ORDER BY r.begin_date DESC, c.id LIMIT 100",
}


class Peer:
    """PostgreSQL with the rows in it."""

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self.version = self.sql("SHOW server_version").split()[0]

    def sql(self, statement: str, *, timed: bool = False) -> str:
        """The answer, or with `timed` only psql's own milliseconds."""
        words = ["-c", "\\timing on", "-c", "\\o /dev/null", "-c", statement] if timed else ["-c", statement]
        command = ["psql", self._connection, "-XqAt", "-v", "ON_ERROR_STOP=1", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def ask(self, name: str, domain: str, first: date, last: date, times: int) -> float:
        """The median milliseconds of one question."""
        statement = QUESTIONS[name].format(domain=domain, first=first, after=last + timedelta(days=1))
        command = ["psql", self._connection, "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", "\\timing on"]
        for _ in range(times):
            command += ["-c", statement]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return statistics.median(float(line.split()[1]) for line in told.splitlines() if line.startswith("Time: "))

    def copy(self, into: str, rows: bytes) -> None:
        """COPY CSV into a table."""
        command = ["psql", self._connection, "-Xq", "-v", "ON_ERROR_STOP=1", "-c", f"COPY {into} FROM STDIN CSV"]
        subprocess.run(command, check=True, input=rows, capture_output=True)

    def bytes(self) -> int:
        """What tables and indexes take."""
        return int(
            self.sql(
                "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE 'dmarc%' AND relkind = 'r'"
            )
        )


@contextmanager
def peer(folder: Path) -> Iterator[Peer]:
    """A cluster with parsedmarc's own tables."""
    python = peer_python()
    have = subprocess.run([str(python), "-c", "import psycopg"], capture_output=True, check=False)
    if have.returncode:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "psycopg[binary]>=3.2,<4"], check=True)
    with whole_peer.postgres(folder / "postgres") as (connection, psql):
        make = f"from parsedmarc.postgres import PostgreSQLClient as C; C({connection!r}).create_tables()"
        subprocess.run([str(python), "-c", make], check=True, capture_output=True)
        for setting in ("work_mem = '64MB'", "max_wal_size = '8GB'", "maintenance_work_mem = '512MB'"):
            psql(f"ALTER SYSTEM SET {setting}")
        psql("SELECT pg_reload_conf()")
        yield Peer(connection)


async def fill(found: Peer, analytics: ChdbAnalytics, months: list[tuple[date, int]]) -> float:
    """Bring our rows over; the seconds that COPY took."""
    seconds = 0.0
    for into, select in _EXPORTS.items():
        for first, days in months:
            condition = f"day BETWEEN '{first}' AND '{first + timedelta(days=days - 1)}'"
            word = "AND" if " WHERE " in select else "WHERE"
            rows = await analytics.query(f"{select} {word} {condition}", format="CSV")
            started = time.perf_counter()
            found.copy(into, rows)
            seconds += time.perf_counter() - started
    found.sql("VACUUM ANALYZE")
    return seconds
