"""What is open to programs on this machine only stays closed to browsers, proxies and everyone else."""

from __future__ import annotations

import json
import os
import pty
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.system import COMMAND, System, wait_for
from tests.support.webclient import FORM, call

MAIL = b"From: A friend <friend@example.org>\r\nMessage-ID: <1@example.org>\r\nSubject: x\r\n\r\nHello\r\n"
INJECT = "/cdn-cgi/handler/email?from=friend@example.org&to=nobody@reports.example.net"
FORWARDED = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Forwarded",
    "X_Forwarded_For",
    "Forwarded-For",
    "X-Original-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-Ray",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "X-Envoy-External-Address",
    "X-Azure-ClientIP",
    "X-Azure-SocketIP",
    "X-Azure-Ref",
    "X-Nf-Client-Connection-Ip",
    "X-Peer-IP",
    "X-Visitor-IP",
    "Pseudo-IP",
    "X-Nginx-Proxy",
    "Incap-Proxy-4",
    "Front-End-Https",
    "X-Scheme",
    "X-Url-Scheme",
    "X-Rewrite-URL",
    "X-Remote-User",
    "X-SSL-Client-Cert",
    "SSL-Client-Verify",
    "X-Varnish",
    "Surrogate-Capability",
    "Fastly-FF",
    "Akamai-Origin-Hop",
    "X-Cloud-Trace-Context",
    "X-AppEngine-Country",
    "X-Request-Start",
    "Early-Data",
    "X-Remote-Addr",
    "X-ProxyUser-Ip",
    "Via",
    "CDN-Loop",
)


def secret(system: System) -> str:
    return str(json.loads((system.home / "running.json").read_text())["secret"])


def listeners(system: System, headers: dict[str, str], url: str = "", source: str = "127.0.0.1") -> tuple[int, int]:
    """What the two local doors answer: 400 (no such recipient) and 200 when they are open."""
    inject = call(url or system.http, "POST", INJECT, MAIL, headers, source=source)
    operator = {"Authorization": f"Bearer {secret(system)}", **headers}
    return inject.status, call(url or system.http, "GET", "/internal/ping", None, operator, source=source).status


@pytest.mark.parametrize("name", FORWARDED)
def test_no_header_of_a_proxy_may_be_there(system: System, name: str) -> None:
    """A proxy on this machine speaks for somebody else, whatever it writes: also an empty or a loopback address."""
    for value in ("", "127.0.0.1", "203.0.113.5"):
        assert listeners(system, {name: value}) == (401, 401)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "10.0.0.1", ""],
)
def test_a_name_that_leads_here_is_not_local(system: System, host: str) -> None:
    """A web page whose own DNS name was pointed at 127.0.0.1 (DNS rebinding) has that name as `Host`."""
    assert listeners(system, {"Host": host}) == (401, 401)
    assert listeners(system, {"Host": f"{host}:8080"}) == (401, 401)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7:1", "[::1]", "[::1]:8080", "localhost", "LOCALHOST:80"])
def test_a_loopback_host_is_local(system: System, host: str) -> None:
    """Any loopback address, with any port: there may be a forwarded port in between."""
    assert listeners(system, {"Host": host}) == (400, 200)


def test_a_page_in_a_browser_is_not_local(system: System) -> None:
    """A page that somebody on this machine looks at cannot put mail in, with the right `Host` or not."""
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert call(system.http, "POST", INJECT, MAIL, headers).status == 401


def own_address() -> str:
    """An address of this machine that is no loopback address; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@pytest.fixture(params=["127.0.0.5", "0.0.0.0", "::", "::1", "localhost", "own"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    host = own_address() if request.param == "own" else request.param
    if ":" in host and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    system = System(tmp_path / "home", {"DMARCWORKS_HTTP_HOST": host})
    system.start()
    yield system
    system.stop()


def test_commands_reach_the_server_wherever_it_listens(elsewhere: System) -> None:
    """`sql` asks the running server, through a loopback address in any case."""
    elsewhere.add_domain("example.com")
    done = elsewhere.cli("sql", "SELECT count() AS n FROM dmarc_reports", "--format", "JSONEachRow")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["n"] in (0, "0")


def test_the_machines_other_addresses_are_not_local(tmp_path: Path) -> None:
    """Who comes to the address that others use is remote, also from this machine and with the secret."""
    address = own_address()
    system = System(tmp_path / "home", {"DMARCWORKS_HTTP_HOST": "0.0.0.0"})
    system.start()
    try:
        port = system.http.rpartition(":")[2]
        assert listeners(system, {}, f"http://{address}:{port}", address) == (401, 401)
        assert listeners(system, {"Host": "127.0.0.1"}, f"http://{address}:{port}", address) == (401, 401)
    finally:
        system.stop()


def test_redirects_never_take_the_host(system: System) -> None:
    """Whatever `Host` and `X-Forwarded-Host` say, a redirect is a path of this site."""
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}
    for path, to in (
        ("/", "/login"),
        ("/reports", "/login?next=%2Freports"),
        ("/reports/?page=2", "/reports?page=2"),
        ("/login/", "/login"),
    ):
        answer = call(system.http, "GET", path, None, headers)
        assert (answer.status in (303, 307), answer.headers["location"]) == (True, to)
    for path in ("//evil.example/", "//evil.example/login/", "/%5Cevil.example/", "/%2F%2Fevil.example/", "/nothing/"):
        answer = call(system.http, "GET", path, None, headers)
        assert (answer.status, "location" in answer.headers) == (404, False)


def test_the_first_link_is_in_a_file_of_the_owner_only(tmp_path: Path) -> None:
    """Not in what the server prints or logs; named again after a restart, gone once it is used."""
    system = System(tmp_path / "home")
    system.start()
    path = (system.home / "first-login").resolve()
    link = system.login_link()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert link.startswith(f"{system.http}/login/")
    assert f"First login (once, within 24 hours): {path} holds the link" in system.output.read_text()
    token = link.rpartition("/")[2]
    assert token not in system.output.read_text() + system.log.read_text()
    assert system.stop() == 0
    system.start()
    assert f"First login (once): {path} holds the link" in system.output.read_text()
    assert call(system.http, "POST", "/login/other", "", FORM).status == 410
    assert path.exists()
    assert call(system.http, "POST", f"/login/{token}", "", FORM).status == 303
    assert not path.exists()
    assert system.stop() == 0


def test_an_unused_first_link_follows_the_public_url(tmp_path: Path) -> None:
    """A start with another public URL writes the same link with that address; its age stays that of the link."""
    system = System(tmp_path / "home")
    system.start()
    path = system.home / "first-login"
    secret, made = system.login_link().rpartition("/")[2], path.stat().st_mtime
    assert system.stop() == 0
    system.settings["DMARCWORKS_PUBLIC_URL"] = "https://dmarc.example.net"
    system.start()
    assert path.read_text() == f"https://dmarc.example.net/login/{secret}\n"
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime) == (0o600, made)
    path.unlink()
    assert system.stop() == 0
    system.start()
    # The name that a new link is for need not be guessed.
    assert "dmarcworks user link admin@localhost\n" in system.output.read_text()
    assert system.stop() == 0


def test_a_file_of_an_expired_link_is_removed(tmp_path: Path) -> None:
    """At the next start; the link is worth nothing any more."""
    system = System(tmp_path / "home")
    system.start()
    assert system.stop() == 0
    with sqlite3.connect(system.home / "dmarcworks.db") as connection:
        connection.execute("UPDATE secrets SET expires = 1")
    system.start()
    assert not (system.home / "first-login").exists()
    assert "first-login" not in system.output.read_text()
    assert system.stop() == 0


def test_nothing_is_written_through_a_link_in_the_files_place(tmp_path: Path) -> None:
    """A symbolic link that somebody put there is not followed: its target stays as it was."""
    system = System(tmp_path / "home")
    system.home.mkdir()
    (tmp_path / "victim").write_text("mine")
    (system.home / "first-login").symlink_to(tmp_path / "victim")
    system.start()
    assert (tmp_path / "victim").read_text() == "mine"
    assert system.stop() == 0


def test_a_terminal_shows_the_first_link(tmp_path: Path) -> None:
    """On a terminal the link itself is printed, and no file is made."""
    system = System(tmp_path / "home")
    ours, theirs = pty.openpty()
    with system.log.open("ab") as log:
        system.process = subprocess.Popen([*COMMAND, "serve"], env=system.environment, stdout=theirs, stderr=log)
    os.close(theirs)
    shown = b""

    def read() -> bool:
        nonlocal shown
        shown += os.read(ours, 4096)
        return b"domain add" in shown

    try:
        wait_for(read, "up")
        url = json.loads((system.home / "running.json").read_text())["http"]
        line = next(line for line in shown.decode().splitlines() if "First login" in line)
        assert line.strip().startswith(f"First login (once, within 24 hours): {url}/login/")
        assert not (system.home / "first-login").exists()
    finally:
        assert system.stop() == 0
        os.close(ours)
