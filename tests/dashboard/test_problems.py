"""What a person does about a problem: only their own, only with the form's token, and told in words what came of it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.catalogue.problems import ProblemRow
from tests.support.harness import Harness
from tests.support.pages import EVIL

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(loop_scope="package")
async def problem(harness: Harness) -> AsyncIterator[ProblemRow]:
    """A problem of the account; gone from its list afterwards."""
    user = await harness.accounts.user("a@example.com")
    assert user is not None
    domain = (await harness.accounts.domains(user.account_id))[0]
    await harness.objects.put("inbox/2026/11/24/p.eml", b"raw")
    number = await harness.problems.add(
        account_id=domain.account_id,
        domain_id=domain.id,
        mail_id="p",
        reason="other_xml",
        where=EVIL,
        detail=f"detail {EVIL}",
        object_key="inbox/2026/11/24/p.eml",
    )
    row = await harness.problems.get(None, number)
    assert row is not None
    yield row
    await harness.problems.close(number)


async def token(client: httpx.AsyncClient, path: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', (await client.get(path)).text)
    assert found
    return found[1]


async def test_a_problem_has_a_page(client: httpx.AsyncClient, problem: ProblemRow) -> None:
    """Reason in words, detail, place; a stranger's text is text."""
    page = (await client.get(f"/problems/{problem.id}")).text
    assert "&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert f"Number {problem.id} · open" in page
    assert "Reprocess" in page


async def test_a_click_queues_the_mail_once(harness: Harness, client: httpx.AsyncClient, problem: ProblemRow) -> None:
    """It is being read again, said so, with who asked; the mail is in the queue with its own id."""
    path = f"/problems/{problem.id}"
    answer = await client.post(f"{path}/retry", data={"csrf": await token(client, path)})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = (await client.get(path)).text
    assert "Its mail is being reprocessed." in page
    assert "a@example.com" in page
    assert "Reprocess</button>" not in page
    queued = [json.loads(message.body) for message in await harness.stores.queue.receive(SYSTEM_QUEUE, limit=100)]
    assert [(body["mail_id"], body["again"]) for body in queued if body["mail_id"] == "p"] == [("p", True)]
    refused = await client.post(f"{path}/discard", data={"csrf": await token(client, "/problems")})
    assert refused.status_code == 409


async def test_discarding_asks_first(harness: Harness, client: httpx.AsyncClient, problem: ProblemRow) -> None:
    """The link leads to a page that asks; the form keeps row and raw mail."""
    path = f"/problems/{problem.id}/discard"
    assert "Discard problem" in (await client.get(path)).text
    answer = await client.post(path, data={"csrf": await token(client, path)})
    assert answer.status_code == 303
    page = (await client.get(f"/problems/{problem.id}")).text
    assert "Discarded by a@example.com" in page
    assert (await client.get(f"/problems/{problem.id}/raw")).content == b"raw"
    assert "discarded" in (await client.get("/problems?state=discarded")).text
    assert f'href="/problems/{problem.id}"' in (await client.get("/problems?state=discarded")).text
    assert f'href="/problems/{problem.id}"' not in (await client.get("/problems")).text


@pytest.mark.parametrize("act", ["retry", "adopt", "discard"])
async def test_without_the_forms_token_or_by_another_account_nothing_changes(
    harness: Harness, client: httpx.AsyncClient, problem: ProblemRow, act: str
) -> None:
    """403 without the token; 404 for whoever is not its owner."""
    assert (await client.post(f"/problems/{problem.id}/{act}", data={"csrf": "x"})).status_code == 403
    async with await harness.logged_in("b@example.org") as neighbour:
        csrf = await token(neighbour, "/problems")
        answer = await neighbour.post(f"/problems/{problem.id}/{act}", data={"csrf": csrf})
    assert answer.status_code == 404
    row = await harness.problems.get(None, problem.id)
    assert row is not None
    assert row.state == "open"


async def test_what_cannot_be_adopted_is_said(client: httpx.AsyncClient, problem: ProblemRow) -> None:
    """Only a report about another domain can."""
    csrf = await token(client, "/problems")
    answer = await client.post(f"/problems/{problem.id}/adopt", data={"csrf": csrf})
    assert answer.status_code == 409
    assert "is not about a report of another domain" in answer.text


async def test_all_of_a_reason_are_read_again(harness: Harness, client: httpx.AsyncClient, problem: ProblemRow) -> None:
    """The list filters by reason; its button takes those up and tells how many."""
    page = (await client.get("/problems?reason=other_xml")).text
    assert f'href="/problems/{problem.id}"' in page
    assert "A reason from later</b>" not in page
    csrf = await token(client, "/problems")
    answer = await client.post("/problems/retry", data={"csrf": csrf, "reason": "other_xml"})
    assert answer.headers["location"] == "/problems?reason=other_xml&queued=1"
    assert "1 mail is queued for reprocessing" in (await client.get(answer.headers["location"])).text
    await harness.objects.delete(problem.object_key)
    await harness.problems.reopen_mail("p")
    answer = await client.post("/problems/retry", data={"csrf": csrf, "reason": "other_xml"})
    assert (
        "1 cannot be reprocessed: the mail or its domain no longer exists."
        in (await client.get(answer.headers["location"])).text
    )


async def test_T12_other_mail_has_a_list_of_its_own(harness: Harness, client: httpx.AsyncClient) -> None:
    """Not among the open problems; a notice that a report was too large is on its domain's page; all can be let go."""
    domain = await harness.accounts.domain(None, "example.com")
    assert domain is not None
    numbers = [
        await harness.problems.add(
            account_id=domain.account_id, domain_id=domain.id, mail_id=f"o-{reason}", reason=reason, where="mail",
            detail=f"big.example: {reason} {EVIL}", object_key="inbox/2026/11/24/p.eml", state="other",
        )
        for reason in ("report_too_large", "auto_reply")
    ]  # fmt: skip
    assert "auto_reply &lt;" not in (await client.get("/problems")).text
    page = (await client.get("/problems?state=other")).text
    assert "This is an automatic reply or a read receipt, not a report" in page
    assert "auto_reply &lt;script&gt;" in page
    assert "Other mail: not a report." in (await client.get(f"/problems/{numbers[1]}")).text
    shown = (await client.get("/domains/example.com")).text
    assert "A report was too large to be sent." in shown
    assert "auto_reply" not in shown
    csrf = await token(client, "/problems?state=other")
    answer = await client.post("/problems/discard-other", data={"csrf": csrf, "reason": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/problems?state=other")
    assert "No other mail has arrived" in (await client.get("/problems?state=other")).text
    assert "A report was too large to be sent." not in (await client.get("/domains/example.com")).text
