"""Real proxies in front, as docs/operating.md shows them: the client's own address counts, and no forged one."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import free_port, program
from tests.support.system import System, wait_for
from tests.support.webclient import call, log_in

PAGE = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
FORGED = {
    "X-Forwarded-For": "203.0.113.66, 127.0.0.1",
    "Forwarded": 'for=203.0.113.66, for="',
    "X-Forwarded-Host": "evil.example",
}


def example(name: str) -> str:
    """The configuration that the page shows for a proxy."""
    _, heading, rest = PAGE.partition(f"\n{name}")
    assert heading, name
    lines = rest.partition(":\n\n")[2].partition("\n\n")[0].splitlines()
    assert all(line.startswith("    ") for line in lines)
    return "\n".join(line[4:] for line in lines) + "\n"


def nginx(text: str, port: int, http: str, folder: Path) -> list[str]:
    """The page's server on a port of loopback, without TLS."""
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};").replace("http://127.0.0.1:8080", http)
    text = re.sub(r" *ssl_certificate.*\n", "", text)
    around = f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\nhttp {{ access_log off;\n"
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"{around}{temporary}{text}}}\n")
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def caddy(text: str, port: int, http: str, folder: Path) -> list[str]:
    """The page's site likewise."""
    text = text.replace("dmarc.example.net {", f"http://:{port} {{\n  bind 127.0.0.1")
    text = text.replace("127.0.0.1:8080", http.removeprefix("http://"))
    (folder / "Caddyfile").write_text("{\n  admin off\n  auto_https off\n}\n" + text)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def haproxy(text: str, port: int, http: str, folder: Path) -> list[str]:
    """The page's front and back likewise."""
    text = re.sub(r"bind :443 ssl.*", f"bind 127.0.0.1:{port}", text)
    text = text.replace("127.0.0.1:8080", http.removeprefix("http://"))
    times = "defaults\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
    (folder / "haproxy.cfg").write_text(times + text)
    return [program("haproxy"), "-f", str(folder / "haproxy.cfg"), "-db"]


PROXIES: dict[str, Callable[[str, int, str, Path], list[str]]] = {"nginx": nginx, "Caddy": caddy, "HAProxy": haproxy}


@dataclass
class Behind:
    """A system, and the address of the proxy in front of it."""

    system: System
    url: str


@contextmanager
def running(name: str, system: System, folder: Path) -> Iterator[str]:
    """A proxy in front of the system; its address."""
    port = free_port()
    command = PROXIES[name](example(name), port, system.http, folder)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"}
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return call(url, "GET", "/healthz").status == 200
        except OSError:
            assert process.poll() is None, (folder / "log").read_text()
            return False

    try:
        wait_for(answers, "let through")
        yield url
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system that trusts the proxy at 127.0.0.1 and nobody else."""
    system = System(
        tmp_path_factory.mktemp("trusting") / "home", {"DMARCWORKS_TRUSTED_PROXIES": "127.0.0.1 2001:db8::/32"}
    )
    system.start()
    yield system
    assert system.stop() == 0


@pytest.fixture(scope="module", params=list(PROXIES))
def behind(
    request: pytest.FixtureRequest, trusting: System, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    with running(request.param, trusting, tmp_path_factory.mktemp("proxy")) as url:
        yield Behind(trusting, url)


def peers(system: System, name: str) -> list[Any]:
    """Where the failed log-ins of a name came from, by the audit log."""
    return [row["peer"] for row in system.rows(f"SELECT peer FROM audit WHERE target = '{name}' ORDER BY id")]


def test_the_real_client_counts_behind_a_proxy(behind: Behind) -> None:
    """Its own address is in the audit log and has its own limit, whatever it claims itself; the next one is not hit."""
    port = behind.url.rpartition(":")[2]
    # Addresses of this proxy's own: the other proxies' tests come in the same minute.
    name, one, other = f"{port}@example.com", f"127.0.{int(port) % 200 + 20}.1", f"127.0.{int(port) % 200 + 20}.2"
    for headers in ({}, FORGED):
        assert log_in(behind.url, name, "wrong", source=one, headers=headers).status == 401
    assert peers(behind.system, name) == [one, one]
    tries = [log_in(behind.url, f"{n}.{name}", "wrong", source=one, headers=FORGED).status for n in range(5)]
    assert tries == [401] * 3 + [429] * 2
    assert log_in(behind.url, name, "wrong", source=other, headers=FORGED).status == 401
    assert peers(behind.system, name) == [one, one, other]


def test_the_local_listeners_are_closed_behind_a_proxy(behind: Behind) -> None:
    """The proxy is on this machine and its client too: it is a stranger all the same."""
    path = "/cdn-cgi/handler/email?from=a@example.org&to=b@example.org"
    for headers in ({}, {"Host": "127.0.0.1"}):
        assert call(behind.url, "POST", path, b"Message-ID: <1@x>\r\n\r\n", headers).status == 401
        assert call(behind.url, "GET", "/internal/ping", None, headers).status == 404


def test_redirects_and_cookies_behind_a_proxy(behind: Behind) -> None:
    """A path of this site only; the link's session is not Secure, because this proxy was reached without TLS."""
    answer = call(behind.url, "GET", "/reports", None, {"Host": "evil.example", **FORGED})
    assert (answer.status, answer.headers["location"]) == (303, "/login?next=%2Freports")
    link = behind.system.cli("user", "link", "admin@localhost").stdout.strip().rpartition("/login/")[2]
    made = call(behind.url, "POST", f"/login/{link}", "", {"X-Forwarded-Proto": "https"}, source="127.0.7.9")
    assert (made.status, "secure" in made.headers["set-cookie"].lower()) == (303, False)


def test_what_a_trusted_proxy_says(trusting: System) -> None:
    """The last address that is no proxy counts; what is no address ends the walk; https makes cookies Secure."""
    cases = [
        ({"X-Forwarded-For": "203.0.113.66, 203.0.113.1"}, "203.0.113.1"),
        ({"X-Forwarded-For": "203.0.113.66, 203.0.113.2, 127.0.0.1, 2001:db8::9"}, "203.0.113.2"),
        ({"Forwarded": 'for=203.0.113.66, For="[2001:db9::3]:4711";proto=https, for="[2001:db8::1]"'}, "2001:db9::3"),
        ({"X-Forwarded-For": "203.0.113.66, unknown"}, "127.0.0.1"),
        ({"Forwarded": "for=203.0.113.66, for=_hidden"}, "127.0.0.1"),
        ({"X-Forwarded-For": "203.0.113.66", "Forwarded": "for=203.0.113.67"}, "127.0.0.1"),
        ({"X-Real-IP": "203.0.113.66"}, "127.0.0.1"),
    ]
    for number, (headers, expected) in enumerate(cases):
        name = f"case{number}@example.com"
        assert log_in(trusting.http, name, "wrong", headers=headers).status == 401
        assert peers(trusting, name) == [expected]
    # Not from the proxy's address: nothing is believed.
    assert log_in(trusting.http, "direct@example.com", "wrong", source="127.0.7.50", headers=cases[0][0]).status == 401
    assert peers(trusting, "direct@example.com") == ["127.0.7.50"]
    for headers, secure in (
        ({"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}, True),
        ({"Forwarded": "for=203.0.113.5;proto=https"}, True),
        ({"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "http"}, False),
        ({}, False),
    ):
        link = trusting.cli("user", "link", "admin@localhost").stdout.strip().rpartition("/login/")[2]
        made = call(trusting.http, "POST", f"/login/{link}", "", headers)
        assert (made.status, "secure" in made.headers["set-cookie"].lower()) == (303, secure)


def test_fail2ban_finds_the_address(trusting: System) -> None:
    """The documented expression takes the client's address from a line of the log, and no forged one."""
    found = re.search(r"^    failregex = (.+)$", PAGE, re.MULTILINE)
    assert found
    pattern = re.compile(found[1].replace("<HOST>", r"(?P<host>[0-9a-f.:]+)"))
    name = 'x", "address": "192.0.2.1", "event": "login failed", "y": "'
    assert log_in(trusting.http, name, "wrong", source="127.0.7.60").status == 401
    lines = [line for line in trusting.log.read_text().splitlines() if "192.0.2.1" in line]
    assert [match["host"] for line in lines if (match := pattern.search(line))] == ["127.0.7.60"]
