"""What a document for an auditor contains: policy and records over time, enforcement, senders with decisions, changes.

Everything is read from stored reports, stored DNS records and the audit log. Nothing is judged, and no DNS query is
made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from dmarcworks.analytics.questions.all import Figures, Questions
from dmarcworks.analytics.sender_directory import DomainSender, SenderDirectory
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.audit import Audit, AuditRow
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.errors import BoundError
from dmarcworks.policy.history import RecordEvent, record_events
from dmarcworks.policy.policy_spans import PolicySpan, policy_spans

__all__ = ["DOMAINS", "DomainEvidence", "Enforcement", "EvidenceDocument", "EvidenceReader"]

# Domains of one document, and lines of one domain's tables; what is left out is counted.
DOMAINS = 50
SENDERS = 100
CHANGES = 500
RECORDS = 200


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Messages of the period by the policy that the reports about them found published."""

    messages: int
    enforced: int
    by_policy: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EvidenceChange:
    """A line of the change trail; `who` is a mail address, a token's name or a system user."""

    at: datetime
    who: str
    kind: str
    action: str
    detail: str


@dataclass(frozen=True, slots=True)
class DomainEvidence:
    """One domain over the period. `changes` is None when the caller may not see them.

    `records` are what checks found in DNS, the oldest first, `records_total` how many there are of them.
    """

    domain: str
    added: datetime
    figures: Figures
    spans: tuple[PolicySpan, ...]
    enforcement: Enforcement
    senders: tuple[DomainSender, ...]
    senders_total: int
    changes: tuple[EvidenceChange, ...] | None
    more_changes: bool = False
    records: tuple[RecordEvent, ...] = ()
    records_total: int = 0


@dataclass(frozen=True, slots=True)
class EvidenceDocument:
    """The whole document."""

    made: datetime
    first: date
    last: date
    domains: tuple[DomainEvidence, ...]


class EvidenceReader:
    """Puts documents together."""

    def __init__(
        self,
        questions: Questions,
        directory: SenderDirectory,
        audit: Audit,
        accounts: Accounts,
        history: DnsHistory,
    ) -> None:
        self._history = history
        self._questions = questions
        self._directory = directory
        self._audit = audit
        self._accounts = accounts

    async def read(
        self, domains: Sequence[Domain], first: date, last: date, made: datetime, *, changes: bool
    ) -> EvidenceDocument:
        """The document about these domains of one account; `BoundError` for too many."""
        if len(domains) > DOMAINS:
            raise BoundError(f"a document is about at most {DOMAINS} domains, not {len(domains):,}")
        read = [await self._domain(domain, first, last, changes=changes) for domain in domains]
        return EvidenceDocument(made, first, last, tuple(read))

    async def _domain(self, domain: Domain, first: date, last: date, *, changes: bool) -> DomainEvidence:
        account, ident = domain.account_id, domain.id
        published = await self._questions.policy_days(account, ident, first, last, policy_domain=domain.name)
        effects = await self._questions.policy_effect(account, ident, first, last)
        by_policy = {one.p: one.messages for one in effects}
        senders = await self._directory.of_domain(domain, first, last)
        rows = sorted(senders.rows, key=lambda row: (-row.group.messages, row.id))
        lines = await self._changes(domain, first, last) if changes else None
        records = record_events(await self._history.changes(account, ident, *_bounds(first, last)))[::-1]
        return DomainEvidence(
            domain=domain.name,
            added=domain.created,
            figures=await self._questions.figures(account, ident, first, last),
            spans=policy_spans(published),
            enforcement=Enforcement(
                sum(by_policy.values()), by_policy.get("quarantine", 0) + by_policy.get("reject", 0), by_policy
            ),
            senders=tuple(rows[:SENDERS]),
            senders_total=senders.total,
            changes=None if lines is None else lines[:CHANGES],
            more_changes=lines is not None and len(lines) > CHANGES,
            records=tuple(records[:RECORDS]),
            records_total=len(records),
        )

    async def _changes(self, domain: Domain, first: date, last: date) -> tuple[EvidenceChange, ...]:
        """The lines of the audit log about the domain, oldest first; one more than are shown when there are more."""
        begin, end = _bounds(first, last)
        rows = await self._audit.about(domain.account_id, domain.name, begin, end, limit=CHANGES + 1)
        names = {token.id: token.name for token in await self._accounts.tokens(domain.account_id)}
        return tuple(_change(row, names) for row in rows)


def _bounds(first: date, last: date) -> tuple[datetime, datetime]:
    """The first moment of the period, and the first one after it."""
    return datetime.combine(first, time(), UTC), datetime.combine(last, time(), UTC) + timedelta(days=1)


def _change(row: AuditRow, tokens: Mapping[str, str]) -> EvidenceChange:
    who = (tokens.get(row.name) or row.name) if row.actor == "token" else row.name
    detail = ", ".join(f"{name}: {value}" for name, value in row.detail.items() if value not in ("", None))
    return EvidenceChange(row.at, who, row.actor, row.action, detail)
