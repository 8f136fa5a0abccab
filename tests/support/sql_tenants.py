"""The SQL API over a real engine and a real catalogue, with two accounts that must not see each other."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.reports.model import AggregateReport, DkimResult, Policy, Reason, Record, SpfResult

SECRET = "s3cr3t-of-the-neighbour"


@dataclass(frozen=True, slots=True)
class Party:
    """An account and how it asks."""

    account_id: str
    token: str
    client: httpx.AsyncClient

    async def ask(self, statement: str | bytes, *, account_id: str | None = None) -> httpx.Response:
        """POST a statement with this party's token, to its own account unless told."""
        path = f"/client/v4/accounts/{account_id or self.account_id}/analytics_engine/sql"
        return await self.client.post(path, content=statement, headers={"Authorization": f"Bearer {self.token}"})


@dataclass(frozen=True, slots=True)
class Tenants:
    """Two parties, and what they stand on."""

    mine: Party
    theirs: Party
    client: httpx.AsyncClient
    accounts: Accounts
    analytics: Analytics


def _report(org: str, count: int, header_from: str) -> AggregateReport:
    policy = Policy("example.com", "r", "s", "quarantine", "none", None, None, 100, None, None)
    dkim = (DkimResult(header_from, "s1", "pass", None),)
    spf = (SpfResult(header_from, "mfrom", "fail", None),)
    records = tuple(
        Record(
            f"192.0.2.{n}",
            count,
            "none",
            "pass",
            "fail",
            (Reason("forwarded", org),),
            header_from,
            None,
            None,
            dkim,
            spf,
        )
        for n in (1, 2)
    )
    return AggregateReport(
        org, "a@example.net", None, f"id-{org}", 1_772_582_400, 1_772_668_799, None, None, (), policy, records, ()
    )
