"""Checks of DNS records are claimed once, on every form of the database, by processes that claim at the same time."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

from sqlalchemy import insert

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_pace import QueryPace
from dmarcworks.catalogue.dns_schedule import CheckPart, DnsSchedule
from dmarcworks.catalogue.dns_states import ObservedRecords, RecordKind
from tests.support.catalogue import Clock

INTERVALS = {CheckPart.dmarc: 3600.0, CheckPart.records: 86_400.0}
DOMAINS = 60


async def test_each_domain_is_claimed_once(any_database: Database) -> None:
    """Eight claimers at once get all of them; what they check is stored, and the moments of their queries differ."""
    clock = Clock()
    rows = [
        {"id": uuid.uuid4().hex, "account_id": "a", "name": f"d{one}.example", "rua": f"{one}@r", "created": 0}
        for one in range(DOMAINS)
    ]
    async with any_database.write() as connection:
        await connection.execute(insert(tables.accounts).values(id="a", name="a", created=0))
        await connection.execute(insert(tables.domains), rows)
    schedule = DnsSchedule(any_database, INTERVALS, clock=clock)
    history = DnsHistory(any_database, clock=clock)
    assert sum(await asyncio.gather(*(schedule.settle() for _ in range(3)))) >= DOMAINS
    claims: Counter[str] = Counter()

    async def claimer() -> None:
        while claimed := await schedule.claim(5, 600):
            for check in claimed:
                claims[check.domain] += 1
                assert set(check.parts) == set(CheckPart)
                observed = [ObservedRecords(RecordKind.dmarc, f"_dmarc.{check.domain}", ("v=DMARC1; p=none",))]
                assert await history.store("a", check.domain_id, observed) == [RecordKind.dmarc]
                assert await schedule.done(check)

    await asyncio.gather(*(claimer() for _ in range(8)))
    # A claimer that found all rows of a moment locked by others has ended early; the rest is left to the next.
    await claimer()
    assert claims == {row["name"]: 1 for row in rows}
    moments: list[float] = []

    async def sleep(seconds: float) -> None:
        moments.append(round(seconds, 6))

    paces = [QueryPace(any_database, 100, clock=clock, sleep=sleep) for _ in range(4)]
    await asyncio.gather(*(pace.wait() for pace in paces for _ in range(50)))
    assert len(moments) == 199
    assert len(set(moments)) == len(moments)
    assert max(moments) <= 2.5
