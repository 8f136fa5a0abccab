"""A token that is limited to some domains reads no other domain of its account over SQL, however it asks."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_token_of_some_domains_reads_no_other(tenants: Any) -> None:
    """The wall names the domains too: by table, sub-query, JOIN and WITH nothing of another domain is seen or told."""
    mine = tenants.mine.account_id
    other = await tenants.accounts.add_domain("limited.example", account="mine")
    secret, _ = await tenants.accounts.create_token(mine, domains=[other.id])
    limited = dataclasses.replace(tenants.mine, token=secret)
    count = "SELECT count() AS n FROM dmarc_reports"
    assert (await tenants.mine.ask(count)).json()["data"] == [{"n": 2}]
    for statement in (
        count,
        f"SELECT n FROM ({count})",
        "SELECT count() AS n FROM dmarc_reports AS a JOIN dmarc_reports AS b ON a.report_key = b.report_key",
        "WITH x AS (SELECT * FROM dmarc_reports) SELECT count() AS n FROM x",
        "SELECT count() AS n FROM dmarc_reports WHERE domain_id = '" + "d" * 32 + "' OR 1 = 1",
    ):
        assert (await limited.ask(statement)).json()["data"] == [{"n": 0}], statement
    points = "SELECT count() AS n FROM data_points"
    assert (await tenants.mine.ask(points)).json()["data"] == [{"n": 2}]
    assert (await limited.ask(points)).json()["data"] == [{"n": 0}]
    probe = await limited.ask("SELECT intDiv(1, toUInt8(org_name = '7') - 1) FROM dmarc_reports")
    assert (probe.status_code, probe.json()["data"]) == (200, [])
    wrong = await limited.ask("SELECT nope(domain) FROM dmarc_reports GROUP BY count")
    assert other.id not in wrong.text
    await tenants.accounts.remove_domain(other)
    assert (await limited.ask(count)).json()["data"] == [{"n": 0}]
