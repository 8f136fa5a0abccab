"""The values that reading gives: reports, records and problems; frozen, typed, absent as None.

Nothing here is ever a default that a report did not state (RFC 7489 and RFC 9990 aggregate, RFC 6591 and RFC 9991
failure, RFC 8460 TLS). Enumerated text is lower case and trimmed; text from strangers is kept as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dmarcworks.reports.aggregate.records import DkimResult, Reason, Record, Records, SpfResult
from dmarcworks.reports.problems import REASONS

__all__ = [
    "REASONS",
    "AggregateReport",
    "DkimResult",
    "FailureReport",
    "Item",
    "Part",
    "Policy",
    "Problem",
    "Reading",
    "Reason",
    "Record",
    "Records",
    "SpfResult",
    "TlsFailure",
    "TlsPolicy",
    "TlsReport",
    "Warning",
]


@dataclass(frozen=True, slots=True)
class Warning:
    """Something odd that was tolerated: a stable code, the place, a sentence for a person."""

    code: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be read: a stable code, the place ("part 2 > report.zip > a.xml"), a sentence."""

    reason: str
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy that the receiver saw published."""

    domain: str
    adkim: str | None
    aspf: str | None
    p: str | None
    sp: str | None
    np: str | None
    fo: str | None
    pct: int | None
    testing: str | None
    discovery_method: str | None


@dataclass(frozen=True, slots=True)
class AggregateReport:
    """An aggregate report; `begin` and `end` in unix seconds."""

    kind: ClassVar[str] = "aggregate"
    org_name: str | None
    email: str | None
    extra_contact_info: str | None
    report_id: str
    begin: int
    end: int
    version: str | None
    generator: str | None
    errors: tuple[str, ...]
    policy: Policy
    records: Sequence[Record]
    warnings: tuple[Warning, ...]

    @property
    def messages(self) -> int:
        """The sum of the records' counts."""
        return sum(Records.of(self.records).counts)


@dataclass(frozen=True, slots=True)
class FailureReport:
    """A failure report about one message (RFC 6591, RFC 9991, or the plain text form of Exim and its like).

    `form` is "arf" or "text". `original_headers` and `original_body` are the reported message as text, kept apart so
    that a reader may drop the personal part; nothing in it is ever read as a report. `arrival_date` in unix seconds.
    """

    kind: ClassVar[str] = "failure"
    form: str
    feedback_type: str | None
    version: str | None
    user_agent: str | None
    auth_failure: str | None
    delivery_result: str | None
    identity_alignment: str | None
    reported_domain: str | None
    source_ip: str | None
    incidents: int | None
    arrival_date: int | None
    original_mail_from: str | None
    original_rcpt_to: tuple[str, ...]
    original_envelope_id: str | None
    reporting_mta: str | None
    authentication_results: tuple[str, ...]
    reported_uri: tuple[str, ...]
    dkim_domain: str | None
    dkim_identity: str | None
    dkim_selector: str | None
    dkim_canonicalized_header: str | None
    dkim_canonicalized_body: str | None
    spf_dns: str | None
    header_from: str | None
    message_id: str | None
    subject: str | None
    original_headers: str | None
    original_body: str | None
    extensions: tuple[tuple[str, str], ...]
    warnings: tuple[Warning, ...]


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """One kind of failure under a TLS policy (RFC 8460 §4.4)."""

    result_type: str | None
    sending_mta_ip: str | None
    receiving_mx_hostname: str | None
    receiving_mx_helo: str | None
    receiving_ip: str | None
    failed_sessions: int | None
    additional_information: str | None
    failure_reason_code: str | None


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """One policy of a TLS report and its sessions; a count is None where the report states none."""

    policy_type: str | None
    policy_domain: str | None
    policy_string: tuple[str, ...]
    mx_host: tuple[str, ...]
    successful_sessions: int | None
    failed_sessions: int | None
    failures: tuple[TlsFailure, ...]


@dataclass(frozen=True, slots=True)
class TlsReport:
    """A TLS report (RFC 8460); `begin` and `end` in unix seconds."""

    kind: ClassVar[str] = "tls"
    organization_name: str | None
    contact_info: str | None
    report_id: str
    begin: int
    end: int
    policies: tuple[TlsPolicy, ...]
    warnings: tuple[Warning, ...]

    @property
    def sessions(self) -> int:
        """The sum of all sessions, successful and failed."""
        return sum((policy.successful_sessions or 0) + (policy.failed_sessions or 0) for policy in self.policies)


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment as received: `name` as sent (only a label), `content` still compressed, `where` its place."""

    name: str
    content: bytes
    where: str


@dataclass(frozen=True, slots=True)
class Item:
    """A report, the part it came in, and the SHA-256 (hex) of its own bytes once unpacked.

    `alike` is the hash of what transport leaves as it is (`reports.alike`); "" stands for `digest`.
    """

    report: AggregateReport | FailureReport | TlsReport
    part: Part
    digest: str
    alike: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that one mail or file held: what was read, and what was not and why."""

    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
