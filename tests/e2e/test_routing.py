"""Promise of routing on the real process: each action has its SMTP code, and its line in the activity log says so."""

from __future__ import annotations

import secrets
import sqlite3
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.outside import Names, Sink, answering, listening
from tests.support.routing_mail import add, mail, send
from tests.support.system import System, wait_for

WORKERS = """
import asyncio
import sys
import time

from dmarcworks.email import EmailMessage


async def email(message, env, ctx):
    what = (message.headers.get("x-do") or "").strip()
    if what == "reject":
        message.set_reject("Address not allowed")
    elif what == "forward":
        await message.forward("inbox@corp.example", {"X-Seen": "yes"})
    elif what == "forward-unverified":
        await message.forward("stranger@corp.example")
    elif what == "forward-header":
        await message.forward("inbox@corp.example", {"Subject": "no"})
    elif what == "reply":
        answered = message.headers["message-id"]
        await message.reply(EmailMessage(message.to, message.from_, (
            f"From: {message.to}\\nTo: {message.from_}\\nMessage-ID: <answer@example.com>\\nIn-Reply-To: {answered}\\n"
            "Subject: Re: thanks\\n\\nThank you.\\n")))
    elif what == "exception":
        raise RuntimeError("a bug")
    elif what == "exit":
        sys.exit(3)
    elif what == "time-out":
        await asyncio.sleep(60)
    elif what == "block":
        while True:
            pass
    elif what == "sleep":
        time.sleep(60)
    elif what == "point":
        env.ANALYTICS.write_data_point({"indexes": [message.to], "blobs": ["x"], "doubles": [len(env.__dict__)]})
    elif what == "count":
        before = await env.KV.get("count")
        await env.KV.put("count", str(int(before or 0) + 1))
        await env.OBJECTS.put(f"mail-{int(before or 0) + 1}", await message.raw())
        async def later():
            await env.KV.put("later", message.to)
        ctx.wait_until(later())


async def recipient(address, env):
    return not address.startswith("w-closed@")
"""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with listening(Sink()) as there:
        yield there


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    records = {
        ("sender.example", "TXT"): "v=spf1 ip4:127.0.0.1 -all",
        ("_dmarc.sender.example", "TXT"): "v=DMARC1; p=none",
        ("spoofed.example", "TXT"): "v=spf1 -all",
        ("_dmarc.spoofed.example", "TXT"): "v=DMARC1; p=reject",
    }
    there = Names()
    there.add(records)
    with answering(there):
        yield there


@pytest.fixture(scope="module")
def routed(tmp_path_factory: pytest.TempPathFactory, sink: Sink, names: Names) -> Iterator[System]:
    home = tmp_path_factory.mktemp("routing")
    (home / "worker.py").write_text(WORKERS)
    running = System(
        home / "home",
        settings={
            "DMARCWORKS_WORKERS": f"mine={home / 'worker.py'}",
            "DMARCWORKS_WORKER_SECONDS": "2",
            "DMARCWORKS_RELAY_URL": sink.url,
            "DMARCWORKS_POSTMASTER": "inbox@corp.example",
            "DMARCWORKS_DNS_SERVER": names.server,
        },
    )
    running.start()
    running.add_domain("example.com")
    add(running, "w@example.com", "--worker", "mine")
    add(running, "w-closed@example.com", "--worker", "mine")
    add(running, "gone@example.com", "--reject", "Nobody works here any more")
    add(running, "void@example.com", "--drop")
    add(running, "on@example.com", "--forward", "inbox@corp.example")
    running.json("route", "destination", "add", "inbox@corp.example", "--trust")
    wait_for(lambda: send(running, "on@example.com", mail("warm up"))[0] == 250, "the rules in effect")
    sink.taken.clear()
    yield running
    if running.alive:
        running.stop()


def line(system: System, before: int) -> dict[str, Any]:
    """The one line that came after `before`."""
    found = wait_for(lambda: system.rows(f"SELECT * FROM activity WHERE id > {before}"), "a line in the log")
    assert len(found) == 1
    return dict(found[0])


def last(system: System) -> int:
    """The newest line once those of all mails before are written: lines are written in order, so a last one is made."""
    marker = f"marker {secrets.token_hex(8)}"
    assert send(system, "void@example.com", mail(marker))[0] == 250
    (row,) = wait_for(lambda: system.rows(f"SELECT id FROM activity WHERE subject = '{marker}'"), "the line written")
    return int(row["id"])


TRY = "4.3.0 Cannot keep the mail now, try again later"


@pytest.mark.parametrize(
    ("to", "do", "reply", "noted"),
    [
        ("w@example.com", "", (250, ""), ("worker mine", "handled", "250", "")),
        (
            "w@example.com",
            "reject",
            (550, "5.7.1 Address not allowed"),
            ("worker mine", "rejected", "550", "Address not allowed"),
        ),
        ("w@example.com", "forward", (250, ""), ("worker mine", "forwarded", "250", "")),
        ("w@example.com", "reply", (250, ""), ("worker mine", "replied", "250", "")),
        ("w@example.com", "exception", (451, TRY), ("worker mine", "failed", "451", "RuntimeError('a bug')")),
        ("w@example.com", "exit", (451, TRY), ("worker mine", "failed", "451", "the worker called sys.exit(3)")),
        ("w@example.com", "time-out", (451, TRY), ("worker mine", "failed", "451", "no outcome within 2 s")),
        ("w@example.com", "block", (451, TRY), ("worker mine", "failed", "451", "no outcome within 2 s")),
        ("w@example.com", "sleep", (451, TRY), ("worker mine", "failed", "451", "no outcome within 2 s")),
        (
            "w@example.com",
            "forward-unverified",
            (451, TRY),
            ("worker mine", "failed", "451", "destination address is not verified"),
        ),
        (
            "w@example.com",
            "forward-header",
            (451, TRY),
            (
                "worker mine",
                "failed",
                "451",
                "only X-* headers of one line can be added to a forwarded mail, not 'Subject'",
            ),
        ),
        ("on@example.com", "", (250, ""), ("forward", "forwarded", "250", "")),
        ("void@example.com", "", (250, ""), ("drop", "dropped", "250", "")),
        (
            "gone@example.com",
            "",
            (550, "5.7.1 Nobody works here any more"),
            ("reject", "rejected", "550", "550 5.7.1 Nobody works here any more"),
        ),
    ],
)
def test_each_action_has_its_code_and_its_line(
    routed: System, to: str, do: str, reply: tuple[int, str], noted: tuple[str, str, str, str]
) -> None:
    """Return, reject, forward, reply, drop, exception, exit, time-out, blocking code: code and log agree."""
    before = last(routed)
    assert send(routed, to, mail(f"case {do or to}", do)) == reply
    found = line(routed, before)
    assert (found["action"], found["outcome"], found["status"], found["error"]) == noted
    assert (found["recipient"], found["rule"]) == (to, to)
    assert routed.get("/healthz")[0] == 200
    assert routed.alive


def test_the_worker_lives_on_after_all_that(routed: System, sink: Sink) -> None:
    """Two blocked threads later the same worker takes mail, keeps its own things, and does what it left to do."""
    assert send(routed, "w@example.com", mail("one", "count"))[0] == 250
    assert send(routed, "w@example.com", mail("two", "count"))[0] == 250
    wait_for(lambda: routed.rows("SELECT value FROM kv WHERE key = CAST('worker:mine:later' AS BLOB)"), "what it left")
    (count,) = routed.rows("SELECT value FROM kv WHERE key = CAST('worker:mine:count' AS BLOB)")
    assert count["value"] == b"2"
    assert (routed.home / "objects" / "workers" / "mine" / "mail-2").read_bytes() == mail("two", "count")
    assert send(routed, "w-closed@example.com", mail("x"))[0] == 550


def test_a_workers_points_are_the_rules_accounts(routed: System) -> None:
    """Whose rule gave the worker its mail may ask by SQL; another account has none, nor has nobody."""
    assert send(routed, "w@example.com", mail("point", "point"))[0] == 250
    ask = "SELECT dataset, index1, blob1, double1, domain_id != '' AS whose FROM data_points"
    wait_for(lambda: routed.cli("sql", ask).stdout == "mine\tw@example.com\tx\t3\t1\n", "the point in the store")
    routed.json("domain", "add", "other.example", "--account", "other")
    for account in ("other", ""):
        done = routed.cli("sql", "SELECT count() FROM data_points", "--account", account)
        assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_a_forwarded_mail_is_the_mail(routed: System, sink: Sink) -> None:
    """Content as it came; in front only Received and X- fields; the sender rewritten, and a bounce finds back."""
    sink.taken.clear()
    raw = mail("forwarded", "forward")
    assert send(routed, "w@example.com", raw)[0] == 250
    ((sender, recipient, sent),) = sink.taken
    assert recipient == "inbox@corp.example"
    assert sent.endswith(raw)
    added = sent[: -len(raw)].decode().split("\r\n")
    names = [field.partition(":")[0] for field in added if field and not field.startswith(" ")]
    assert names == ["X-Seen", "X-Dmarcworks-Forwarded-For", "Received"]
    assert sender.startswith("srs0=")
    assert sender.endswith("=sender.example=who@reports.example.net")
    assert send(routed, sender, b"Subject: bounce\r\n\r\nNo such user\r\n", sender="")[0] == 250
    assert sink.taken[1][:2] == ("", "who@sender.example")
    forged = "srs0=aaaaaaaa" + sender[len("srs0=aaaaaaaa") :]
    assert send(routed, forged, b"x", sender="")[0] == 550


def test_T9_mail_for_postmaster_is_forwarded_where_the_setting_says(routed: System, sink: Sink) -> None:
    """With the host or without; nothing of it is kept as other mail."""
    host = routed.rua["example.com"].partition("@")[2]
    for number, to in enumerate((f"postmaster@{host}", "postmaster")):
        sink.taken.clear()
        assert send(routed, to, mail(f"postmaster {number}")) == (250, "")
        wait_for(lambda: sink.taken, "the mail")
    assert routed.json("problems", "other") == []


def test_a_quoted_sender_that_cannot_be_rewritten_is_refused_at_once(routed: System, sink: Sink) -> None:
    """By rule and by worker: 553 while the sender waits, and nothing is queued; needless quotation marks go."""
    sink.taken.clear()
    for to, raw in (("on@example.com", mail("quoted")), ("w@example.com", mail("quoted too", "forward"))):
        code, words = send(routed, to, raw, sender='"a b"@sender.example')
        assert (code, words[:6]) == (553, "5.1.7 "), words
    assert routed.rows("SELECT id FROM outbound") == []
    assert sink.taken == []
    assert send(routed, "on@example.com", mail("needless"), sender='"who"@sender.example')[0] == 250
    assert sink.taken[0][0].endswith("=sender.example=who@reports.example.net")


def test_a_reply_goes_to_the_sender(routed: System, sink: Sink) -> None:
    """From the address that the mail came to, as the worker wrote it; a mail that fails DMARC gets none."""
    sink.taken.clear()
    assert send(routed, "w@example.com", mail("thanks", "reply"))[0] == 250
    ((sender, recipient, sent),) = sink.taken
    assert (sender, recipient) == ("w@example.com", "who@sender.example")
    assert b"In-Reply-To: <thanks@sender.example>\r\n" in sent
    before = last(routed)
    spoofed = mail("spoofed", "reply", domain="spoofed.example")
    assert send(routed, "w@example.com", spoofed, sender="who@spoofed.example")[0] == 451
    found = line(routed, before)
    assert found["error"] == "Original email is not replyable"
    assert (found["spf"], found["dkim"], found["dmarc"], found["arc"]) == ("fail", "none", "fail", "none")
    assert len(sink.taken) == 1


def test_what_the_next_server_refuses_is_told_to_the_sender(routed: System, sink: Sink) -> None:
    """Its own words in the session, and in the log: by a rule and by a worker, for good and for now."""
    for reply, to, do in (
        ("550 5.1.1 No such user", "on@example.com", ""),
        ("452 4.2.2 Mailbox full", "on@example.com", ""),
        ("550 5.1.1 No such user", "w@example.com", "forward"),
    ):
        before, sink.rcpt_reply = last(routed), reply
        try:
            code, words = send(routed, to, mail("refused", do))
        finally:
            sink.rcpt_reply = ""
        assert f"{code} {words}" == reply
        found = line(routed, before)
        assert (found["status"], found["error"]) == (reply[:3], reply)
        assert found["outcome"] == ("rejected" if reply[0] == "5" else "failed")


def test_mail_that_its_domain_asks_to_reject_is_not_forwarded(routed: System, sink: Sink) -> None:
    """A spoofed mail under p=reject is refused with the reason, and nothing leaves."""
    sink.taken.clear()
    spoofed = mail("forged", domain="spoofed.example")
    assert send(routed, "on@example.com", spoofed, sender="who@spoofed.example") == (
        550,
        "5.7.26 The mail does not pass DMARC, and its domain requests rejection of such mail",
    )
    assert sink.taken == []


def test_mail_does_not_run_in_circles(routed: System, sink: Sink) -> None:
    """A mail that was forwarded for this address before, or came over fifty hosts, ends here."""
    for more in ("X-Dmarcworks-Forwarded-For: on@example.com\r\n", "Received: by x\r\n" * 51):
        code, words = send(routed, "on@example.com", mail("circle", more=more))
        assert (code, words) == (554, "5.4.6 Too many hops, the mail runs in a circle")


def test_rules_change_while_it_runs(routed: System) -> None:
    """The newest wins, disabled ones are not there, the catch-all is last; a second later it is so."""
    first = add(routed, "x@example.com", "--reject", "First")
    second = add(routed, "x@example.com", "--reject", "Second")
    wait_for(lambda: send(routed, "x@example.com", b"x") == (550, "5.7.1 Second"), "the newest rule")
    assert routed.cli("route", "disable", second["id"]).returncode == 0
    wait_for(lambda: send(routed, "x@example.com", b"x") == (550, "5.7.1 First"), "the older rule")
    assert routed.cli("route", "remove", first["id"]).returncode == 0
    wait_for(lambda: send(routed, "x@example.com", b"x") == (550, "5.1.1 No such recipient here"), "no rule")
    routed.json("route", "catch-all", "example.com", "--reject", "Only some live here")
    wait_for(lambda: send(routed, "x@example.com", b"x") == (550, "5.7.1 Only some live here"), "the catch-all")
    assert routed.cli("route", "enable", second["id"]).returncode == 0
    wait_for(lambda: send(routed, "x@example.com", b"x") == (550, "5.7.1 Second"), "the enabled rule")
    assert routed.cli("route", "catch-all", "example.com", "--off").returncode == 0
    wait_for(lambda: send(routed, "y@example.com", b"x")[1] == "5.1.1 No such recipient here", "no catch-all")


def test_a_rua_address_is_the_dmarc_workers(routed: System) -> None:
    """Neither a catch-all of the report host nor a rule on the very address, made by the operator, changes that."""
    rua = routed.rua["example.com"]
    routed.json("route", "catch-all", "reports.example.net", "--drop")
    wait_for(lambda: send(routed, "other@reports.example.net", b"x")[0] == 250, "the catch-all")
    refused = routed.cli("route", "add", rua, "--reject", "Closed for now", "--priority", "-1")
    assert refused.returncode == 1
    assert f"{rua} is an address for reports" in refused.stderr
    with sqlite3.connect(routed.home / "dmarcworks.db") as connection:
        columns = "account_id, domain_id, domain, name, enabled, action, value, created, modified"
        connection.execute(
            f"INSERT INTO routing_rules (id, address, priority, {columns})"
            f" SELECT 'old', ?, -1, {columns} FROM routing_rules WHERE domain = 'reports.example.net'",
            (rua,),
        )
    add(routed, "seen@reports.example.net", "--reject", "Seen")
    wait_for(lambda: send(routed, "seen@reports.example.net", b"x")[1] == "5.7.1 Seen", "the rules in effect")
    before = last(routed)
    assert send(routed, rua, mail("a report"))[0] == 250
    assert line(routed, before)["action"] == "worker dmarc"


def test_the_command_says_what_is_wrong(routed: System) -> None:
    """Usage is 2, what is not there is 1, each with a sentence."""
    for status, words, arguments in (
        (2, "give exactly one of", ("route", "add", "a@example.com")),
        (2, "give exactly one of", ("route", "add", "a@example.com", "--drop", "--reject", "x")),
        (2, "is not a mail address", ("route", "add", "example.com", "--drop")),
        (2, "there is no worker 'other'", ("route", "add", "a@example.com", "--worker", "other")),
        (1, "is not a domain of this system", ("route", "add", "a@elsewhere.example", "--drop")),
        (1, "there is no rule nothing", ("route", "remove", "nothing")),
    ):
        done = routed.cli(*arguments)
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr


def test_the_command_says_that_a_destination_is_not_verified(routed: System) -> None:
    """With the rule, in the list and with a link to the running server; opened and pressed, the rule is on."""
    done = routed.cli("route", "add", "waits@example.com", "--forward", "new@corp.example")
    assert done.returncode == 0
    assert "new@corp.example is not verified; until it is, the rule has no effect" in done.stderr
    link = routed.json("route", "destination", "add", "new@corp.example")["link"]
    assert link.startswith(f"{routed.http}/routing/verify/")

    def state() -> str:
        (line,) = [line for line in routed.cli("route", "list").stdout.splitlines() if "waits@example.com" in line]
        return line.partition("new@corp.example")[2].strip()

    assert state() == "unverified"
    with urllib.request.urlopen(urllib.request.Request(link, data=b"", method="POST"), timeout=30) as answer:
        assert answer.status == 200
    assert state() == "enabled"
    assert routed.cli("route", "add", "other@example.com", "--forward", "new@corp.example").stderr == ""


def test_a_relay_that_is_away_costs_no_mail(tmp_path: Path) -> None:
    """250 while the relay is down: the mail is kept, and leaves by itself once it is there, also after a restart."""
    sink = Sink()
    with listening(sink):
        pass
    system = System(tmp_path / "home", settings={"DMARCWORKS_RELAY_URL": sink.url, "DMARCWORKS_FORWARD_AUTH": "off"})
    system.start()
    system.add_domain("example.com")
    system.json("route", "destination", "add", "inbox@corp.example", "--trust")
    add(system, "on@example.com", "--forward", "inbox@corp.example")
    wait_for(lambda: send(system, "on@example.com", mail("kept"))[0] == 250, "the rule in effect")
    assert [row["kind"] for row in system.rows("SELECT kind FROM outbound")] == ["forward"]
    assert system.stop() == 0
    # What waits a minute for its next try is due now.
    with sqlite3.connect(system.home / "dmarcworks.db") as connection:
        connection.execute("UPDATE outbound SET ready = 0")
    with listening(sink):
        system.start()
        wait_for(lambda: sink.taken, "the mail sent on")
        wait_for(lambda: not system.rows("SELECT id FROM outbound"), "nothing waiting")
        assert system.stop() == 0
    assert sink.taken[0][2].endswith(mail("kept"))
    assert list((system.home / "objects" / "outbound").glob("*")) == []
