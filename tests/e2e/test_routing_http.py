"""Promise: rules, destinations and mails by HTTP do what the commands and SMTP do, for the account that asks."""

from __future__ import annotations

import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mails import report_mail
from tests.support.outside import Sink, listening
from tests.support.routing_mail import ask
from tests.support.system import System, wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with listening(Sink()) as there:
        yield there


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[System]:
    running = System(
        tmp_path_factory.mktemp("routing") / "home",
        settings={
            "DMARCWORKS_WORKERS": f"allow_list={EXAMPLES / 'allow_list.py'},mini={EXAMPLES / 'dmarc.py'}",
            "DMARCWORKS_WORKER_BINDINGS": "mini.KV_DMARC_REPORTS=kv:,mini.R2_DMARC_REPORTS=objects,"
            "mini.DMARC_ANALYTICS=analytics",
            "DMARCWORKS_RELAY_URL": sink.url,
            "DMARCWORKS_FORWARD_AUTH": "off",
        },
    )
    running.start()
    running.domain = running.add_domain("example.com")  # type: ignore[attr-defined]
    running.writer = running.json("token", "create", "--scope", "write")["token"]  # type: ignore[attr-defined]
    yield running
    running.stop()


def rule(address: str, action: str, *value: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": action, "value": list(value)} if value else {"type": action}
    return {"matchers": [{"type": "literal", "field": "to", "value": address}], "actions": [made], **more}


def put_in(system: System, to: str, raw: bytes, more: str = "") -> tuple[int, Any]:
    return ask(system, "POST", f"/cdn-cgi/handler/email?from=friend@example.org&to={to}{more}", raw, None)


WRONG_ADDRESSES = (
    "a@b.example\r\nBcc: c@d.example",
    "a@b.example\n",
    "a@b.example\0",
    "a b@c.example",
    "<a@b.example",
    "a@b@c.example",
    "a@b.example>",
    '"a"b@c.example',
    "a,b@c.example",
    "a@b.example\u2028",
)
MAIL = b"From: A friend <friend@example.org>\r\nMessage-ID: <1@example.org>\r\nSubject: x\r\n\r\nHello\r\n"


def test_a_destination_is_proven_by_its_mailed_link(routed: System, sink: Sink) -> None:
    """Added by REST, a link comes by mail; opening it changes nothing, the button does; a second time it is dead."""
    base = f"/client/v4/accounts/{routed.account_id}/email/routing/addresses"
    status, made = ask(routed, "POST", base, {"email": "Inbox@corp.example"})
    assert (status, made["success"], made["result"]["email"]) == (200, True, "inbox@corp.example")
    assert made["result"]["verified"] is None
    ((_, to, raw),) = sink.taken
    assert to == "inbox@corp.example"
    found = re.search(rb"http://\S+(/routing/verify/\S+)", raw)
    assert found
    link = found[1].decode()
    assert "Forward mail to inbox@corp.example?" in routed.get(link)[1]
    assert ask(routed, "GET", base)[1]["result"][0]["verified"] is None
    assert "is verified" in ask(routed, "POST", link, b"", None)[1]
    assert ask(routed, "GET", base)[1]["result"][0]["verified"] is not None
    assert routed.get(link)[0] == 404
    assert ask(routed, "POST", base, {"email": "inbox@corp.example"})[0] == 409


def test_rules_in_the_original_shapes(routed: System) -> None:
    """Create, read, change, list and remove; the catch-all is one; wrong bodies are 400, strangers' zones 404."""
    base = f"/client/v4/zones/{routed.domain['domain_id']}/email/routing"  # type: ignore[attr-defined]
    asked = rule("info@example.com", "forward", "inbox@corp.example", name="My rule", enabled=True, priority=0)
    status, made = ask(routed, "POST", f"{base}/rules", asked)
    assert status == 200
    rule_id = made["result"]["id"]
    assert made["result"] == {"id": rule_id, "tag": rule_id, **asked}
    assert ask(routed, "GET", f"{base}/rules/{rule_id}")[1]["result"] == made["result"]
    changed = ask(routed, "PUT", f"{base}/rules/{rule_id}", rule("info@example.com", "drop", enabled=False))[1][
        "result"
    ]
    assert (changed["actions"], changed["enabled"]) == ([{"type": "drop"}], False)
    assert [one["id"] for one in ask(routed, "GET", f"{base}/rules")[1]["result"]] == [rule_id]
    assert ask(routed, "GET", f"{base}/rules/catch_all")[1]["result"]["enabled"] is False
    everything = {"matchers": [{"type": "all"}], "actions": [{"type": "drop"}], "enabled": True}
    assert ask(routed, "PUT", f"{base}/rules/catch_all", everything)[1]["result"]["enabled"] is True
    assert ask(routed, "POST", f"{base}/disable")[1]["result"]["enabled"] is False
    assert ask(routed, "POST", f"{base}/enable")[1]["result"]["enabled"] is True
    assert ask(routed, "DELETE", f"{base}/rules/{rule_id}")[0] == 200
    assert ask(routed, "GET", f"{base}/rules/{rule_id}")[0] == 404
    off = {**everything, "enabled": False}
    assert ask(routed, "PUT", f"{base}/rules/catch_all", off)[0] == 200
    for wrong in (
        rule("info@elsewhere.example", "drop"),
        rule("info@example.com", "shred"),
        rule("info@example.com", "worker", "nobody"),
        rule("info@example.com", "forward"),
        {"matchers": [], "actions": []},
        b"[]",
        b"{",
    ):
        assert ask(routed, "POST", f"{base}/rules", wrong)[0] == 400
    assert ask(routed, "GET", "/client/v4/zones/0/email/routing/rules")[0] == 404
    assert ask(routed, "GET", f"{base}/rules", token=None)[0] == 401
    assert ask(routed, "POST", f"{base}/rules", asked, token=routed.token)[0] == 403


def test_the_allow_list_of_the_post(routed: System, sink: Sink) -> None:
    """A friend's mail is forwarded, a stranger's is rejected with the post's words; as text and as JSON."""
    base = f"/client/v4/zones/{routed.domain['domain_id']}/email/routing/rules"  # type: ignore[attr-defined]
    assert ask(routed, "POST", base, rule("me@example.com", "worker", "allow_list"))[0] == 200
    sink.taken.clear()
    assert put_in(routed, "me@example.com", MAIL) == (200, "Worker successfully processed email")
    assert sink.taken[0][1] == "inbox@corp.example"
    stranger = MAIL.replace(b"friend@", b"stranger@")
    reason = "Worker rejected email with the following reason: Address not allowed"
    assert put_in(routed, "me@example.com", stranger) == (400, reason)
    status, told = put_in(routed, "me@example.com", MAIL, "&format=json")
    assert (status, told["outcome"], told["rejectReason"], told["replies"]) == (200, "ok", None, [])
    assert [one["recipient"] for one in told["forwards"]] == ["inbox@corp.example"]
    assert [event["type"] for event in told["events"]] == ["forward"]
    told = put_in(routed, "me@example.com", stranger, "&format=json")[1]
    assert (told["rejectReason"], [event["type"] for event in told["events"]]) == ("Address not allowed", ["reject"])


def test_the_dmarc_worker_of_the_post(routed: System) -> None:
    """Its shortest form gates by KV, keeps the attachment under year and month, and takes a report in any packing."""
    base = f"/client/v4/zones/{routed.domain['domain_id']}/email/routing/rules"  # type: ignore[attr-defined]
    assert ask(routed, "POST", base, rule("mini@example.com", "worker", "mini"))[0] == 200
    raw = b"Message-ID: <r@example.org>\r\n" + report_mail("1")
    assert put_in(routed, "mini@example.com", raw)[0] == 400
    with sqlite3.connect(routed.home / "dmarcworks.db") as connection:
        row = connection.execute("SELECT value FROM kv WHERE CAST(key AS TEXT) LIKE 'dmarc:%'").fetchone()
        connection.execute("INSERT INTO kv (key, value) VALUES (?, ?)", (b"dmarc:mini@example.com", row[0]))
    wait_for(lambda: put_in(routed, "mini@example.com", raw)[0] == 200, "the gate open")
    (kept,) = (routed.home / "objects" / "workers" / "mini").rglob("report.xml.gz")
    assert kept.read_bytes()[:2] == b"\x1f\x8b"


def test_what_is_no_mail_is_refused(routed: System) -> None:
    """Without from, to, body or Message-ID it is 400 with the reason; through a proxy a token is needed."""
    assert ask(routed, "POST", "/cdn-cgi/handler/email?from=a@b.example", MAIL, None)[0] == 400
    assert put_in(routed, "me@example.com", b"")[0] == 400
    assert put_in(routed, "me@example.com", b"From: x\r\n\r\nno id\r\n")[0] == 400
    assert put_in(routed, "nobody@example.com", MAIL)[0] == 400
    for name, other in (("from", "to"), ("to", "from")):
        for wrong in WRONG_ADDRESSES:
            query = urllib.parse.urlencode({name: wrong, other: "me@example.com"})
            status, text = ask(routed, "POST", f"/cdn-cgi/handler/email?{query}", MAIL, None)
            assert (status, text.partition(":")[0]) == (400, f"Invalid parameter {name}"), wrong
    request = urllib.request.Request(
        f"{routed.http}/cdn-cgi/handler/email?from=a@b.example&to=me@example.com",
        data=MAIL,
        headers={"X-Forwarded-For": "203.0.113.5"},
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=10)
