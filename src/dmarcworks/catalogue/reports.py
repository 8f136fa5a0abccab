"""A report in the catalogue: as it is recorded (`NewReport`) and as it is read back (`ReportRow`).
Identity is what the reporter states: kind, reporter, policy domain, report id, begin and end (RFC 9990 "Handling of
Duplicates"); the key adds account and content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.engine import Row

from dmarcworks.reports.days import days_covered

__all__ = ["NewReport", "Received", "ReportRow", "report_row"]


@dataclass(frozen=True, slots=True)
class Received:
    """Reports of a domain that came in, of any kind; `last` is None when there are none."""

    total: int
    last_7_days: int
    last: datetime | None


@dataclass(frozen=True, slots=True)
class NewReport:
    """A report on its way in; `content` is the SHA-256 of the document, `where` its place in the mail."""

    account_id: str
    domain_id: str
    kind: str
    org_name: str
    org_email: str
    policy_domain: str
    report_id: str
    begin: int
    end: int
    received: datetime
    records: int
    messages: int
    content: str
    object_key: str
    file_name: str
    mail_id: str
    where: str
    state: str = "counted"
    # The hash of the document without its line ends; "" where it is that of the bytes.
    alike: str = ""
    warnings: Sequence[Mapping[str, str]] = ()
    # Whether begin and end are the report's own; otherwise both are the time of receipt, which differs between copies.
    dated: bool = True

    @property
    def identity(self) -> str:
        """The reporter's own name for the report, hashed.

        A failure report has none; its document without the line ends stands for it, so that a copy is the same report.
        """
        named = (self.alike or self.content) if self.kind == "failure" else self.report_id
        return self._identity(named, self.begin if self.dated else 0, self.end if self.dated else 0)

    @property
    def former_identity(self) -> str:
        """The identity that versions before gave the report."""
        return self._identity(self.report_id, self.begin, self.end)

    def _identity(self, named: str, begin: int, end: int) -> str:
        reporter = (self.org_name or self.org_email).casefold()
        parts = [self.kind, reporter, self.policy_domain, named, begin, end]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def key(self) -> str:
        """The report's key in catalogue and Analytics: account, identity and content, hashed."""
        return self.key_of(self.identity)

    def key_of(self, identity: str) -> str:
        """`key`, for a caller that already has the identity."""
        return hashlib.sha256(f"{self.account_id}:{identity}:{self.content}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report in the catalogue. `state`: counted, foreign (another domain's), kept (not read yet)."""

    key: str
    account_id: str
    domain_id: str
    kind: str
    org_name: str
    org_email: str
    policy_domain: str
    report_id: str
    begin: int
    end: int
    day: date
    received: datetime
    records: int
    messages: int
    object_key: str
    file_name: str
    mail_id: str
    state: str
    published: bool
    warnings: tuple[Mapping[str, str], ...]
    duplicates: int = 0

    @property
    def covers(self) -> int:
        """How many days it is about; all of it is counted on the first."""
        return days_covered(self.begin, self.end)


def report_row(row: Row[Any], duplicates: int = 0) -> ReportRow:
    """A row of the table as a value."""
    return ReportRow(
        key=row.key,
        account_id=row.account_id,
        domain_id=row.domain_id,
        kind=row.kind,
        org_name=row.org_name,
        org_email=row.org_email,
        policy_domain=row.policy_domain,
        report_id=row.report_id,
        begin=row.begin,
        end=row.end,
        day=date.fromisoformat(row.day),
        received=datetime.fromtimestamp(row.received, UTC),
        records=row.records,
        messages=row.messages,
        object_key=row.object_key,
        file_name=row.file_name,
        mail_id=row.mail_id,
        state=row.state,
        published=row.published,
        warnings=tuple(json.loads(row.warnings)),
        duplicates=duplicates,
    )
