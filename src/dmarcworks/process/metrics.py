"""The Prometheus metrics: counters that the parts increment, and figures that are read from the stores at each scrape.

Labels come from fixed lists only (outcome, role, store), never from a mail: a stranger must not be able to make series.
Processes that accept mail for another one keep their counters in files that it made for them (`shared`, `keep_in`): one
that is killed loses none, the next in its place continues them, and the one scrape returns the sum.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

_MEMORY = Path("/dev/shm")  # noqa: S108
_KINDS = ("counter", "histogram", "gauge_all")
_FILE_BYTES = 1 << 16
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One process's figures in a registry of its own, so that two systems in a process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._others: list[str] = []
        self._receiving(self.registry)
        self._processing(self.registry)
        self._backlog(self.registry)
        self._serving(self.registry)
        self._checking(self.registry)

    def _receiving(self, registry: CollectorRegistry) -> None:
        """Mail that comes in and leaves."""
        self.mails = Counter("dmarcworks_mails", "Mails received, by outcome.", ["outcome"], registry=registry)
        self.mail_bytes = Counter("dmarcworks_mail_bytes", "Bytes of those mails.", registry=registry)
        self.refused = Counter(
            "dmarcworks_recipients_refused", "Recipients refused at RCPT that no rule knows.", registry=registry
        )
        self.accept_seconds = Histogram(
            "dmarcworks_accept_seconds",
            "Seconds from the end of DATA to the reply, per recipient.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.sent = Counter(
            "dmarcworks_sent", "Mails given to the relay by how that ended.", ["outcome"], registry=registry
        )

    def _processing(self, registry: CollectorRegistry) -> None:
        """Mails that are read."""
        self.mails_read = Counter("dmarcworks_mails_read", "Mails read to the end.", registry=registry)
        self.reports_read = Counter("dmarcworks_reports_read", "Reports found in mails.", registry=registry)
        self.records_read = Counter("dmarcworks_records_read", "Records of those reports.", registry=registry)
        self.isolated_kills = Counter(
            "dmarcworks_isolated_kills",
            "Isolated processes that were killed while they worked, by pool and reason (cpu, time, memory, died).",
            ["pool", "reason"],
            registry=registry,
        )
        self.read_seconds = Histogram(
            "dmarcworks_read_seconds",
            "Seconds from the delivery of a mail by the queue until its rows are published.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.checked = Counter(
            "dmarcworks_mails_checked",
            "Checks of mails by DMARC's result; not_checked: the check was stopped.",
            ["result"],
            registry=registry,
        )
        self.ingest_steps = Histogram(
            "dmarcworks_ingest_step_seconds",
            "Seconds of each step of ingest, by step and outcome; a step takes several mails together.",
            ["step", "outcome"],
            buckets=_SECONDS,
            registry=registry,
        )

    def _backlog(self, registry: CollectorRegistry) -> None:
        """What waits, for a worker or a person."""
        self.queue = Gauge("dmarcworks_queue_mails", "Mails in the queue by state.", ["state"], registry=registry)
        self.queue_age = Gauge(
            "dmarcworks_queue_oldest_seconds", "Age of the oldest mail that waits to be read.", registry=registry
        )
        self.worker_queue = Gauge(
            "dmarcworks_worker_queue_messages",
            "Messages in the queues of users' workers by state; dead ones wait for a person.",
            ["state"],
            registry=registry,
        )
        self.mailboxes = Gauge(
            "dmarcworks_mailboxes",
            "Mailboxes by state (ok, new, running, failing, paused).",
            ["state"],
            registry=registry,
        )
        self.mailbox_waiting = Gauge(
            "dmarcworks_mailbox_waiting_mails", "Mails in mailboxes that are not processed yet.", registry=registry
        )
        self.mailbox_mails = Counter(
            "dmarcworks_mailbox_mails",
            "Mails of mailboxes by outcome (accepted, known, left_alone, too_large, gone).",
            ["outcome"],
            registry=registry,
        )
        self.outbound = Gauge("dmarcworks_outbound_mails", "Mails that wait for the relay.", registry=registry)
        self.problems = Gauge("dmarcworks_problems_open", "Problems that nobody has closed.", registry=registry)

    def _serving(self, registry: CollectorRegistry) -> None:
        """HTTP, and the stores."""
        self.http_ended = Counter(
            "dmarcworks_http_ended",
            "HTTP connections and requests that were refused or ended by us, by the bound that they were over.",
            ["bound"],
            registry=registry,
        )
        self.http_left = Counter(
            "dmarcworks_http_left", "Statements that ended because their client had left.", registry=registry
        )
        self.store_up = Gauge(
            "dmarcworks_store_up", "Whether the store answered at this scrape (1 or 0).", ["store"], registry=registry
        )

    def _checking(self, registry: CollectorRegistry) -> None:
        """DNS records of the domains."""
        self.dns_checks = Counter(
            "dmarcworks_dns_checks",
            "Checks of a domain's DNS records by part (dmarc, records) and outcome (answered, no_answer, failed).",
            ["part", "outcome"],
            registry=registry,
        )
        self.dns_queries = Counter("dmarcworks_dns_check_queries", "DNS queries of those checks.", registry=registry)
        self.dns_changes = Counter(
            "dmarcworks_dns_changes", "Kinds of records that a check found changed or new.", registry=registry
        )
        self.dns_due = Gauge("dmarcworks_dns_checks_due", "Checks of DNS records that are due.", registry=registry)
        self.dns_oldest = Gauge(
            "dmarcworks_dns_checks_oldest_seconds", "How long the oldest of them has been due.", registry=registry
        )

    def waiting(self, gauge: Gauge, states: Mapping[str, int] | None) -> None:
        """How much is in each state; None when it is unknown, and the figure is absent until it is known again."""
        gauge.clear()
        for state, number in (states or {}).items():
            gauge.labels(state).set(number)

    def certificate(self, left: Callable[[], float]) -> None:
        """There is a certificate: `left` returns at each scrape for how many seconds it is valid."""
        gauge = Gauge(
            "dmarcworks_tls_certificate_expiry_seconds",
            "Seconds until the certificate that mail servers are shown ends; below 0 it has ended.",
            registry=self.registry,
        )
        gauge.set_function(left)

    def statements(self, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        """How many SQL statements run and how many wait, read at each scrape."""
        gauge = Gauge("dmarcworks_statements", "SQL statements by state.", ["state"], registry=self.registry)
        gauge.labels("running").set_function(running)
        gauge.labels("waiting").set_function(waiting)

    def http(self, connections: Callable[[], int], body_bytes: Callable[[], int]) -> None:
        """Open connections and request bodies of HTTP, read at each scrape."""
        gauge = Gauge("dmarcworks_http_connections", "Open HTTP connections.", registry=self.registry)
        gauge.set_function(connections)
        gauge = Gauge("dmarcworks_http_body_bytes", "Bytes of request bodies in memory.", registry=self.registry)
        gauge.set_function(body_bytes)

    def shares(self, files: int, smtp: int, http: int) -> None:
        """How the process's file descriptors are shared out."""
        limits = {"files": files, "smtp_connections": smtp, "http_connections": http}
        gauge = Gauge(
            "dmarcworks_descriptor_limit",
            "Open files that the system allows, and connections that may have one of them.",
            ["of"],
            registry=self.registry,
        )
        for name, limit in limits.items():
            gauge.labels(name).set(limit)

    def step(self, name: str, outcome: str, seconds: float) -> None:
        """A step of ingest ended with this outcome after so many seconds."""
        self.ingest_steps.labels(name, outcome).observe(seconds)

    def read(self, reports: int, records: int, seconds: float) -> None:
        """A mail was read to the end, with so many reports and records in it."""
        self.mails_read.inc()
        self.reports_read.inc(reports)
        self.records_read.inc(records)
        self.read_seconds.observe(seconds)

    def killed(self, pool: str, reason: str) -> None:
        """An isolated process was killed."""
        self.isolated_kills.labels(pool, reason).inc()

    @contextmanager
    def shared(self, processes: int, data_directory: Path) -> Iterator[Path]:
        """A folder where so many other processes keep their counters; while it is there, `text` adds them up.

        In memory where there is such a place, else in `data_directory`: on a disk every sync of a mail would write
        them too.
        """
        where = _MEMORY if os.access(_MEMORY, os.W_OK) else data_directory
        with TemporaryDirectory(prefix="dmarcworks-counters-", dir=where, ignore_cleanup_errors=True) as name:
            folder = Path(name)
            for slot in range(processes):
                for kind in _KINDS:
                    # Space that is reserved now cannot be missing when a counter is written through the memory map.
                    (folder / f"{kind}_{slot}.db").write_bytes(bytes(_FILE_BYTES))
            self._others = [str(folder / f"{kind}_{slot}.db") for kind in _KINDS[:2] for slot in range(processes)]
            try:
                yield folder
            finally:
                self._others = []

    def text(self) -> bytes:
        """All of it in Prometheus' text format, with what other processes have counted."""
        return generate_latest(_Sum(self.registry, self._others))


class _Sum(Collector):
    """A registry's families, with the samples of other processes' files added to their like."""

    def __init__(self, registry: CollectorRegistry, files: list[str]) -> None:
        self._registry = registry
        self._files = files

    def collect(self) -> Iterator[Metric]:
        merged = MultiProcessCollector.merge(self._files)  # type: ignore[no-untyped-call]
        others = {family.name: family.samples for family in merged}
        for family in self._registry.collect():
            added = {_key(sample): sample for sample in others.get(family.name, ())}
            own = [_plus(sample, added.pop(_key(sample), None)) for sample in family.samples]
            family.samples = own + list(added.values())
            yield family


def _key(sample: Sample) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())


def _plus(sample: Sample, other: Sample | None) -> Sample:
    return sample if other is None else sample._replace(value=sample.value + other.value)


def keep_in(folder: Path, slot: int) -> None:
    """From now on every counter that this process makes is kept in its own files of a `shared` folder; those of a dead
    process that had the same number are counted on."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
