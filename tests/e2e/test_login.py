"""Log-ins under attack: nobody waits for another's password, nobody is locked out by another, all of it is noted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.system import System, wait_for
from tests.support.webclient import FORM, call, csrf, log_in, set_password

PASSWORD = "correct horse battery"
Start = Callable[..., System]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a system with settings; its first user has a password and logged in from 127.0.0.1 only."""
    running: list[System] = []

    def begin(**settings: str) -> System:
        system = System(tmp_path / "home", settings)
        running.append(system)
        system.start()
        system.session = set_password(system.http, system.login_link(), PASSWORD)  # type: ignore[attr-defined]
        return system

    yield begin
    for system in running:
        if system.alive:
            system.stop()


def entries(system: System) -> list[dict[str, Any]]:
    """What the audit log has about log-ins, oldest first."""
    columns = "actor, name, action, target, detail, peer, account_id IS NULL AS nobodys"
    return [
        {**row, "detail": json.loads(row["detail"])}
        for row in system.rows(f"SELECT {columns} FROM audit WHERE action LIKE 'user.log-%' ORDER BY id")
        if row["action"] != "user.login-link"
    ]


def events(system: System) -> list[dict[str, Any]]:
    """The log's lines about log-ins, without their times."""
    lines = [json.loads(line) for line in system.log.read_text().splitlines() if line.startswith("{")]
    wanted = ("login", "login failed", "login refused", "logout")
    return [
        {name: value for name, value in line.items() if name != "timestamp"}
        for line in lines
        if line["event"] in wanted
    ]


def test_a_forged_forwarding_header_escapes_no_limit(start: Start) -> None:
    """A program on this machine that names another client each time is one address all the same."""
    system = start()
    statuses = []
    for number in range(8):
        headers = {
            "X-Forwarded-For": f"203.0.113.{number}",
            "Forwarded": f"for=203.0.113.{number}",
            "X-Real-IP": f"203.0.113.{number}",
        }
        statuses.append(log_in(system.http, f"u{number}@example.com", "wrong", headers=headers).status)
    assert statuses == [401] * 5 + [429] * 3
    assert {entry["peer"] for entry in entries(system)} == {"127.0.0.1"}


def test_others_are_answered_while_passwords_are_checked(start: Start) -> None:
    """While 50 people log in at once, /healthz is answered several times for each of them."""
    system = start()
    done = threading.Event()

    def healths() -> int:
        count = 0
        while not done.is_set():
            assert system.get("/healthz")[0] == 200
            count += 1
        return count

    def one(number: int) -> int:
        return log_in(system.http, f"u{number}@example.com", "wrong", source=f"127.0.1.{number + 1}").status

    with ThreadPoolExecutor(51) as pool:
        counting = pool.submit(healths)
        try:
            statuses = list(pool.map(one, range(50)))
        finally:
            done.set()
        answered = counting.result()
    assert statuses == [401] * 50
    # A check takes many times as long as an answer of /healthz; one at a time and nothing beside it would be about 50.
    assert answered > 150


def test_more_log_ins_than_can_wait_are_told_to_come_again(start: Start) -> None:
    """Of 140 at once at least 66 are checked; the others get 503 with Retry-After, and later ones are checked again."""
    system = start(DMARCWORKS_LOGIN_FAILURES_PER_MINUTE="1000")

    def one(number: int) -> tuple[int, str]:
        answer = log_in(system.http, f"u{number}@example.com", "wrong", source=f"127.0.2.{number + 1}")
        return answer.status, answer.headers.get("retry-after", "")

    with ThreadPoolExecutor(140) as pool:
        answers = list(pool.map(one, range(140)))
    assert set(answers) <= {(401, ""), (503, "5")}
    assert answers.count((401, "")) >= 66
    assert log_in(system.http, "admin@localhost", PASSWORD, source="127.0.2.200").status == 303


def test_tries_from_elsewhere_lock_nobody_out_where_they_are_known(start: Start) -> None:
    """Ten wrong tries for a user from ten addresses: 429 from new addresses; from theirs not, over a restart too."""
    system = start()
    assert log_in(system.http, "admin@localhost", PASSWORD, source="127.0.3.1").status == 303
    assert system.stop() == 0
    system.start()
    for name, last in (("admin@localhost", "127.0.3.200"), ("Nobody@example.com", "127.0.3.201")):
        tries = [log_in(system.http, name, "wrong", source=f"127.0.3.{2 + number}") for number in range(12)]
        assert [answer.status for answer in tries] == [401] * 10 + [429] * 2
        # The right password from an unknown address waits like any other: nothing is learnt from the answer.
        right = log_in(system.http, name.lower(), PASSWORD, source=last)
        assert (right.status, 240 <= int(right.headers["retry-after"]) <= 302) == (429, True)
    assert log_in(system.http, "admin@localhost", PASSWORD, source="127.0.3.1").status == 303


def test_tries_of_a_neighbour_lock_nobody_out_who_is_known_there(start: Start) -> None:
    """Somebody uses up the tries of an address; who logged in there before still can, and has a limit of their own."""
    system = start()
    statuses = [log_in(system.http, f"u{number}@example.com", "wrong").status for number in range(6)]
    assert statuses == [401] * 5 + [429]
    assert log_in(system.http, "admin@localhost", PASSWORD).status == 303
    statuses = [log_in(system.http, "admin@localhost", "wrong").status for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_all_failed_log_ins_together_have_a_limit(start: Start) -> None:
    """From ever new addresses for ever new users: 429 after so many; links and familiar people still log in."""
    system = start(DMARCWORKS_LOGIN_FAILURES_PER_MINUTE="12")
    link = system.cli("user", "link", "admin@localhost").stdout.strip()
    tries = [log_in(system.http, f"u{n}@example.com", "wrong", source=f"127.0.4.{n + 1}").status for n in range(14)]
    assert tries == [401] * 12 + [429] * 2
    assert log_in(system.http, "admin@localhost", PASSWORD).status == 303
    path = link.removeprefix(system.http)
    assert call(system.http, "POST", path, "", FORM, source="127.0.4.100").status == 303


def test_what_is_noted_about_log_ins(start: Start) -> None:
    """Who, from where, how and why not, with the name as typed; never the password, in no log."""
    system = start()
    odd = 'eve", "address": "192.0.2.1\r\n\x1b[2J\u202e' + "x" * 400
    noted = ('eve", "address": "192.0.2.1\ufffd\ufffd\ufffd[2J\ufffd' + "x" * 400)[:320]
    assert log_in(system.http, odd, "s3cret-of-eve", source="127.0.5.1").status == 401
    assert log_in(system.http, "admin@localhost", "s3cret-of-admin", source="127.0.5.1").status == 401
    cookie = log_in(system.http, "admin@localhost", PASSWORD, source="127.0.5.2").cookie
    token = csrf(system.http, cookie)
    out = call(system.http, "POST", "/logout", f"csrf={token}", {**FORM, "Cookie": cookie}, source="127.0.5.2")
    assert out.status == 303
    link = system.cli("user", "link", "admin@localhost").stdout.strip().removeprefix(system.http)
    assert call(system.http, "POST", link, "", FORM, source="127.0.5.3").status == 303
    assert call(system.http, "POST", link, "", FORM, source="127.0.5.3").status == 410
    assert call(system.http, "POST", "/login/nonsense", "", FORM, source="127.0.5.3").status == 410
    wrong = "wrong name or password"

    def entry(actor: str, action: str, target: str, detail: dict[str, str], peer: str, nobodys: int) -> dict[str, Any]:
        name = "admin@localhost" if actor == "user" else ""
        values = {"actor": actor, "name": name, "action": f"user.{action}", "target": target}
        return {**values, "detail": detail, "peer": peer, "nobodys": nobodys}

    admin = "admin@localhost"
    assert entries(system) == [
        entry("user", "log-in", admin, {"by": "link"}, "127.0.0.1", 0),
        entry("user", "log-in", admin, {"by": "new password"}, "127.0.0.1", 0),
        entry("visitor", "log-in-failed", noted, {"reason": wrong}, "127.0.5.1", 1),
        entry("visitor", "log-in-failed", admin, {"reason": wrong}, "127.0.5.1", 0),
        entry("user", "log-in", admin, {"by": "password"}, "127.0.5.2", 0),
        entry("user", "log-out", admin, {}, "127.0.5.2", 0),
        entry("user", "log-in", admin, {"by": "link"}, "127.0.5.3", 0),
        entry("visitor", "log-in-failed", admin, {"reason": "used link"}, "127.0.5.3", 0),
        entry("visitor", "log-in-failed", "", {"reason": "unknown link"}, "127.0.5.3", 1),
    ]
    wait_for(lambda: len(events(system)) == 9, "written")
    warning = {"event": "login failed", "level": "warning"}
    assert [event for event in events(system) if event["level"] == "warning"] == [
        {"address": "127.0.5.1", "user": noted, "reason": wrong, **warning},
        {"address": "127.0.5.1", "user": admin, "reason": wrong, **warning},
        {"address": "127.0.5.3", "user": "", "reason": "used link", **warning},
        {"address": "127.0.5.3", "user": "", "reason": "unknown link", **warning},
    ]
    said = system.log.read_text() + system.output.read_text() + json.dumps(system.rows("SELECT * FROM audit"))
    for secret in ("s3cret-of", PASSWORD, link.rpartition("/")[2], cookie.partition("=")[2]):
        assert secret not in said


def test_an_unknown_user_and_a_wrong_password_are_answered_alike(start: Start) -> None:
    """The same status, headers and page; a user without a password and an impossible name are no exceptions."""
    system = start()
    assert system.cli("user", "add", "new@example.com").returncode == 0
    names = ("admin@localhost", "new@example.com", "nobody@example.com", "nul\0@example.com", "")
    answers = [log_in(system.http, name, "wrong", source=f"127.0.6.{n + 1}") for n, name in enumerate(names)]
    assert [answer.status for answer in answers] == [401] * 5
    known, *others = [
        answer.text.replace(name.replace("\0", "\ufffd"), "") for name, answer in zip(names, answers, strict=True)
    ]
    assert "Wrong e-mail address or password." in known
    assert others[:2] == [known, known]
    assert {tuple(sorted(set(answer.headers) - {"date"})) for answer in answers} == {
        tuple(sorted(set(answers[0].headers) - {"date"}))
    }
