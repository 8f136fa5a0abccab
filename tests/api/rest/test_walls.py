"""A neighbour's token and a token of one domain read nothing else and change nothing else: 404, as if it never was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dmarcworks.catalogue.activity import ActivityLine
from tests.support.harness import Harness
from tests.support.rest import aggregate

pytestmark = pytest.mark.asyncio(loop_scope="package")

NOTHING = "0" * 32


async def things(harness: Harness, who: str, domain: str) -> dict[str, str]:
    """Ids of that party's own things."""
    report = (await harness.get(who, "/reports", params={"domain": domain, "report_id": "r1"}))["items"][0]
    upload = (await harness.get(who, "/uploads", params={"domain": domain}))["items"][0]
    status = await harness.upload(who, domain, b"<feedback/>", "wall.xml")
    found = harness.domains[domain]
    users = await harness.accounts.users(found.account_id)
    if not users:
        users = [await harness.accounts.add_user(f"boss@{domain}", (await owner(harness, found.account_id)))]
    tokens = await harness.accounts.tokens(found.account_id)
    return {
        "report": report["id"],
        "upload": upload["mail_id"],
        "problem": str(status["problems"][0]["id"]),
        "domain": found.id,
        "name": found.name,
        "sender": f"self:s1._domainkey.{found.name}",
        "rua": found.rua,
        "account": found.account_id,
        "user": users[0].id,
        "token": tokens[0].id,
    }


async def owner(harness: Harness, account_id: str) -> str:
    account = await harness.accounts.account(account_id)
    assert account is not None
    return account.name


ATTACKS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/domains/{domain}", {}),
    ("GET", "/domains/{name}", {}),
    ("PATCH", "/domains/{domain}", {"json": {"enabled": False}}),
    ("PATCH", "/domains/{name}", {"json": {"enabled": False}}),
    ("GET", "/domains/{domain}/figures", {}),
    ("GET", "/domains/{name}/days", {}),
    ("GET", "/domains/{domain}/sources", {}),
    ("GET", "/domains/{name}/reporters", {}),
    ("GET", "/domains/{name}/senders", {}),
    ("GET", "/domains/{domain}/senders?format=csv", {}),
    ("GET", "/domains/{domain}/senders/{sender}", {}),
    ("GET", "/domains/{name}/senders/{sender}/addresses", {}),
    ("PUT", "/domains/{domain}/senders/{sender}/decision", {"json": {"decision": "mine"}}),
    ("DELETE", "/domains/{name}/senders/{sender}/decision", {}),
    ("GET", "/rua-addresses/{rua}", {}),
    ("PATCH", "/rua-addresses/{rua}", {"json": {"enabled": False}}),
    ("GET", "/reports?domain={domain}", {}),
    ("GET", "/reports?domain={name}", {}),
    ("GET", "/reports/{report}", {}),
    ("GET", "/reports/{report}/records", {}),
    ("GET", "/reports/{report}/policies", {}),
    ("GET", "/reports/{report}/raw", {}),
    ("POST", "/reports?domain={domain}", {"content": b"<feedback/>"}),
    ("POST", "/reports?domain={name}", {"content": b"<feedback/>"}),
    ("GET", "/uploads?domain={domain}", {}),
    ("GET", "/uploads/{upload}", {}),
    ("GET", "/problems?domain={name}", {}),
    ("GET", "/problems/{problem}", {}),
    ("GET", "/problems/{problem}/raw", {}),
    ("POST", "/problems/{problem}/retry", {}),
    ("POST", "/problems/{problem}/discard", {}),
    ("POST", "/problems/{problem}/adopt", {}),
    ("GET", "/exports/records?domain={domain}", {}),
    ("GET", "/exports/tls?domain={name}&format=parquet", {}),
    ("GET", "/exports/failures?domain={domain}&format=jsonl", {}),
]
OF_THE_ACCOUNT: list[tuple[str, str, dict[str, Any]]] = [
    ("DELETE", "/domains/{domain}", {}),
    ("GET", "/accounts/{account}", {}),
    ("GET", "/users/{user}", {}),
    ("DELETE", "/users/{user}", {}),
    ("GET", "/tokens/{token}", {}),
    ("DELETE", "/tokens/{token}", {}),
    ("POST", "/tokens", {"json": {"domains": ["{domain}"]}}),
]


def filled(options: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    if "domains" in options.get("json", {}):
        return {"json": {"domains": [ids["domain"]]}}
    return options


async def state(harness: Harness) -> tuple[Any, ...]:
    """All that an attack could have changed."""
    accounts = harness.accounts
    stats = await harness.stores.queue.stats()
    domains = await accounts.domains()
    return (
        [(d.id, d.enabled, await harness.stores.kv.get(f"dmarc:{d.rua}")) for d in domains],
        await accounts.users(),
        [token.id for token in await accounts.tokens()],
        len(await harness.stores.audit.list(limit=1000)),
        {name: counted.ready for name, counted in stats.items()},
    )


@pytest.mark.parametrize("who", ["theirs", "limited", "limited admin"])
async def test_what_is_not_yours_is_not_there(harness: Harness, who: str) -> None:
    """Every route with a stranger's id answers 404 in the very words of an id that never was, and changes nothing."""
    target = ("write", "two.example")
    ids = await things(harness, *target)
    never = {**dict.fromkeys(ids, NOTHING), "report": "0" * 64, "problem": "999999", "name": "no.example"}
    never["rua"] = f"{NOTHING}@reports.example.net"
    await harness.request(who, "GET", "/domains")
    before = await state(harness)
    attacks = [*ATTACKS, *(OF_THE_ACCOUNT if who == "theirs" else ())]
    assert len(attacks) >= 27
    for method, path, options in attacks:
        answer = await harness.request(who, method, path.format(**ids), **filled(options, ids))
        assert answer.status_code == 404, (method, path, answer.text)
        same = await harness.request(who, method, path.format(**never), **filled(options, never))
        words = answer.json()["detail"].replace(ids["domain"], NOTHING)
        assert (same.status_code, same.json()["detail"]) == (404, words), (method, path)
    assert await state(harness) == before


@pytest.mark.parametrize("who", ["limited", "limited admin"])
async def test_a_token_of_one_domain_sees_that_only(harness: Harness, who: str) -> None:
    """Lists hold its domain's things only; what concerns the whole account is refused, whatever its scope."""
    one = harness.domains["one.example"].id
    for domain in ("one.example", "two.example"):
        assert len((await harness.upload("write", domain, b"<feedback/>"))["problems"]) == 1
    assert [d["name"] for d in (await harness.get(who, "/domains"))["items"]] == ["one.example"]
    assert [a["domain"] for a in (await harness.get(who, "/rua-addresses"))["items"]] == ["one.example"]
    for path in ("/reports", "/uploads", "/problems"):
        items = (await harness.get(who, path, params={"limit": 1000}))["items"]
        assert {item["domain_id"] for item in items} == {one}, path
    lines = (await harness.request(who, "GET", "/exports/records?format=jsonl")).text.splitlines()
    assert lines
    assert all(f'"domain_id":"{one}"' in line for line in lines)
    for method, path, options in (
        ("POST", "/domains", {"json": {"name": "more.example"}}),
        ("DELETE", "/domains/one.example", {}),
        ("GET", "/users", {}),
        ("POST", "/users", {"json": {"email": "x@example.com"}}),
        ("GET", "/tokens", {}),
        ("POST", "/tokens", {"json": {}}),
        ("GET", "/audit", {}),
        ("GET", "/sql/log", {}),
    ):
        assert (await harness.request(who, method, path, **options)).status_code == 403, path
    up = await harness.request(
        who, "POST", "/reports?domain=one.example", content=aggregate("one.example", f"by {who}")
    )
    assert up.status_code == 202
    await harness.settle()


async def test_the_activity_log_has_the_same_walls(harness: Harness) -> None:
    """A token of one domain sees that domain's mails only, as lines, one by one and in the sums."""
    activity = harness.stores.routing.activity
    now = datetime.now(UTC)
    for name in ("one.example", "two.example", ""):
        domain = harness.domains.get(name)
        account, domain_id = (
            (domain.account_id, domain.id) if domain else (harness.domains["one.example"].account_id, "")
        )
        activity.note(
            ActivityLine(
                now, f"a@{name}", f"b@{name}", "192.0.2.1", 9, "", "dmarc", "handled", "250", account, domain_id
            )
        )
    await activity.flush()
    lines = (await harness.get("read", "/activity"))["activity"]
    (mine,) = (await harness.get("limited", "/activity"))["activity"]
    assert ([line["sender"] for line in lines], mine["sender"]) == (
        ["a@", "a@two.example", "a@one.example"],
        "a@one.example",
    )
    assert (await harness.get("limited", f"/activity/{mine['id']}"))["sender"] == "a@one.example"
    for line in lines[:2]:
        assert (await harness.request("limited", "GET", f"/activity/{line['id']}")).status_code == 404
    assert (await harness.get("read", "/activity/summary"))["handled"] == 3
    assert (await harness.get("limited", "/activity/summary"))["handled"] == 1
    assert (await harness.get("theirs", "/activity"))["activity"] == []
    for line in lines:
        answer = await harness.request("theirs", "GET", f"/activity/{line['id']}")
        never = await harness.request("theirs", "GET", "/activity/999999")
        assert (answer.status_code, answer.json()) == (404, never.json())


async def test_the_activity_log_answers_like_every_route(harness: Harness) -> None:
    """A tag that saves reading it again, times in UTC, and errors as problem+json."""
    wrong = await harness.request("read", "GET", "/activity?outcome=lost")
    assert (wrong.status_code, wrong.headers["content-type"]) == (400, "application/problem+json")
    assert wrong.json()["detail"] == "outcome is one of handled, replied, forwarded, dropped, rejected, failed"
    asked = "/activity/summary?since=2026-11-01T02:00:00%2B02:00&until=2026-11-02&step=43200"
    answer = await harness.request("read", "GET", asked)
    none = dict.fromkeys(("received", "handled", "replied", "forwarded", "dropped", "rejected", "failed"), 0)
    assert answer.json() == {
        "since": "2026-11-01T00:00:00+00:00",
        "until": "2026-11-02T00:00:00+00:00",
        "step": 43200,
        **none,
        "series": [{"start": f"2026-11-01T{hour}:00:00+00:00", **none} for hour in ("00", "12")],
    }
    again = await harness.request("read", "GET", asked, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_lists_of_a_neighbour_are_empty_of_ours(harness: Harness) -> None:
    """Not an id, not a name, not a secret of one account in any list or export of the other."""
    ids = await things(harness, "write", "two.example")
    for path in (
        "/accounts", "/domains", "/rua-addresses", "/users", "/tokens", "/reports?limit=1000", "/uploads", "/audit",
        "/sql/log",
        "/problems?state=open", "/exports/records", "/exports/records?format=jsonl",
    ):  # fmt: skip
        text = (await harness.request("theirs", "GET", path)).text
        assert not [value for value in ids.values() if len(value) > 12 and value in text], path
        assert "two.example" not in text
    parquet = await harness.request("theirs", "GET", "/exports/records?format=parquet")
    assert b"two.example" not in parquet.content
    assert b"their.example" in parquet.content


async def test_a_cursor_opens_no_wall(harness: Harness) -> None:
    """One account's cursor in another's hands is only a place in its own list."""
    page = await harness.get("write", "/reports", params={"limit": 1})
    theirs = await harness.get("theirs", "/reports", params={"cursor": page["next"], "limit": 1000})
    assert {item["policy_domain"] for item in theirs["items"]} <= {"their.example"}


@pytest.mark.parametrize(
    "path",
    [
        "/domains/' OR 1=1 --",
        "/domains/%00",
        "/reports?org_name=' OR ''='",
        "/reports?report_id=%00",
        "/reports?domain=../their.example",
        "/problems?reason=%27%3B--",
        "/audit?action=%25",
        "/rua-addresses/%25",
        "/exports/records?domain=' OR 1=1",
        "/exports/dmarc_reports",
        "/domains/one.example/sources?order=account_id",
        "/domains/one.example/figures?first=0001-01-01&last=9999-12-31",
        "/domains/one.example/figures?last=0001-01-01",
        "/domains/one.example/figures?first=9999-12-31",
        "/reports?cursor=WyJyZXBvcnRzIixOYU4sIiJd",
        "/problems/99999999999999999999",
        "/activity/99999999999999999999",
        "/activity/-99999999999999999999",
        "/activity?before=99999999999999999999",
        "/activity?before=-1",
        "/activity?q=%00%25'",
        "/activity?since=0001-01-01T00:00:00%2B14:00",
        "/activity?until=9999-12-31T23:59:59-14:00",
        "/activity/summary?until=0001-01-01",
        "/activity/summary?since=9999-12-30&until=9999-12-31T23:59:59",
        "/activity/summary?step=99999999999999999999",
    ],
)
async def test_odd_parameters_break_nothing(harness: Harness, path: str) -> None:
    """They find nothing or are refused; never an error of ours, never a neighbour's line."""
    answer = await harness.request("admin", "GET", path)
    assert answer.status_code in (200, 400, 404, 422), answer.text
    assert "their.example" not in answer.text
