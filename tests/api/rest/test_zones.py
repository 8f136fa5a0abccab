"""The path that the original's clients call, in its envelope: GET and PATCH of a zone's DMARC reports."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.harness import Harness

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def call(harness: Harness, who: str, method: str, zone: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(harness.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        path = f"/client/v4/zones/{zone}/email/security/dmarc-reports"
        return await client.request(
            method, path, headers={"Authorization": f"Bearer {harness.secrets[who]}"}, **options
        )


async def test_a_zone_is_shown_and_switched(harness: Harness) -> None:
    """Disabled: mail for its address is refused and nothing is deleted; enabled: the same address again."""
    domain = harness.domains["two.example"]
    shown = await call(harness, "read", "GET", domain.id)
    body = shown.json()
    assert (shown.status_code, body["success"], body["errors"], body["messages"]) == (200, True, [], [])
    assert (body["result"]["enabled"], body["result"]["rua"]) == (True, domain.rua)
    assert body["result"]["tag"] == domain.rua.partition("@")[0]
    off = await call(harness, "write", "PATCH", domain.id, json={"enabled": False})
    assert (off.status_code, off.json()["result"]["enabled"]) == (200, False)
    assert await harness.stores.kv.get(f"dmarc:{domain.rua}") is None
    assert (await harness.get("read", "/domains/two.example/figures", params={"first": "2026-11-01"}))["messages"] == 12
    on = await call(harness, "write", "PATCH", domain.id, json={"enabled": True})
    assert on.json()["result"] == body["result"]
    assert await harness.stores.kv.get(f"dmarc:{domain.rua}") is not None


async def test_refusals_stand_in_the_envelope(harness: Harness) -> None:
    """No token 401, read only 403, another's zone or a name 404, no body 400."""
    domain, other = harness.domains["two.example"], harness.domains["their.example"]
    harness.secrets["nobody"] = "x"
    for who, method, zone, options, status in (
        ("nobody", "GET", domain.id, {}, 401),
        ("read", "PATCH", domain.id, {"json": {"enabled": False}}, 403),
        ("write", "GET", other.id, {}, 404),
        ("limited", "PATCH", domain.id, {"json": {"enabled": False}}, 404),
        ("write", "GET", "two.example", {}, 404),
        ("write", "GET", "0" * 32, {}, 404),
        ("write", "PATCH", domain.id, {}, 400),
        ("write", "PATCH", domain.id, {"json": {"enabled": "no"}}, 400),
        ("write", "PATCH", domain.id, {"json": [1]}, 400),
        ("write", "PATCH", domain.id, {"content": b"[" * 70_000}, 413),
    ):
        answer = await call(harness, who, method, zone, **options)
        body = answer.json()
        assert (answer.status_code, body["success"], body["result"]) == (status, False, None), (who, zone)
        assert isinstance(body["errors"][0]["code"], int)
        assert body["errors"][0]["message"]
    assert await harness.stores.kv.get(f"dmarc:{domain.rua}") is not None
