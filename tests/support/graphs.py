"""GraphQL and SQL over one real engine and one real catalogue, with two accounts that must not see each other."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from dmarcworks.analytics import schema
from dmarcworks.api.graphql import router as graphql
from dmarcworks.bindings.contracts import Analytics, Database
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.reports.model import AggregateReport, DkimResult, Policy, Reason, Record, SpfResult

SECRET = "s3cr3t-of-the-neighbour"
DAY = 86_400
BEGIN = 1_772_582_400  # 2026-03-04 00:00 UTC


@dataclass(frozen=True, slots=True)
class Party:
    """An account, its domains, its rows as Python knows them, and how it asks."""

    account_id: str
    token: str
    client: httpx.AsyncClient
    domains: dict[str, Domain]
    rows: list[dict[str, Any]] = field(default_factory=list)

    async def post(
        self, query: Any, variables: Mapping[str, Any] | None = None, token: str = "", **more: Any
    ) -> httpx.Response:
        """POST a query with this party's token."""
        body = {"query": query, "variables": variables, **more}
        headers = {"Authorization": f"Bearer {token or self.token}"}
        # In plain ASCII, as most clients send it: half a surrogate pair can be written so.
        return await self.client.post(graphql.PATH, content=json.dumps(body), headers=headers)

    async def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> Any:
        """The data, which must be there, with `errors` null."""
        answer = await self.post(query, variables)
        assert answer.status_code == 200, answer.text[:500]
        body = answer.json()
        assert set(body) == {"data", "errors"}
        assert body["errors"] is None
        return body["data"]

    async def node(self, text: str, scope: str | None = None) -> Any:
        """One node of a domain (by name; the account when None)."""
        if scope is None:
            data = await self.ask(f'{{viewer{{accounts(filter:{{accountTag:"{self.account_id}"}}){{n:{text}}}}}}}')
            return data["viewer"]["accounts"][0]["n"]
        tag = self.domains[scope].id
        data = await self.ask(f'{{viewer{{zones(filter:{{zoneTag:"{tag}"}}){{n:{text}}}}}}}')
        return data["viewer"]["zones"][0]["n"]

    async def refused(
        self, query: Any, variables: Mapping[str, Any] | None = None, **more: Any
    ) -> tuple[int, str, Any]:
        """Status, message and path of what must be an error in the original's envelope."""
        answer = await self.post(query, variables, **more)
        body = answer.json()
        assert set(body) == {"data", "errors"}
        assert body["data"] is None
        (error,) = body["errors"]
        assert set(error) == {"message", "path", "extensions"}
        assert set(error["extensions"]) == {"timestamp"}
        datetime.fromisoformat(error["extensions"]["timestamp"])
        return answer.status_code, error["message"], error["path"]

    async def sql(self, statement: str) -> list[dict[str, Any]]:
        """The same asked by the SQL API."""
        path = f"/client/v4/accounts/{self.account_id}/analytics_engine/sql"
        answer = await self.client.post(path, content=statement, headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["data"]
        return rows


@dataclass(frozen=True, slots=True, repr=False)
class Place:
    """Two parties, and what they stand on."""

    mine: Party
    theirs: Party
    accounts: Accounts
    analytics: Analytics
    database: Database
    asked: list[str]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Short, where hypothesis tells of a failure."""
        printer.text("place")


class Counted:
    """The engine with a note of each statement that it was asked."""

    def __init__(self, engine: Analytics) -> None:
        self._engine = engine
        self.asked: list[str] = []

    async def query(self, statement: str, parameters: Any = None, **more: Any) -> bytes:
        self.asked.append(statement)
        return await self._engine.query(statement, parameters, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def report(seed: int, domain: str, marker: str = "") -> AggregateReport:
    """A report of chance, but always the same one; every kind of absent value is among its records."""
    chance = random.Random(f"{seed}-{domain}-{marker}")
    results = ("pass", "fail", None)
    records = tuple(
        Record(
            source_ip=f"192.0.2.{chance.randrange(6)}" if chance.random() < 0.7 else f"2001:db8::{chance.randrange(4)}",
            count=chance.choice((0, 1, 2, 7, 100, 12_345, 2**40)),
            disposition=chance.choice(("none", "quarantine", "reject", "pass", None)),
            dkim_aligned=chance.choice(results),
            spf_aligned=chance.choice(results),
            reasons=tuple(
                Reason(kind, None)
                for kind in chance.sample(("forwarded", "local_policy", "other"), chance.randrange(3))
            ),
            header_from=marker or chance.choice((domain, f"mail.{domain}", f"A_b%c.{domain}", "", "ünï.example", None)),
            envelope_from=chance.choice((domain, "bounce.example", None)),
            envelope_to=None,
            dkim=tuple(
                DkimResult(chance.choice((domain, "esp.example", None)), f"s{n}", "pass", None)
                for n in range(chance.randrange(3))
            ),
            spf=(SpfResult(domain, None, "pass", None),),
        )
        for _ in range(chance.randrange(1, 9))
    )
    begin = BEGIN + DAY * chance.randrange(-3, 4) + 3600 * chance.randrange(24)
    return AggregateReport(
        org_name=marker or chance.choice(("google.com", "Yahoo", "", None)),
        email="a@example.net",
        extra_contact_info=None,
        report_id=f"id-{seed}",
        begin=begin,
        end=begin + DAY - 1,
        version=None,
        generator=None,
        errors=(),
        policy=Policy(domain, "r", "s", chance.choice(("none", "reject", None)), None, None, None, None, None, None),
        records=records,
        warnings=(),
    )


async def publish(party: Party, analytics: Analytics, domain: Domain, made: AggregateReport, key: str) -> None:
    """Into the store, and down in Python what was put there."""
    table = schema.rows(
        made, account_id=party.account_id, domain_id=domain.id, domain=domain.name,
        received=datetime.now(UTC), report_key=key, object_key=f"o-{key}",
    )  # fmt: skip
    await analytics.insert("dmarc_reports", table)
    for index, record in enumerate(made.records):
        party.rows.append(
            {
                "zone": domain.id,
                "date": schema.day_of(made.begin).isoformat(),
                "begin": made.begin,
                "key": key,
                "index": index,
                "reporter": made.org_name or "",
                "policy": made.policy.p or "",
                "ip": record.source_ip,
                "count": record.count,
                "disposition": record.disposition or "",
                "dkim": record.dkim_aligned or "",
                "spf": record.spf_aligned or "",
                "dmarc": "pass" if "pass" in (record.dkim_aligned, record.spf_aligned) else "fail",
                "from": record.header_from or "",
                "raw_from": record.header_from,
                "dkimDomains": [result.domain or "" for result in record.dkim],
                "reasonTypes": [reason.type or "" for reason in record.reasons],
            }
        )
