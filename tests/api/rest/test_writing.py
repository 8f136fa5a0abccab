"""What a program changes over REST is changed once, for its own account, with a line in the audit log."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from dmarcworks.catalogue import api_tables
from dmarcworks.catalogue.idempotency import Idempotency
from tests.support.harness import Harness
from tests.support.rest import HOST, aggregate

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def changes(harness: Harness, action: str) -> list[tuple[str, str, str]]:
    """Who did it, to what, from where; newest first."""
    page = await harness.get("admin", "/audit", params={"action": action})
    return [(entry["actor"], entry["target"], entry["peer"]) for entry in page["items"]]


async def test_a_domain_is_added_switched_and_removed(harness: Harness) -> None:
    """201 with its address; PATCH closes the gate and opens it; DELETE forgets it; a name is taken once."""
    made = await harness.request("write", "POST", "/domains", json={"name": "New.Example."})
    assert made.status_code == 201, made.text
    domain = made.json()
    assert (domain["name"], domain["enabled"], domain["rua"].partition("@")[2]) == ("new.example", True, HOST)
    assert domain["records"][0]["value"] == f"v=DMARC1; p=none; rua=mailto:{domain['rua']}"
    assert made.headers["location"] == f"/api/v1/domains/{domain['id']}"
    assert (await harness.request("read", "GET", "/domains/new.example")).headers["etag"] == made.headers["etag"]
    for taken in ("new.example", "their.example"):
        assert (await harness.request("write", "POST", "/domains", json={"name": taken})).status_code == 409
    assert (await harness.request("write", "POST", "/domains", json={"name": "no domain"})).status_code == 400
    off = await harness.request("write", "PATCH", "/domains/new.example", json={"enabled": False})
    assert off.json()["enabled"] is False
    assert await harness.stores.kv.get(f"dmarc:{domain['rua']}") is None
    rua = await harness.get("read", f"/rua-addresses/{domain['rua']}")
    about = {"domain_id": domain["id"], "domain": "new.example", "enabled": False}
    assert rua == {"address": domain["rua"], "current": True, **about}
    on = await harness.request("write", "PATCH", f"/rua-addresses/{domain['rua']}", json={"enabled": True})
    assert on.json()["enabled"] is True
    assert await harness.stores.kv.get(f"dmarc:{domain['rua']}") is not None
    assert (await harness.request("write", "DELETE", f"/domains/{domain['id']}")).status_code == 204
    assert (await harness.request("read", "GET", "/domains/new.example")).status_code == 404
    for action in ("domain.add", "domain.disable", "domain.enable", "domain.remove"):
        actor, target, peer = (await changes(harness, action))[0]
        assert (actor, target, peer) == ("token", "new.example", "127.0.0.1")


async def test_a_write_on_what_has_changed_is_refused(harness: Harness) -> None:
    """If-Match with the tag that was read goes through, an older one is 412 and changes nothing."""
    await harness.request("write", "POST", "/domains", json={"name": "match.example"})
    tag = (await harness.request("read", "GET", "/domains/match.example")).headers["etag"]
    for wrong in ('"x"', f"W/{tag}"):
        answer = await harness.request(
            "write", "PATCH", "/domains/match.example", json={"enabled": False}, headers={"If-Match": wrong}
        )
        assert (answer.status_code, answer.json()["title"]) == (412, "Precondition Failed")
    first = await harness.request(
        "write", "PATCH", "/domains/match.example", json={"enabled": False}, headers={"If-Match": f'"y", {tag}'}
    )
    assert first.status_code == 200
    late = await harness.request("write", "DELETE", "/domains/match.example", headers={"If-Match": tag})
    assert late.status_code == 412
    newest = first.headers["etag"]
    assert (
        await harness.request("write", "DELETE", "/domains/match.example", headers={"If-Match": newest})
    ).status_code == 204


async def test_what_is_kept_of_a_request_tells_nothing_about_its_body(harness: Harness) -> None:
    """A body may hold a password: the digest is keyed with the token, so that it cannot be guessed from the store."""
    for scope in ("write", "admin"):
        same = {"json": {"enabled": True}, "headers": {"Idempotency-Key": "k-secret"}}
        answer = await harness.request(scope, "PATCH", "/domains/one.example", **same)
        assert answer.status_code == 200
    table = api_tables.idempotency
    async with harness.stores.database.read() as connection:
        statement = select(table.c.digest).where(table.c.key == "k-secret")
        digests = set((await connection.execute(statement)).scalars())
    assert len(digests) == 2


async def test_a_write_with_a_key_is_done_once(harness: Harness) -> None:
    """Sent again: the same answer, nothing done; another body: 422; another token's same key is another key."""
    key = {"Idempotency-Key": "k-1"}
    first = await harness.request("write", "POST", "/domains", json={"name": "once.example"}, headers=key)
    second = await harness.request("write", "POST", "/domains", json={"name": "once.example"}, headers=key)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert (second.headers["idempotency-replayed"], second.headers["location"]) == ("true", first.headers["location"])
    assert [target for _, target, _ in await changes(harness, "domain.add")].count("once.example") == 1
    other = await harness.request("write", "POST", "/domains", json={"name": "twice.example"}, headers=key)
    assert (other.status_code, other.json()["detail"]) == (422, "this Idempotency-Key was used for another request")
    elsewhere = await harness.request("admin", "POST", "/domains", json={"name": "twice.example"}, headers=key)
    assert elsewhere.status_code == 201
    failed = await harness.request(
        "write", "POST", "/domains", json={"name": "nope"}, headers={"Idempotency-Key": "k-2"}
    )
    retried = await harness.request(
        "write", "POST", "/domains", json={"name": "yes.example"}, headers={"Idempotency-Key": "k-2"}
    )
    assert (failed.status_code, retried.status_code) == (400, 201)
    for wrong in ("", "x" * 256):
        answer = await harness.request(
            "write", "POST", "/domains", json={"name": "z.example"}, headers={"Idempotency-Key": wrong}
        )
        assert answer.status_code == 422


async def test_an_upload_with_a_key_is_taken_once(harness: Harness) -> None:
    """Ten at once and one after: one mail."""
    data, key = aggregate("one.example", "key-upload"), {"Idempotency-Key": "u-1"}

    async def send() -> Any:
        return await harness.request("write", "POST", "/reports?domain=one.example", content=data, headers=key)

    answers = await asyncio.gather(*(send() for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    last = await send()
    ids = {answer.json()["mail_id"] for answer in (*answers, last) if answer.status_code == 202}
    assert len(ids) == 1
    await harness.settle()
    status = await harness.get("read", f"/uploads/{ids.pop()}")
    assert [found["new"] for found in status["reports"]] == [True]
    uploads = (await harness.get("read", "/uploads", params={"limit": 1000}))["items"]
    assert len([upload for upload in uploads if upload["mail_id"] == status["mail_id"]]) == 1


async def test_keys_are_kept_for_a_day_and_taken_over_when_their_write_died(harness: Harness) -> None:
    """A key without an answer is running for a minute, then free to the same request; after 24 hours all are."""
    now = [1_800_000_000.0]
    keys = Idempotency(harness.stores.database, clock=lambda: now[0])
    assert (await keys.begin("t", "k", "d")).outcome == "new"
    assert (await keys.begin("t", "k", "d")).outcome == "running"
    assert (await keys.begin("t", "k", "e")).outcome == "other"
    now[0] += 61
    assert (await keys.begin("t", "k", "d")).outcome == "new"
    await keys.finish("t", "k", 201, {"etag": '"a"'}, b"{}")
    done = await keys.begin("t", "k", "d")
    assert (done.outcome, done.status, done.headers, done.body) == ("done", 201, {"etag": '"a"'}, b"{}")
    now[0] += 24 * 3600
    assert (await keys.begin("t", "k", "e")).outcome == "new"
    await keys.forget("t", "k")
    assert (await keys.begin("t", "k", "f")).outcome == "new"
    await keys.forget("t", "k")


async def test_a_token_is_told_once_and_ends_at_once(harness: Harness) -> None:
    """The secret stands in the first answer only: not in a repeated one, the list, the log or the database."""
    key = {"Idempotency-Key": "t-1"}
    body = {"name": "export", "scope": "read", "domains": ["one.example"], "expires": "2099-01-01T00:00:00Z"}
    made = await harness.request("admin", "POST", "/tokens", json=body, headers=key)
    assert made.status_code == 201, made.text
    secret, info = made.json()["token"], made.json()["info"]
    assert info["domains"] == [harness.domains["one.example"].id]
    harness.secrets["made"] = secret
    assert [d["name"] for d in (await harness.get("made", "/domains"))["items"]] == ["one.example"]
    again = await harness.request("admin", "POST", "/tokens", json=body, headers=key)
    assert (again.status_code, again.json()) == (201, {"token": None, "info": info})
    listed = await harness.request("admin", "GET", "/tokens")
    assert info["id"] in listed.text
    assert secret not in listed.text + (await harness.request("admin", "GET", "/audit")).text
    assert (await harness.request("admin", "DELETE", f"/tokens/{info['id']}")).status_code == 204
    assert (await harness.request("made", "GET", "/domains")).status_code == 401
    assert (await harness.request("admin", "DELETE", f"/tokens/{info['id']}")).status_code == 404
    for wrong in ({"scope": "root"}, {"expires": "yesterday"}, {"domains": []}, {"name": "x" * 256}):
        assert (await harness.request("admin", "POST", "/tokens", json=wrong)).status_code == 422
    assert (
        await harness.request("admin", "POST", "/tokens", json={"expires": "2000-01-01T00:00:00Z"})
    ).status_code == 400
    assert (await harness.request("admin", "POST", "/tokens", json={"domains": ["their.example"]})).status_code == 404


async def test_a_user_is_added_and_removed(harness: Harness) -> None:
    """With a login link that works once; the last one stays."""
    made = await harness.request("theirs", "POST", "/users", json={"email": "ann@example.com"})
    assert made.status_code == 201, made.text
    user, link = made.json()["user"], made.json()["login_link"]
    assert link.startswith(f"https://{HOST}/login/")
    assert await harness.accounts.redeem(link.rpartition("/")[2]) is not None
    assert (await harness.get("theirs", f"/users/{user['id']}"))["email"] == "ann@example.com"
    assert (await harness.request("theirs", "POST", "/users", json={"email": "ann@example.com"})).status_code == 409
    last = await harness.request("theirs", "DELETE", f"/users/{user['id']}")
    assert (last.status_code, last.json()["detail"]) == (409, "the last user of an account stays; add another first")
    await harness.request("theirs", "POST", "/users", json={"email": "bob@example.com"})
    assert (await harness.request("theirs", "DELETE", f"/users/{user['id']}")).status_code == 204
    assert [u["email"] for u in (await harness.get("theirs", "/users"))["items"]] == ["bob@example.com"]


async def test_a_problem_is_taken_up_again(harness: Harness) -> None:
    """202, the mail waits in the queue and is read; what is still wrong is open again."""
    status = await harness.upload("write", "one.example", b"<feedback><oops/></feedback>", "again.xml")
    (problem,) = status["problems"]
    retried = await harness.request("write", "POST", f"/problems/{problem['id']}/retry")
    assert (retried.status_code, retried.json()["id"], retried.json()["state"]) == (202, problem["id"], "retrying")
    await harness.settle()
    open_ = (await harness.get("read", "/problems", params={"domain": "one.example"}))["items"]
    assert problem["reason"] in [p["reason"] for p in open_ if p["mail_id"] == status["mail_id"]]
    assert (await changes(harness, "problem.retry"))[0][1] == str(problem["id"])


async def test_a_problem_is_discarded(harness: Harness) -> None:
    """It is open no longer, its mail stays, the log tells who did it."""
    (problem,) = (await harness.upload("write", "one.example", b"<feedback><gone/></feedback>"))["problems"]
    gone = await harness.request("write", "POST", f"/problems/{problem['id']}/discard")
    assert (gone.status_code, gone.json()["state"]) == (200, "discarded")
    assert (await harness.request("read", "GET", f"/problems/{problem['id']}/raw")).status_code == 200
    assert (await changes(harness, "problem.discard"))[0][0] == "token"
    assert (await harness.request("read", "POST", f"/problems/{problem['id']}/discard")).status_code == 403


async def test_a_report_of_another_domain_is_adopted(harness: Harness) -> None:
    """409 until its domain is there and within the token's reach; then it counts for that domain."""
    data = aggregate("adopted.example", "adopt-me", count=8)
    status = await harness.upload("limited", "one.example", data)
    (problem,) = status["problems"]
    assert problem["reason"] == "other_domain"
    path = f"/problems/{problem['id']}/adopt"
    assert (await harness.request("write", "POST", path)).status_code == 409
    await harness.request("write", "POST", "/domains", json={"name": "adopted.example"})
    assert (await harness.request("limited", "POST", path)).status_code == 409
    assert (await harness.request("write", "POST", path)).status_code == 202
    await harness.settle()
    figures = await harness.get("read", "/domains/adopted.example/figures", params={"first": "2026-11-01"})
    assert figures["messages"] == 16


async def test_bodies_are_bounded(harness: Harness) -> None:
    """64 KiB of JSON, a mail's size for uploads, with or without a length; the scope comes first."""
    big = b'{"name": "' + b"x" * 70_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    answer = await harness.request("write", "POST", "/domains", content=big, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (413, "the body is larger than 65536 bytes")

    async def stream() -> Any:
        for _ in range(27):
            yield b"x" * (1 << 20)

    answer = await harness.request("write", "POST", "/reports?domain=one.example", content=stream())
    assert answer.status_code == 413
    nobody = await harness.request(
        "write", "POST", "/domains", content=big, headers={**headers, "Authorization": "Bearer x"}
    )
    assert nobody.status_code == 401
    assert (await harness.request("read", "POST", "/domains", json={"name": "r.example"})).status_code == 403
    assert (await harness.request("write", "GET", "/tokens")).status_code == 403


async def test_the_audit_log_is_paged(harness: Harness) -> None:
    """Pages of three join to the whole, newest first."""
    whole = (await harness.get("admin", "/audit", params={"limit": 1000}))["items"]
    pages, cursor = [], None
    while True:
        page = await harness.get("admin", "/audit", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        pages += page["items"]
        if (cursor := page["next"]) is None:
            break
    assert pages == whole
    assert [entry["id"] for entry in whole] == sorted((entry["id"] for entry in whole), reverse=True)
    assert "dw_" not in json.dumps(whole)


async def test_the_sql_log_is_the_accounts_own_and_paged(harness: Harness) -> None:
    """What was asked by SQL stands there newest first, refused statements with their reason; no neighbour's line."""
    account = harness.domains["one.example"].account_id
    texts = ["SELECT 1 AS one", "SELECT nope FROM dmarc_reports", "SELECT count() FROM dmarc_reports"]
    for who, owner, text in (
        *(("read", account, text) for text in texts),
        ("theirs", harness.domains["their.example"].account_id, "SELECT 'of theirs'"),
    ):
        headers = {"Authorization": f"Bearer {harness.secrets[who]}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(harness.app), base_url="http://x") as client:
            await client.post(f"/client/v4/accounts/{owner}/analytics_engine/sql", content=text, headers=headers)
    await harness.stores.queries.flush()
    first = await harness.get("admin", "/sql/log", params={"limit": 2})
    rest = await harness.get("admin", "/sql/log", params={"limit": 2, "cursor": first["next"]})
    lines = first["items"] + rest["items"]
    assert [line["text"] for line in lines] == texts[::-1]
    assert [line["rows"] for line in lines] == [1, 0, 1]
    assert [bool(line["error"]) for line in lines] == [False, True, False]
    assert {line["source"] for line in lines} == {"api"}
    assert [line["text"] for line in (await harness.get("theirs", "/sql/log"))["items"]] == ["SELECT 'of theirs'"]
    for who in ("read", "write", "limited admin"):
        assert (await harness.request(who, "GET", "/sql/log")).status_code == 403


async def test_other_mail_is_discarded_at_once(harness: Harness) -> None:
    """All of a domain and a reason; the rest, what is open, and other accounts' stay; a reader may not."""
    none = b"From: a@mail.example\r\nSubject: %s\r\nMessage-ID: <%s@x>\r\n\r\nno report\r\n"
    numbers = {}
    for domain in ("one.example", "two.example"):
        name = f"bulk-{domain}".encode()
        (problem,) = (await harness.upload("write", domain, none % (name, name)))["problems"]
        numbers[domain] = problem["id"]
    (broken,) = (await harness.upload("write", "one.example", b"<feedback><bulk/></feedback>"))["problems"]
    path = "/problems/discard-other"
    assert (await harness.request("read", "POST", path)).status_code == 403
    none_of_it = await harness.request("write", "POST", path, params={"domain": "one.example", "reason": "bounce"})
    assert none_of_it.json() == {"discarded": 0}
    assert (await harness.request("write", "POST", path, params={"domain": "their.example"})).status_code == 404
    before = (await harness.get("read", "/problems", params={"state": "other", "domain": "one.example"}))["items"]
    done = await harness.request("write", "POST", path, params={"domain": "one.example", "reason": "no_report"})
    assert (done.status_code, done.json()) == (200, {"discarded": len(before)})
    states = [
        (await harness.get("read", f"/problems/{number}"))["state"] for number in (*numbers.values(), broken["id"])
    ]
    assert states == ["discarded", "other", "open"]
    assert (await changes(harness, "other_mail.discard"))[0][0] == "token"
