"""Mails whose header fields or nesting once kept the reader busy for minutes: the report in each is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.system import System, wait_for

NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=n%d\r\n\r\n--n%d\r\n" % (n, n) for n in range(50_000))
# The reason of the problem that each is listed as, and what stands before a mail with a report or in a part of it.
HEADS = (
    ("header_bytes", b"Subject: " + b"=?" * 500_000 + b"\r\n"),
    ("header_bytes", b"Subject:" + b" =?utf-8?q?a?=\r\n" * 100_000),
    ("header_bytes", b"X-Long: a" + b";\r\n a=b" * 1_000_000 + b"\r\n"),
    ("header_fields", b"X-Many: a\r\n" * 100_000),
)
PARTS = (
    ("header_bytes", b"Content-Type: text/plain" + b";\r\n a=b" * 1_000_000 + b"\r\n\r\nx\r\n"),
    ("header_bytes", b"Content-Type: text/plain" + b";" * 1_000_000 + b"\r\n\r\nx\r\n"),
    ("mime_depth", NESTED),
)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    running = System(tmp_path / "home")
    running.start()
    yield running
    if running.alive:
        running.stop()


def mails() -> list[tuple[str, bytes]]:
    """Each hostile mail, with a report of its own in it."""
    found = [(reason, head + report_mail(f"head {n}")) for n, (reason, head) in enumerate(HEADS)]
    for number, (reason, part) in enumerate(PARTS):
        first = b"--=_b\r\n"
        raw = report_mail(f"part {number}")
        found.append((reason, raw.replace(first, first + part + b"\r\n" + first, 1)))
    return found


def test_the_report_in_each_hostile_mail_is_counted_and_so_is_the_one_behind_it(system: System) -> None:
    """250 for every mail, 5 messages of every report, a problem that names the bound, and the raw mail kept."""
    system.add_domains("example.com")
    rua = system.rua["example.com"]
    hostile = mails()
    for number, (_, raw) in enumerate(hostile):
        assert system.send(rua, raw, report_mail(f"behind {number}")) == [(250, "")] * 2
    wait_for(lambda: system.total() == 10 * len(hostile), "every report counted")
    system.settle()
    problems = system.problems()
    assert sorted(problem["reason"] for problem in problems) == sorted(
        [reason for reason, _ in hostile] + ["header_parameters"]
    )
    for problem in problems:
        name = problem["reason"]
        assert f"{name} = " in problem["detail"]
        assert f"(setting DMARCWORKS_{name.upper()})" in problem["detail"]
        assert (system.home / "objects" / problem["object_key"]).read_bytes() in [raw for _, raw in hostile]
