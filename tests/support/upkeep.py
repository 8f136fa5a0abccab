"""A whole system's stores on a home of its own, worked by hand: mails in, the queue turned, figures out."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.upkeep import jobs
from dmarcworks.upkeep.context import UpkeepContext
from dmarcworks.workers.message import Message
from dmarcworks.workers.outcome import ACCEPTED
from tests.support.ingesting import deliver, system_consumer

HOST = "reports.example.net"


@dataclass
class Home:
    """A home and the stores that are open on it."""

    path: Path
    house: UpkeepContext

    async def domain(self, name: str = "example.com", account: str = "default") -> Domain:
        return await self.house.stores.accounts.add_domain(name, account)

    async def mail(self, domain: Domain, *mails: bytes) -> None:
        """Take the mails and read everything that waits."""
        for raw in mails:
            reply = await deliver(Message("dmarc@mail.example", domain.rua, raw), self.house.env)
            assert reply == ACCEPTED
        consumer = system_consumer(self.house.env)
        while await consumer.once():
            pass

    async def do(self, job: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a job to its end; its events but for the progress."""
        return [event async for event in jobs.run(self.house, job, parameters) if event["event"] != "progress"]

    async def kinds(self, **parameters: Any) -> list[str]:
        """The kinds of what `verify` finds."""
        return [event["kind"] for event in await self.do("verify", **parameters) if event["event"] == "difference"]

    async def query(self, statement: str) -> list[dict[str, Any]]:
        answer = await self.house.analytics.query(statement)
        return [json.loads(line) for line in answer.splitlines()]

    async def sums(self, table: str = "dmarc_reports") -> list[tuple[str, str, int, int]]:
        """Domain, day, rows, messages."""
        rows = await self.query(
            "SELECT domain, toString(day) AS day, count() AS rows, toInt64(sum(count)) AS messages"
            f" FROM {table} GROUP BY domain, day ORDER BY domain, day"
        )
        return [(row["domain"], row["day"], int(row["rows"]), int(row["messages"])) for row in rows]

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """In the catalogue's file."""
        with closing(sqlite3.connect(self.path / "dmarcworks.db", timeout=10)) as connection:
            found = connection.execute(statement).fetchall()
            connection.commit()
            return found

    def object(self, key: str) -> Path:
        return self.path / "objects" / key
