"""REST over real stores and a real engine: an account with reports of every kind, a neighbour, and a worker by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dmarcworks.wiring.http import http_app
from tests.support.harness import HOST, Harness, opened_harness

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


@asynccontextmanager
async def built(path: Path) -> AsyncIterator[Harness]:
    """Account "mine", the operator's, with one.example and two.example, account "theirs" with their.example."""
    async with opened_harness(path, operator_account="mine") as made:
        made.app = http_app(made.settings, made.stores, made.analytics, f"https://{HOST}")
        for name, account in (("one.example", "mine"), ("two.example", "mine"), ("their.example", "theirs")):
            await made.add_domain(name, account)
        mine, theirs = (made.domains[name].account_id for name in ("one.example", "their.example"))
        for who, account_id, scope, domains in (
            ("read", mine, "read", None),
            ("write", mine, "write", None),
            ("admin", mine, "admin", None),
            ("limited", mine, "write", ["one.example"]),
            ("limited admin", mine, "admin", ["one.example"]),
            ("theirs", theirs, "admin", None),
        ):
            made.secrets[who], _ = await made.accounts.create_token(account_id, scope, who, domains=domains)
        for who, name in (("write", "one.example"), ("write", "two.example"), ("theirs", "their.example")):
            for n in range(3):
                status = await made.upload(who, name, aggregate(name, f"r{n}", count=n + 1), f"r{n}.xml")
                assert status["state"] == "read", json.dumps(status)
        yield made
        await asyncio.sleep(0)
