"""What Prometheus is told: counters that the parts add to, and figures that are asked of the stores at each scrape.

Labels come from fixed lists only (outcome, role, store), never from a mail: a stranger must not be able to make series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One process's figures in a registry of its own, so that two systems in a process do not mix."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry(auto_describe=False)
        self.mails = Counter(
            "dmarcworks_mails", "Mails at the front door by what became of them.", ["outcome"], registry=registry
        )
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
        self.mails_read = Counter("dmarcworks_mails_read", "Mails read to the end.", registry=registry)
        self.reports_read = Counter("dmarcworks_reports_read", "Reports found in mails.", registry=registry)
        self.records_read = Counter("dmarcworks_records_read", "Records of those reports.", registry=registry)
        self.read_seconds = Histogram(
            "dmarcworks_read_seconds",
            "Seconds from taking a mail from the queue to its rows' being published.",
            registry=registry,
            buckets=_SECONDS,
        )
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
        self.outbound = Gauge("dmarcworks_outbound_mails", "Mails that wait for the relay.", registry=registry)
        self.problems = Gauge("dmarcworks_problems_open", "Problems that nobody has closed.", registry=registry)
        self.store_up = Gauge(
            "dmarcworks_store_up", "Whether the store answered at this scrape (1 or 0).", ["store"], registry=registry
        )

    def waiting(self, gauge: Gauge, states: Mapping[str, int] | None) -> None:
        """How much is in each state; None when nobody could say, and the figure is not there until somebody can."""
        gauge.clear()
        for state, number in (states or {}).items():
            gauge.labels(state).set(number)

    def certificate(self, left: Callable[[], float]) -> None:
        """There is a certificate: `left` tells at each scrape for how many seconds it holds."""
        gauge = Gauge(
            "dmarcworks_tls_certificate_expiry_seconds",
            "Seconds until the certificate that mail servers are shown ends; below 0 it has ended.",
            registry=self.registry,
        )
        gauge.set_function(left)

    def read(self, reports: int, records: int, seconds: float) -> None:
        """A mail was read to the end, with so many reports and records in it."""
        self.mails_read.inc()
        self.reports_read.inc(reports)
        self.records_read.inc(records)
        self.read_seconds.observe(seconds)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
