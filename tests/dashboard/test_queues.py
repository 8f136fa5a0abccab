"""The queues of workers: who runs the system sees state and dead letters and sees to them; others see nothing of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from dmarcworks.bindings.contracts import SYSTEM_QUEUE, OutgoingMessage, Settlement
from dmarcworks.bindings.queue import SqlQueue
from dmarcworks.bindings.sqlite_stores import SqliteQueue
from dmarcworks.dashboard.format import duration
from tests.support.harness import Harness
from tests.support.pages import EVIL

pytestmark = pytest.mark.asyncio(loop_scope="package")
EMPTY = "The queues are empty."


@pytest_asyncio.fixture(loop_scope="package")
async def queues(harness: Harness) -> AsyncIterator[SqlQueue]:
    """Queue "mine": one of each state, two given up (JSON and bytes); "old": one given up, and no worker."""
    made = SqliteQueue(harness.stores.database, harness.clock)
    await made.send(
        "mine", [OutgoingMessage("json", f'{{"subject": "{EVIL}"}}'.encode()), OutgoingMessage("bytes", b"\x00\xff")]
    )
    await die(made, "mine", f"RuntimeError('{EVIL}')")
    await made.send("old", [OutgoingMessage("text", b"one\nline\x00")])
    await die(made, "old", "gone")
    await made.send("mine", [OutgoingMessage("text", b"in hand")])
    await made.receive("mine", limit=1, lease=600)
    harness.clock.now += 90
    await made.send("mine", [OutgoingMessage("text", b"waits"), OutgoingMessage("text", b"later", delay=300)])
    yield made
    harness.clock.now -= 90
    await made.discard()
    for name in ("mine", "old"):
        harness.clock.now += 1000
        while messages := await made.receive(name, limit=100, lease=60):
            await made.settle([Settlement(message, done=True) for message in messages])
        harness.clock.now -= 1000
    # The system's own queue holds what the tests of problems reprocess.
    assert set(await made.stats()) <= {SYSTEM_QUEUE}


async def die(queues: SqlQueue, queue: str, error: str) -> None:
    taken = await queues.receive(queue, limit=10, lease=60)
    await queues.settle([Settlement(message, error=error, dead=True) for message in taken])


async def ids(queues: SqlQueue) -> dict[str, int]:
    return {f"{letter.queue} {letter.type}": letter.id for letter in await queues.dead()}


async def token(client: httpx.AsyncClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get("/queues")).text)
    assert found
    return found[1]


async def test_nothing_there_says_what_to_do(client: httpx.AsyncClient) -> None:
    """The empty page names the call, the setting and the way to a rule; the mail page leads to it."""
    page = (await client.get("/queues")).text
    assert EMPTY in page
    assert "DMARCWORKS_WORKERS" in page
    assert 'href="/routing"' in page
    assert 'href="/queues"' in (await client.get("/activity")).text


async def test_every_state_is_told(client: httpx.AsyncClient, queues: SqlQueue) -> None:
    """Numbers by queue, a name without a worker, what was given up with its reason; a stranger's text is text."""
    page = (await client.get("/queues")).text
    rows = {
        name: re.findall(r'<td class="num[^"]*">(.*?)</td>', row)
        for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
        for name in re.findall(r'href="/queues\?queue=(\w+)"', row)
    }
    assert rows == {
        "mine": [
            '1 <span class="kind narrow">1 delayed</span>',
            "1",
            "1",
            '<span class="tag bad">2</span>',
            "1 min",
        ],
        "old": ["0", "0", "0", '<span class="tag bad">1</span>', '<span class="soft">–</span>'],
    }
    assert page.count("no worker of this name is running") == 1
    assert EVIL not in page
    assert page.count("RuntimeError(&#39;&lt;script&gt;alert(1)&lt;/script&gt;&#39;)") == 2
    assert "2 bytes" in page
    only = (await client.get("/queues?queue=old")).text
    assert "<b>gone</b>" in only
    assert "RuntimeError" not in only
    assert EMPTY not in (await client.get(f"/queues?queue={EVIL}")).text


async def test_one_is_shown_whole(client: httpx.AsyncClient, queues: SqlQueue) -> None:
    """Its error, its times and its body, as text or as a download; what is no such message is 404."""
    known = await ids(queues)
    page = (await client.get(f"/queues/{known['mine json']}")).text
    assert "{&#34;subject&#34;: &#34;&lt;script&gt;alert(1)&lt;/script&gt;&#34;}" in page
    assert EVIL not in page
    assert "Failed permanently after 1 attempt." in page
    assert "one\nline\ufffd" in (await client.get(f"/queues/{known['old text']}")).text
    raw = await client.get(f"/queues/{known['mine bytes']}/raw")
    assert raw.content == b"\x00\xff"
    assert raw.headers["content-type"] == "application/octet-stream"
    assert raw.headers["content-disposition"] == f'attachment; filename="message-{known["mine bytes"]}"'
    for wrong in ("0", "999999", "9" * 18, "9" * 30, "x", "-1", "%00"):
        assert (await client.get(f"/queues/{wrong}")).status_code == 404


async def test_one_is_delivered_again(harness: Harness, client: httpx.AsyncClient, queues: SqlQueue) -> None:
    """It is ready with all its tries, the page says so, and the audit log has the line; a second click is 404."""
    known = await ids(queues)
    path = f"/queues/{known['old text']}/retry"
    answer = await client.post(path, data={"csrf": await token(client)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/queues?again=1")
    assert "1 message requeued with a fresh retry count." in (await client.get("/queues?again=1")).text
    assert (await queues.stats())["old"].ready == 1
    (line,) = await harness.stores.audit.list(action="worker_queue", limit=1)
    assert (line.action, line.target, line.actor, line.name) == (
        "worker_queue.retry",
        str(known["old text"]),
        "user",
        "a@example.com",
    )
    assert "Worker queue message requeued" in (await client.get("/audit")).text
    again = await client.post(path, data={"csrf": await token(client)})
    assert (again.status_code, "it was handled already" in again.text) == (404, True)


async def test_removing_asks_first(harness: Harness, client: httpx.AsyncClient, queues: SqlQueue) -> None:
    """The link asks and removes nothing; the button removes this one, and the log has the line."""
    known = await ids(queues)
    path = f"/queues/{known['mine bytes']}/discard"
    page = (await client.get(path)).text
    assert f"Delete message {known['mine bytes']}?" in page
    assert await ids(queues) == known
    answer = await client.post(path, data={"csrf": await token(client)})
    assert answer.headers["location"] == "/queues?gone=1"
    assert "1 message deleted permanently." in (await client.get("/queues?gone=1")).text
    del known["mine bytes"]
    assert await ids(queues) == known
    (line,) = await harness.stores.audit.list(action="worker_queue", limit=1)
    assert (line.action, line.name) == ("worker_queue.discard", "a@example.com")


async def test_all_of_a_queue_at_once(client: httpx.AsyncClient, queues: SqlQueue) -> None:
    """Delivered again or, after being asked, removed: those of the named queue only."""
    asked = (await client.get("/queues/discard?queue=mine")).text
    assert "Delete 2 messages of mine?" in asked
    answer = await client.post("/queues/discard", data={"csrf": await token(client), "queue": "mine"})
    assert answer.headers["location"] == "/queues?queue=mine&gone=2"
    assert list(await ids(queues)) == ["old text"]
    answer = await client.post("/queues/retry", data={"csrf": await token(client), "queue": ""})
    assert answer.headers["location"] == "/queues?again=1"
    assert await ids(queues) == {}


async def test_others_see_nothing_and_change_nothing(
    harness: Harness, client: httpx.AsyncClient, queues: SqlQueue
) -> None:
    """Another account's user: 403 and no link; without the form's token: 403; logged out: to the login."""
    known = await ids(queues)
    number = known["mine json"]
    gets = ["/queues", "/queues/discard", f"/queues/{number}", f"/queues/{number}/raw", f"/queues/{number}/discard"]
    posts = ["/queues/retry", "/queues/discard", f"/queues/{number}/retry", f"/queues/{number}/discard"]
    async with await harness.logged_in("b@example.org") as neighbour:
        found = re.search(r'name="csrf" value="([^"]+)"', (await neighbour.get("/problems")).text)
        assert found
        for path in gets:
            answer = await neighbour.get(path)
            assert (answer.status_code, "This page is for the operators of the system." in answer.text) == (403, True)
            assert "RuntimeError" not in answer.text
        for path in posts:
            assert (await neighbour.post(path, data={"csrf": found[1], "queue": ""})).status_code == 403
        assert "/queues" not in (await neighbour.get("/activity")).text
    for path in posts:
        assert (await client.post(path, data={"csrf": "x"})).status_code == 403
    async with harness.client() as stranger:
        assert (await stranger.get("/queues")).headers["location"] == "/login?next=%2Fqueues"
    assert await ids(queues) == known


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (172_800, "2 days")]
)
async def test_a_time_that_has_passed(seconds: float, words: str) -> None:
    assert duration(seconds) == words
