"""REST over real stores and a real engine: an account with reports of every kind, a neighbour, and a worker by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.stores import Stores, opened
from dmarcworks.settings import Settings, load
from dmarcworks.wiring import server as composition
from dmarcworks.wiring.smtp import environment
from dmarcworks.workers.consumer import Consumer
from tests.support.ingesting import system_consumer

CORPUS = Path(__file__).parents[2] / "corpus"
HOST = "reports.example.net"
BEGIN = 1_795_392_000


def aggregate(domain: str, report_id: str, *, org: str = "mail.example", count: int = 5, begin: int = BEGIN) -> bytes:
    """An aggregate report of two records as XML."""
    records = "".join(
        f"<record><row><source_ip>192.0.2.{n}</source_ip><count>{count}</count><policy_evaluated>"
        f"<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>"
        f"<identifiers><header_from>{domain}</header_from></identifiers><auth_results>"
        f"<dkim><domain>{domain}</domain><selector>s1</selector><result>pass</result></dkim>"
        f"<spf><domain>{domain}</domain><result>fail</result></spf></auth_results></record>"
        for n in (1, 2)
    )
    return (
        f'<?xml version="1.0"?><feedback><report_metadata><org_name>{org}</org_name><email>a@{org}</email>'
        f"<report_id>{report_id}</report_id><date_range><begin>{begin}</begin><end>{begin + 86399}</end></date_range>"
        f"</report_metadata><policy_published><domain>{domain}</domain><p>none</p></policy_published>{records}</feedback>"
    ).encode()


@dataclass
class House:
    """The whole system but its sockets."""

    settings: Settings
    stores: Stores
    analytics: Analytics
    app: FastAPI
    consumer: Consumer
    domains: dict[str, Domain] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    async def settle(self) -> None:
        """Read whatever waits."""
        while await self.consumer.once():
            pass

    async def ask(self, who: str, method: str, path: str, **options: Any) -> httpx.Response:
        """A request with that party's token."""
        headers = {"Authorization": f"Bearer {self.secrets[who]}", **options.pop("headers", {})}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://x/api/v1") as client:
            return await client.request(method, path, headers=headers, **options)

    async def get(self, who: str, path: str, **options: Any) -> Any:
        """The JSON of a GET that goes well."""
        answer = await self.ask(who, "GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def upload(self, who: str, domain: str, data: bytes, name: str = "") -> dict[str, Any]:
        """Upload and read; the upload's status."""
        answer = await self.ask(who, "POST", "/reports", params={"domain": domain, "name": name}, content=data)
        assert answer.status_code == 202, answer.text
        await self.settle()
        status: dict[str, Any] = await self.get(who, f"/uploads/{answer.json()['mail_id']}")
        return status


@asynccontextmanager
async def built(home: Path) -> AsyncIterator[House]:
    """Account "mine", the operator's, with one.example and two.example, account "theirs" with their.example."""
    settings, _ = load(
        {"DMARCWORKS_HOME": str(home), "DMARCWORKS_HOSTNAME": HOST, "DMARCWORKS_OPERATOR_ACCOUNT": "mine"}
    )
    async with opened(settings) as stores, composition.opened_analytics(settings) as analytics:
        app = composition.http_app(settings, stores, analytics, f"https://{HOST}")
        made = House(settings, stores, analytics, app, system_consumer(environment(settings, stores, analytics)))
        for name, account in (("one.example", "mine"), ("two.example", "mine"), ("their.example", "theirs")):
            made.domains[name] = await stores.accounts.add_domain(name, account)
        mine, theirs = (made.domains[name].account_id for name in ("one.example", "their.example"))
        for who, account_id, scope, domains in (
            ("read", mine, "read", None),
            ("write", mine, "write", None),
            ("admin", mine, "admin", None),
            ("limited", mine, "write", ["one.example"]),
            ("limited admin", mine, "admin", ["one.example"]),
            ("theirs", theirs, "admin", None),
        ):
            made.secrets[who], _ = await stores.accounts.create_token(account_id, scope, who, domains=domains)
        for who, name in (("write", "one.example"), ("write", "two.example"), ("theirs", "their.example")):
            for n in range(3):
                status = await made.upload(who, name, aggregate(name, f"r{n}", count=n + 1), f"r{n}.xml")
                assert status["state"] == "read", json.dumps(status)
        yield made
        await asyncio.sleep(0)
