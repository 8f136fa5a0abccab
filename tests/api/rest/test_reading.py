"""What a program reads over REST is what came in: every list by pages, one thing by its id, bytes as received."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support.harness import Harness
from tests.support.rest import BEGIN, aggregate

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_an_upload_is_read_like_a_mail(harness: Harness) -> None:
    """202 with where to look; then the report, once; the same again is a duplicate; what is no report is a problem."""
    data = aggregate("one.example", "up-1", count=7)
    answer = await harness.request(
        "write", "POST", "/reports", params={"domain": "one.example", "name": "x!y.xml"}, content=data
    )
    assert answer.status_code == 202
    told = answer.json()
    assert (told["size"], told["name"]) == (len(data), "x!y.xml")
    assert told["status_url"] == answer.headers["location"] == f"/api/v1/uploads/{told['mail_id']}"
    assert (await harness.get("read", f"/uploads/{told['mail_id']}"))["state"] == "queued"
    await harness.settle()
    status = await harness.get("read", f"/uploads/{told['mail_id']}")
    assert (status["state"], status["problems"]) == ("read", [])
    (found,) = status["reports"]
    assert (found["new"], found["report"]["report_id"], found["report"]["messages"]) == (True, "up-1", 14)
    raw = await harness.request("read", "GET", f"/reports/{found['report']['id']}/raw")
    assert raw.content == data
    assert raw.headers["content-disposition"] == 'attachment; filename="x!y.xml"'
    again = await harness.upload("write", "one.example", data)
    assert [(f["new"], f["report"]["id"]) for f in again["reports"]] == [(False, found["report"]["id"])]
    bad = await harness.upload("write", "one.example", b"<feedback><report_metadata>", "bad.xml")
    assert (bad["state"], bad["reports"], len(bad["problems"])) == ("not read", [], 1)
    empty = await harness.request("write", "POST", "/reports", params={"domain": "one.example"})
    assert (empty.status_code, empty.json()["detail"]) == (400, "the body is empty; send a report or a mail")


async def test_a_mail_is_uploaded_as_it_is(harness: Harness) -> None:
    """A whole mail goes into the archive byte for byte and is read for its parts."""
    mail = b"From: a@mail.example\r\nSubject: nothing\r\nMessage-ID: <1@x>\r\n\r\nno report in here\r\n"
    status = await harness.upload("write", "two.example", mail)
    assert [problem["reason"] for problem in status["problems"]] == ["no_report"]
    number = status["problems"][0]["id"]
    raw = await harness.request("read", "GET", f"/problems/{number}/raw")
    assert raw.content == mail
    # It is no report: other mail, and no open problem.
    other = (await harness.get("read", "/problems", params={"state": "other", "limit": 1000}))["items"]
    assert (number, "no_report") in [(row["id"], row["reason"]) for row in other]
    assert number not in [
        row["id"] for row in (await harness.get("read", "/problems", params={"limit": 1000}))["items"]
    ]


async def test_reports_are_listed_by_pages_and_filters(harness: Harness) -> None:
    """Pages of two join to the whole list without gap or repeat; filters narrow; a wrong cursor is refused."""
    whole = (await harness.get("read", "/reports", params={"limit": 1000}))["items"]
    pages, cursor = [], None
    while True:
        page = await harness.get("read", "/reports", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        pages += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert pages == whole
    assert len({report["id"] for report in whole}) == len(whole) >= 6
    of_two = (await harness.get("read", "/reports", params={"domain": "two.example"}))["items"]
    assert [report["report_id"] for report in of_two] == ["r2", "r1", "r0"]
    by_id = (await harness.get("read", "/reports", params={"report_id": "r1"}))["items"]
    assert {report["domain_id"] for report in by_id} == {harness.domains[n].id for n in ("one.example", "two.example")}
    days = await harness.get("read", "/reports", params={"domain": "two.example", "first": "2026-11-24"})
    assert days["items"] == []
    assert (await harness.get("read", "/reports", params={"kind": "tls"}))["items"] == []
    for wrong in ("x", "WyJ0b2tlbnMiLDFd", "WyJyZXBvcnRzIiwxZTk5OSwiYSJd", "W1tbW1tb"):
        answer = await harness.request("read", "GET", "/reports", params={"cursor": wrong})
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    backwards = await harness.request("read", "GET", "/reports", params={"first": "2026-11-24", "last": "2026-11-23"})
    assert backwards.status_code == 400


async def test_a_report_says_what_it_says(harness: Harness) -> None:
    """Its head from the catalogue, its records from Analytics."""
    (listed,) = (await harness.get("read", "/reports", params={"domain": "two.example", "report_id": "r1"}))["items"]
    report = await harness.get("read", f"/reports/{listed['id']}")
    assert (report["begin"], report["records"], report["messages"], report["rows_total"]) == (BEGIN, 2, 4, 2)
    assert (report["archived"], report["duplicates"], report["day"]) == (True, 0, "2026-11-23")
    first = report["rows"][0]
    assert (first["source_ip"], first["count"], first["dmarc"], first["spf_aligned"]) == (
        "192.0.2.1",
        2,
        "pass",
        "fail",
    )
    assert first["dkim"] == [
        {"domain": "two.example", "selector": "s1", "scope": None, "result": "pass", "human_result": None}
    ]
    page = await harness.get("read", f"/reports/{listed['id']}/records", params={"limit": 1})
    more = await harness.get("read", f"/reports/{listed['id']}/records", params={"limit": 1, "cursor": page["next"]})
    assert page["items"] + more["items"] == report["rows"]
    assert more["next"] is None
    assert await harness.get("read", f"/reports/{listed['id']}/policies") == {"items": [], "next": None}


async def test_the_figures_equal_the_reports(harness: Harness) -> None:
    """Three reports of two records with 1, 2 and 3 messages each: 12 messages from two addresses."""
    period = {"first": "2026-11-01", "last": "2026-11-30"}
    figures = await harness.get("read", "/domains/two.example/figures", params=period)
    assert (figures["messages"], figures["passed"], figures["sources"], figures["reports"]) == (12, 12, 2, 3)
    days = (await harness.get("read", "/domains/two.example/days", params=period))["items"]
    assert [(day["day"], day["messages"]) for day in days] == [("2026-11-23", 12)]
    page = await harness.get("read", "/domains/two.example/sources", params={**period, "limit": 1})
    assert [(s["source_ip"], s["messages"]) for s in page["items"]] == [("192.0.2.1", 6)]
    more = await harness.get(
        "read", "/domains/two.example/sources", params={**period, "limit": 1, "cursor": page["next"]}
    )
    assert ([s["source_ip"] for s in more["items"]], more["next"]) == (["192.0.2.2"], None)
    senders = (await harness.get("read", "/domains/two.example/senders", params=period))["items"]
    assert [(s["sender"], s["messages"], s["failed"], s["sources"]) for s in senders] == [("", 12, 0, 2)]
    reporters = (await harness.get("read", "/domains/two.example/reporters", params=period))["items"]
    assert reporters == [{"org_name": "mail.example", "reports": 3, "messages": 12, "passed": 12}]


async def test_a_range_of_days_is_what_was_asked_for(harness: Harness) -> None:
    """The last N days end today, as on the pages; an invalid range is an error, never another range."""
    path = "/domains/two.example/figures"

    async def asked(**query: str) -> tuple[str, str]:
        answer = await harness.get("read", path, params=query)
        return answer["first"], answer["last"]

    today = datetime.now(UTC).date()
    assert await asked() == (str(today - timedelta(days=29)), str(today))
    assert await asked(days="365") == (str(today - timedelta(days=364)), str(today))
    assert await asked(days="7", last="2026-11-23") == ("2026-11-17", "2026-11-23")
    assert await asked(first="2026-11-01") == ("2026-11-01", str(max(today, date(2026, 11, 1))))
    reversed_ = "first=2026-11-02&last=2026-11-01"
    for query in (
        "days=0",
        "days=3661",
        "days=x",
        "first=",
        "first=30",
        "last=0",
        "last=1782777600",
        "last=2026-06-31",
    ):
        assert (await harness.request("read", "GET", f"{path}?{query}")).status_code == 422, query
    for query in ("days=7&first=2026-11-01", reversed_):
        assert (await harness.request("read", "GET", f"{path}?{query}")).status_code == 400, query


async def test_an_answer_that_is_known_is_not_sent_again(harness: Harness) -> None:
    """ETag and If-None-Match: 304 without a body, for JSON and for files; another state has another tag."""
    for path in ("/domains", "/domains/one.example", "/accounts", "/reports?domain=two.example"):
        first = await harness.request("read", "GET", path)
        tag = first.headers["etag"]
        for known in (tag, f'"x", W/{tag}', "*"):
            second = await harness.request("read", "GET", path, headers={"If-None-Match": known})
            assert (second.status_code, second.content, second.headers["etag"]) == (304, b"", tag), path
        assert (await harness.request("read", "GET", path, headers={"If-None-Match": '"x"'})).content == first.content
    listed = (await harness.get("read", "/reports", params={"domain": "two.example"}))["items"][0]
    raw = await harness.request("read", "GET", f"/reports/{listed['id']}/raw")
    assert raw.headers["etag"] == f'"{hashlib.sha256(raw.content).hexdigest()[:32]}"'
    same = await harness.request(
        "read", "GET", f"/reports/{listed['id']}/raw", headers={"If-None-Match": raw.headers["etag"]}
    )
    assert same.status_code == 304


async def test_the_document_describes_every_route(harness: Harness) -> None:
    """OpenAPI without a token; each operation has an id, a summary, its errors and a security scheme."""
    answer = await harness.request("read", "GET", "/openapi.json", headers={"Authorization": ""})
    document = answer.json()
    operations = [op for path in document["paths"].values() for op in path.values()]
    assert len({op["operationId"] for op in operations}) == len(operations) >= 30
    for op in operations:
        assert op["summary"], op
        assert op["description"], op
        assert {"401", "403", "422", "429", "503"} <= set(op["responses"]), op["operationId"]
        assert op["security"] == [{"token": []}]
        for code, response in op["responses"].items():
            if int(code) >= 400:
                assert list(response["content"]) == ["application/problem+json"]
    assert document["servers"] == [{"url": "/api/v1"}]


async def test_errors_are_problem_details(harness: Harness) -> None:
    """No token, an unknown address, a wrong method, a wrong parameter: each in the same shape."""
    for method, path, headers, status in (
        ("GET", "/domains", {"Authorization": "Bearer nonsense"}, 401),
        ("GET", "/nowhere", {}, 404),
        ("PUT", "/domains", {}, 405),
        ("GET", "/domains?limit=0", {}, 422),
        ("GET", "/domains/%2e%2e", {}, 404),
        ("GET", "/reports/xyz", {}, 422),
        ("POST", "/domains", {"Content-Type": "application/json"}, 422),
    ):
        answer = await harness.request("write", method, path, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["type"], answer.json()["status"]) == ("about:blank", status)
    refused = await harness.request("write", "GET", "/domains?limit=0")
    assert refused.json()["errors"][0]["where"] == "query.limit"
    assert (await harness.request("read", "GET", "/domains", headers={"Authorization": ""})).headers["www-authenticate"]
