"""How long each account keeps each kind of data: the settings' days, or its own.

raw_mails          raw mails once they are read and nothing of them is an open problem
archived_reports   attachments of aggregate and TLS reports, as received
records            their rows in Analytics, by the day that they are about
failure_reports    failure reports: attachment, row, and the raw mail that quotes the message
problems           problems, with the raw mails that no report was read from
activity_log       lines about mails that reached the SMTP listener
data_points        what workers of the operator's own wrote into Analytics
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import upkeep_tables
from dmarcworks.errors import UsageError
from dmarcworks.settings import Settings

__all__ = ["KINDS", "MOST_DAYS", "RetentionPeriod", "RetentionPeriods"]

KINDS = ("raw_mails", "archived_reports", "records", "failure_reports", "problems", "activity_log", "data_points")
MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class RetentionPeriod:
    """How many days an account keeps a kind of data, 0 for ever; `own` when it is not the setting."""

    kind: str
    days: int
    own: bool


class RetentionPeriods:
    """The accounts' rules."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._defaults = {
            "raw_mails": settings.retention_raw_mails,
            "archived_reports": settings.retention_archived_reports,
            "records": settings.retention_records,
            "failure_reports": settings.retention_failure_reports,
            "problems": settings.retention_problems,
            "activity_log": settings.activity_days,
            "data_points": settings.retention_data_points,
        }

    async def of(self, account_id: str) -> list[RetentionPeriod]:
        """The account's rules, a kind each."""
        table = upkeep_tables.retention
        statement = select(table.c.kind, table.c.days).where(table.c.account_id == account_id)
        async with self._database.read() as connection:
            own = {row.kind: row.days for row in (await connection.execute(statement)).all()}
        return [RetentionPeriod(kind, own.get(kind, self._defaults[kind]), kind in own) for kind in KINDS]

    async def set(self, account_id: str, kind: str, days: int | None) -> None:
        """The account's own days; None for the setting's."""
        if kind not in KINDS:
            raise UsageError(f"there is no kind {kind!r}; there are {', '.join(KINDS)}")
        if days is not None and not 0 <= days <= MOST_DAYS:
            raise UsageError(f"days are 0 (for ever) to {MOST_DAYS}, not {days}")
        table = upkeep_tables.retention
        mine = (table.c.account_id == account_id) & (table.c.kind == kind)
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(mine))
            if days is not None:
                await connection.execute(insert(table).values(account_id=account_id, kind=kind, days=days))
