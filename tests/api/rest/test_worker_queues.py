"""The queues of workers over REST: for admins of the operator's account, for nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dmarcworks.bindings.contracts import OutgoingMessage, Settlement
from tests.support.harness import Harness

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(loop_scope="package")
async def dead(harness: Harness) -> AsyncIterator[dict[str, int]]:
    """One JSON and one bytes message that worker "jobs" gave up, by type; one that waits."""
    queues = harness.stores.queue
    await queues.send("jobs", [OutgoingMessage("json", b'{"a":1}'), OutgoingMessage("bytes", b"\x00\xff")])
    taken = await queues.receive("jobs", limit=10, lease=60)
    await queues.settle([Settlement(message, error="RuntimeError('x')", dead=True) for message in taken])
    await queues.send("jobs", [OutgoingMessage("text", b"waits")])
    yield {message.type: message.id for message in taken}
    await harness.stores.dead_letters.discard()
    await queues.settle(
        [Settlement(message, done=True) for message in await queues.receive("jobs", limit=100, lease=60)]
    )
    assert await queues.stats() == {}


async def test_state_and_dead_letters(harness: Harness, dead: dict[str, int]) -> None:
    """Counts by state; what was given up without bodies; one with its body, bytes in base64."""
    (queue,) = (await harness.get("admin", "/worker-queues"))["items"]
    assert queue.pop("oldest_seconds") >= 0
    assert queue == {"queue": "jobs", "ready": 1, "delayed": 0, "leased": 0, "dead": 2}
    items = (await harness.get("admin", "/worker-queues/dead"))["items"]
    assert {item["id"]: (item["type"], item["size"], item["attempts"], item["error"]) for item in items} == {
        dead["json"]: ("json", 7, 1, "RuntimeError('x')"),
        dead["bytes"]: ("bytes", 2, 1, "RuntimeError('x')"),
    }
    assert (await harness.get("admin", "/worker-queues/dead?queue=other"))["items"] == []
    assert len((await harness.get("admin", "/worker-queues/dead?limit=1"))["items"]) == 1
    assert (await harness.get("admin", f"/worker-queues/dead/{dead['json']}"))["body"] == '{"a":1}'
    assert (await harness.get("admin", f"/worker-queues/dead/{dead['bytes']}"))["body"] == "AP8="
    assert (await harness.request("admin", "GET", "/worker-queues/dead/999999")).status_code == 404


async def test_pages_of_dead_letters(harness: Harness, dead: dict[str, int]) -> None:
    """Page by page each once, newest first, also what died at one moment; a cursor of another list is refused."""
    queues = harness.stores.queue
    for n in range(3):
        await queues.send("jobs", [OutgoingMessage("json", str(n).encode())] * 2)
        taken = await queues.receive("jobs", limit=100, lease=60)
        await queues.settle([Settlement(message, error="x", dead=True) for message in taken])
    expected = [letter.id for letter in await harness.stores.dead_letters.dead()]
    assert len(expected) == 9  # with the one that waited
    found: list[int] = []
    cursor = ""
    for size in (2, 2, 2, 2, 1):
        page = await harness.get("admin", f"/worker-queues/dead?limit=2&cursor={cursor}")
        assert len(page["items"]) == size
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert found == expected
    wrong = (await harness.get("admin", "/audit?limit=1"))["next"]
    assert (await harness.request("admin", "GET", f"/worker-queues/dead?cursor={wrong}")).status_code == 400


async def test_delivered_again_and_removed(harness: Harness, dead: dict[str, int]) -> None:
    """Each once, then it is 404; the audit log has both with the token."""
    for action, kind in (("retry", "json"), ("discard", "bytes")):
        path = f"/worker-queues/dead/{dead[kind]}/{action}"
        answer = await harness.request("admin", "POST", path)
        assert (answer.status_code, answer.json()["id"]) == (200, dead[kind])
        assert (await harness.request("admin", "POST", path)).status_code == 404
    (queue,) = (await harness.get("admin", "/worker-queues"))["items"]
    assert (queue["ready"], queue["dead"]) == (2, 0)
    lines = (await harness.get("admin", "/audit?action=worker_queue"))["items"]
    assert [(line["action"], line["target"], line["actor"]) for line in lines[:2]] == [
        ("worker_queue.discard", str(dead["bytes"]), "token"),
        ("worker_queue.retry", str(dead["json"]), "token"),
    ]


@pytest.mark.parametrize("who", ["read", "write", "limited", "limited admin", "theirs"])
async def test_nobody_else(harness: Harness, dead: dict[str, int], who: str) -> None:
    """Another scope, a token for some domains, another account's admin: 403 on every route, and nothing changes."""
    number = dead["json"]
    for method, path in (
        ("GET", ""),
        ("GET", "/dead"),
        ("GET", f"/dead/{number}"),
        ("GET", "/dead/999999"),
        ("POST", f"/dead/{number}/retry"),
        ("POST", f"/dead/{number}/discard"),
    ):
        answer = await harness.request(who, method, f"/worker-queues{path}")
        assert (answer.status_code, "RuntimeError" in answer.text) == (403, False)
    assert len((await harness.get("admin", "/worker-queues/dead"))["items"]) == 2
