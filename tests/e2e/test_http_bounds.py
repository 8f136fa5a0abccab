"""What a client may take over HTTP, from outside, over real sockets: time, connections, bytes; who leaves, leaves."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.support.mails import report_mail
from tests.support.system import COMMAND, System, wait_for

SETTINGS = {
    "DMARCWORKS_HTTP_HEADER_SECONDS": "1",
    "DMARCWORKS_HTTP_BODY_SECONDS": "2",
    "DMARCWORKS_HTTP_WRITE_SECONDS": "1",
    "DMARCWORKS_HTTP_IDLE_SECONDS": "1",
    "DMARCWORKS_HTTP_BYTES_PER_SECOND": "300000",
    "DMARCWORKS_HTTP_TRANSFER_BYTES": str(5 << 18),
    "DMARCWORKS_MAIL_BYTES": str(1 << 20),
    "DMARCWORKS_SQL_SECONDS": "600",
    "DMARCWORKS_SMTP_IDLE_SECONDS": "5",
}
# Every row with every other, five times over: hours of work from a hundred rows.
ENDLESS = (
    "SELECT count() FROM dmarc_reports AS a JOIN dmarc_reports AS b ON a.org_name = b.org_name"
    " JOIN dmarc_reports AS c ON a.org_name = c.org_name JOIN dmarc_reports AS d ON a.org_name = d.org_name"
    " JOIN dmarc_reports AS e ON a.org_name = e.org_name JOIN dmarc_reports AS f ON a.org_name = f.org_name"
)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system whose deadlines are a second, with a report of 150 records; it ends without a trace in its log."""
    running = System(tmp_path_factory.mktemp("http") / "home", SETTINGS)
    running.start()
    running.add_domain("example.com")
    raw = report_mail("1", records=[(f"192.0.2.{n}", 1, "pass", "pass") for n in range(150)])
    assert running.send(running.rua["example.com"], raw) == [(250, "")]
    wait_for(lambda: running.total() == 150, "counted")
    running.token = running.json("token", "create", "--scope", "write")["token"]
    yield running
    assert running.stop() == 0
    log = running.log.read_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]
    assert "exception" not in log.lower(), log


def connect(system: System) -> socket.socket:
    host, port = re.fullmatch(r"http://(.*):(\d+)", system.http).groups()  # type: ignore[union-attr]
    return socket.create_connection((host, int(port)), timeout=30)


def rest_of(client: socket.socket) -> bytes:
    """Everything until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65_536):
            found += piece
    return found


def metric(system: System, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", system.get("/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else 0.0


def post(system: System, path: str, body: bytes, *, length: int | None = None, headers: str = "") -> socket.socket:
    """A POST that is under way: its headers and this much of its body are sent."""
    client = connect(system)
    size = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.token}\r\n{headers}"
    client.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % size + body)
    return client


def sql_path(system: System) -> str:
    return f"/client/v4/accounts/{system.account_id}/analytics_engine/sql"


# Time -----------------------------------------------------------------------------------------------------------------


def test_headers_that_do_not_come_to_an_end_are_answered_with_408(system: System) -> None:
    with connect(system) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"the request did not arrive in time; send it again\n")


def test_headers_that_drip_are_late_all_the_same(system: System) -> None:
    """A byte now and then does not make the time longer."""
    with connect(system) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        client.settimeout(0.05)
        answer = b""
        for _ in range(600):
            with contextlib.suppress(TimeoutError):
                answer = client.recv(100)
                break
            with contextlib.suppress(OSError):
                client.sendall(b"x")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_says_nothing_is_closed(system: System) -> None:
    with connect(system) as client:
        assert rest_of(client) == b""


def test_a_connection_that_says_nothing_more_is_closed(system: System) -> None:
    with connect(system) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_later_request_has_a_deadline_too(system: System) -> None:
    with connect(system) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal")
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 408 Request Timeout\r\n" in answer


@pytest.mark.parametrize("path", ["sql", "/client/v4/graphql", "/api/v1/reports?domain=example.com", "/login"])
def test_a_body_that_does_not_come_is_answered_with_408(system: System, path: str) -> None:
    with post(system, sql_path(system) if path == "sql" else path, b"SELECT", length=1000) as client:
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_body_that_progresses_has_more_time(system: System) -> None:
    """700 kB are more than two seconds of grace: the body takes longer than its first two."""
    begun = time.monotonic()
    with post(system, "/api/v1/reports?domain=example.com", b"", length=700_000) as client:
        client.settimeout(0.18)
        for _ in range(13):
            client.sendall(b"x" * 50_000)
            with pytest.raises(TimeoutError):
                client.recv(1)  # no answer comes yet
        client.sendall(b"x" * 50_000)
        client.settimeout(30)
        assert client.recv(12) == b"HTTP/1.1 202"
    assert time.monotonic() - begun > 2.0


def test_an_answer_that_is_not_read_is_cut_off(system: System) -> None:
    before = metric(system, 'dmarcworks_http_ended_total{bound="write"}')
    page = re.search(r'src="(/static/[^"]*echarts[^"]*)"', system.get("/login")[1])
    path = page[1] if page else "/api/v1/openapi.json"
    with connect(system) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        # Sent ahead until no more is taken: the answers fill every buffer on the way.
        client.setblocking(False)
        ended = lambda: metric(system, 'dmarcworks_http_ended_total{bound="write"}') > before  # noqa: E731

        def pushed() -> bool:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                client.send(request * 20)
            return ended()

        wait_for(pushed, "cut off")


# Sizes ----------------------------------------------------------------------------------------------------------------


def test_headers_that_are_too_long_are_refused(system: System) -> None:
    with connect(system) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-Y: %s\r\n" % (b"z" * 1000) * 40)
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


def test_what_is_no_http_is_refused(system: System) -> None:
    with connect(system) as client:
        client.sendall(b"EHLO mail.example\r\n\r\n")
        assert rest_of(client).startswith(b"HTTP/1.1 400 Bad Request\r\n")


POSTS = [
    ("sql", 413),
    ("/client/v4/graphql", 413),
    ("/api/v1/reports?domain=example.com", 413),
    ("/api/v1/domains", 413),
    ("/cdn-cgi/handler/email?from=a@x.example&to=b@x.example", 400),
    ("/login", 413),
    ("/internal/sql", 413),
    ("/nowhere", 413),
]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "status"), POSTS)
def test_a_body_that_is_too_large_is_refused_before_its_end(
    system: System, path: str, status: int, chunked: bool
) -> None:
    """Of a body without end; of the one that says its length a part only is sent."""
    path = sql_path(system) if path == "sql" else path
    if not chunked:
        client = post(system, path, b"x" * 65_536, length=1 << 40)
        stop = threading.Event()
        sender = threading.Thread(target=_push, args=(client, b"x" * 65_536, stop))
    else:
        client = connect(system)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.token}\r\n"
        client.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        stop = threading.Event()
        sender = threading.Thread(target=_push, args=(client, b"10000\r\n" + b"x" * 65_536 + b"\r\n", stop))
    sender.start()
    try:
        with client:
            answer = client.recv(100)
    finally:
        stop.set()
        sender.join()
    expected = (status, 404, 401) if path in ("/nowhere", "/internal/sql") else (status,)
    assert int(answer.split()[1]) in expected, answer


def _push(client: socket.socket, piece: bytes, stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while not stop.is_set():
            client.sendall(piece)


def test_bodies_in_hand_have_a_budget(system: System) -> None:
    """1.25 MiB together: with one of 0.7 MB under way, another is refused with 503 and comes through afterwards."""
    path = "/api/v1/reports?domain=example.com"
    before = metric(system, 'dmarcworks_http_ended_total{bound="bytes"}')
    body = gzip.compress(b"", 0) + b"x" * 700_000
    with post(system, path, body[:-1], length=len(body)) as first:
        wait_for(lambda: metric(system, "dmarcworks_http_body_bytes") > len(body) - 100_000, "in hand")
        with post(system, path, body) as second:
            answer = http.client.HTTPResponse(second)
            answer.begin()
            text = answer.read()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert b"the server is receiving too many bytes of requests; try again" in text
        first.sendall(body[-1:])
        assert first.recv(12) == b"HTTP/1.1 202"
    assert metric(system, 'dmarcworks_http_ended_total{bound="bytes"}') == before + 1
    with post(system, path, body) as third:
        assert third.recv(12) == b"HTTP/1.1 202"


def test_tiny_chunks_do_not_keep_others_waiting(system: System) -> None:
    """A megabyte in chunks of one byte is parsed between the requests of others: they are answered meanwhile."""
    done = threading.Event()
    client = connect(system)
    head = f"POST {sql_path(system)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.token}\r\n"
    client.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
    sender = threading.Thread(target=_push, args=(client, b"1\r\nx\r\n" * 20_000, done))
    sender.start()
    try:
        assert [system.get("/healthz")[0] for _ in range(20)] == [200] * 20
    finally:
        done.set()
        client.close()
        sender.join()


# Who leaves -----------------------------------------------------------------------------------------------------------


def cancelled(system: System) -> int:
    found = system.rows(
        "SELECT count(*) AS n FROM query_log WHERE error = 'cancelled: the client left before the answer'"
    )
    return int(found[0]["n"])


def test_a_statement_ends_when_its_client_has_left(system: System) -> None:
    """More endless ones than run side by side, each left alone: the account's next statement is answered."""
    before = cancelled(system)
    clients = [post(system, sql_path(system), ENDLESS.encode()) for _ in range(4)]
    wait_for(lambda: _statements(system) == (1, 3), "one running and three waiting")
    for client in clients:
        client.close()
    wait_for(lambda: cancelled(system) == before + 4, "cancelled")
    assert _statements(system) == (0, 0)
    assert system.sql("SELECT count() AS n FROM dmarc_reports") == [{"n": 150}]
    assert metric(system, "dmarcworks_http_left_total") >= 4


def test_a_client_that_sent_ahead_is_seen_to_leave_too(system: System) -> None:
    before = cancelled(system)
    client = post(system, sql_path(system), ENDLESS.encode())
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    wait_for(lambda: _statements(system)[0] >= 1, "running")
    client.close()
    wait_for(lambda: cancelled(system) == before + 1, "cancelled")


def test_the_dashboards_statement_ends_too(system: System) -> None:
    before = cancelled(system)
    host, port = system.http.removeprefix("http://").split(":")
    link = system.login_link().removeprefix(system.http)
    browser = http.client.HTTPConnection(host, int(port), timeout=30)
    browser.request("GET", link)
    page = browser.getresponse().read().decode()
    token = re.search(r'name="csrf" value="([^"]*)"', page)
    browser.request(
        "POST", link, f"csrf={token[1] if token else ''}", {"Content-Type": "application/x-www-form-urlencoded"}
    )
    answer = browser.getresponse()
    answer.read()
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    browser.request("GET", "/sql", headers={"Cookie": cookie})
    csrf = re.search(r'name="csrf" value="([^"]+)"', browser.getresponse().read().decode())
    assert csrf
    body = urlencode({"csrf": csrf[1], "text": ENDLESS})
    browser.request("POST", "/sql", body, {"Cookie": cookie})
    wait_for(lambda: _statements(system)[0] >= 1, "running")
    browser.close()
    wait_for(lambda: cancelled(system) == before + 1, "cancelled")


def test_the_commands_statement_ends_when_it_is_interrupted(system: System) -> None:
    before = cancelled(system)
    command = subprocess.Popen(
        [*COMMAND, "sql", ENDLESS], env=system.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(lambda: _statements(system)[0] >= 1, "running")
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=30)
    wait_for(lambda: cancelled(system) == before + 1, "cancelled")


def _statements(system: System) -> tuple[int, int]:
    """How many run, and how many wait for their turn."""
    running, waiting = (metric(system, f'dmarcworks_statements{{state="{state}"}}') for state in ("running", "waiting"))
    return int(running), int(waiting)


def test_clients_that_leave_make_no_trace_in_the_log(system: System) -> None:
    """In the middle of a body, of an answer, of a handshake; by FIN and by reset. The log is looked at in the end."""
    paths = [sql_path(system), "/client/v4/graphql", "/api/v1/reports?domain=example.com", "/login", "/api/v1/domains",
             "/internal/sql", "/cdn-cgi/handler/email?from=a@x.example&to=b@x.example"]  # fmt: skip
    for reset in (False, True):
        for path in paths:
            with post(system, path, b"{", length=1000) as client:
                _reset(client, reset)
        for path in ("/api/v1/exports/records", "/login", "/api/v1/exports/records?format=parquet"):
            with connect(system) as client:
                client.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {system.token}\r\n\r\n".encode()
                )
                _reset(client, reset)
        with socket.create_connection(system.smtp) as client:
            client.sendall(b"EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<" + system.rua["example.com"].encode())
            _reset(client, reset)
        with socket.create_connection(system.smtp) as client:
            rcpt = b"RCPT TO:<" + system.rua["example.com"].encode() + b">\r\n"
            client.sendall(b"EHLO x\r\nMAIL FROM:<a@x.example>\r\n" + rcpt + b"DATA\r\n")
            client.sendall(b"Subject: x\r\n\r\n" + b"y" * 100_000)
            _reset(client, reset)
    with connect(system) as client:  # a bad request sent ahead, while the one before is answered
        client.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n\0\0\0\r\n\r\n")
        rest_of(client)
    assert system.get("/healthz")[0] == 200


def _reset(client: socket.socket, wanted: bool) -> None:
    """With what is unread and no lingering, a close is a reset."""
    if wanted:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
