"""The GraphQL page: asks as who is logged in, with and without scripts, and shows what strangers wrote as text."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from dmarcworks.dashboard.pages.graphql_examples import EXAMPLES
from tests.support.harness import Harness
from tests.support.pages import EVIL

pytestmark = pytest.mark.asyncio(loop_scope="package")

QUERY = "query($a: string!) { viewer { accounts(filter: {accountTag: $a}) { domains(limit: 9) { name } dmarcReportsSourcesAdaptiveGroups(limit: 1, orderBy: [count_DESC]) { sum { totalMatchingMessages } } } } }"  # noqa: E501


def token(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


async def test_a_form_asks_as_who_is_logged_in(harness: Harness) -> None:
    """The neighbour's page answers with the neighbour's figures, and mine are refused there."""
    for email, name in (("a@example.com", "default"), ("b@example.org", "neighbour")):
        account = await harness.accounts.account_by_name(name)
        domains = [domain.name for domain in await harness.accounts.domains(account.id)]
        async with await harness.logged_in(email) as client:
            csrf = token((await client.get("/graphql")).text)
            form = {"csrf": csrf, "query": QUERY, "variables": json.dumps({"a": account.id})}
            answer = await client.post("/graphql", data=form, headers={"Accept": "application/json"})
            assert answer.headers["content-type"] == "application/json"
            (found,) = answer.json()["data"]["viewer"]["accounts"]
            assert [domain["name"] for domain in found["domains"]] == domains
            other = await harness.accounts.account_by_name("neighbour" if name == "default" else "default")
            form["variables"] = json.dumps({"a": other.id})
            answer = await client.post("/graphql", data=form, headers={"Accept": "application/json"})
            assert (answer.status_code, answer.json()["errors"][0]["message"]) == (
                403,
                "not authorized for that account",
            )


async def test_without_scripts_the_answer_is_in_the_page(harness: Harness) -> None:
    """The same form as a page: the answer indented, a stranger's markup as text, the question still there."""
    account = await harness.accounts.account_by_name("default")
    query = f'{{ viewer {{ accounts(filter: {{accountTag: "{account.id}"}}) {{ reports(limit: 1, filter: {{reporter_like: "%script%"}}) {{ reporter }} }} }} }}'  # noqa: E501
    async with await harness.logged_in("a@example.com") as client:
        csrf = token((await client.get("/graphql")).text)
        page = (await client.post("/graphql", data={"csrf": csrf, "query": query, "variables": ""})).text
        assert EVIL not in page
        shown = re.search(r'<pre id="answer"[^>]*>(.*?)</pre>', page, re.DOTALL)
        assert shown
        answer = json.loads(unescape(shown[1]))
        assert answer["data"]["viewer"]["accounts"][0]["reports"] == [{"reporter": EVIL}]
        assert query in unescape(page)
        wrong = await client.post("/graphql", data={"csrf": csrf, "query": "{ nope }", "variables": "no JSON"})
        assert wrong.status_code == 400
        assert "error parsing variables: it is not JSON" in wrong.text


async def test_every_example_answers_with_data(harness: Harness) -> None:
    async with await harness.logged_in("a@example.com") as client:
        for example in EXAMPLES:
            page = (await client.get("/graphql", params={"example": example.key})).text
            texts = [unescape(text) for text in re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)]
            form = {"csrf": token(page), "query": texts[0], "variables": texts[1]}
            answer = await client.post("/graphql", data=form, headers={"Accept": "application/json"})
            assert answer.status_code == 200, answer.text
            assert answer.json()["errors"] is None


async def test_no_form_from_elsewhere_asks(harness: Harness) -> None:
    """Without the form's token, from another site, or logged out: nothing is asked."""
    async with await harness.logged_in("a@example.com") as client:
        csrf = token((await client.get("/graphql")).text)
        for headers, given in (({}, ""), ({}, "0" * 64), ({"Sec-Fetch-Site": "cross-site"}, csrf)):
            form = {"csrf": given, "query": "{ viewer { budget } }", "variables": ""}
            answer = await client.post("/graphql", data=form, headers={"Accept": "application/json", **headers})
            assert answer.status_code == 403
            assert "budget" not in answer.text
    async with harness.client() as client:
        answer = await client.post("/graphql", data={"query": "{ viewer { budget } }"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert (await client.get("/graphql")).headers["location"] == "/login?next=%2Fgraphql"
