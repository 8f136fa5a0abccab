"""Reading hostile bytes takes time in proportion to their number: each kind at one size and at four times that size."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dmarcworks.reports.lint.check import lint_bytes, lint_mail
from dmarcworks.reports.read import read_bytes, read_mail
from dmarcworks.reports.redact import HEADERS as KEEP_HEADERS
from dmarcworks.reports.redact import redact
from dmarcworks.routing.activity_line import field
from dmarcworks.workers.message import Headers
from tests.support import hostile

# Linear work takes four times as long at four times the size, quadratic work sixteen times.
_SMALL, _TIMES, _MOST = 400_000, 4, 9.0
# Below this, in seconds, a time says nothing.
_FLOOR = 0.03
# Processor time of a child that does a whole group: a quadratic reader does not come near the end of it.
_SECONDS = 240


def _header(raw: bytes) -> None:
    head = raw[:65_536]
    field(head, "subject")
    headers = Headers.of(raw)
    headers.decoded("subject")
    headers.get_all("from")


def _redacted(raw: bytes) -> None:
    redact(raw, KEEP_HEADERS)


CASES: dict[str, tuple[dict[str, hostile.Kind], Callable[[bytes], object]]] = {
    "read headers": (hostile.HEADERS, read_mail),
    "read parts": (hostile.PARTS, read_mail),
    "read failures": (hostile.FAILURES, read_mail),
    "read files": (hostile.FILES, read_bytes),
    "lint headers": (hostile.HEADERS, lint_mail),
    "lint parts": (hostile.PARTS, lint_mail),
    "lint files": (hostile.FILES, lint_bytes),
    "redact failures": (hostile.FAILURES, _redacted),
    "headers for workers": (hostile.HEADERS, _header),
}


def measure(case: str) -> None:
    """In a child: processor time of each kind at both sizes, a line of JSON each; ended by the kernel when it hangs."""
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    kinds, work = CASES[case]
    for name, kind in kinds.items():
        print(json.dumps([name, 0, 0]), flush=True)
        small, large = (_least(work, kind(size)) for size in (_SMALL, _SMALL * _TIMES))
        print(json.dumps([name, small, large]), flush=True)


def _least(work: Callable[[bytes], object], data: bytes) -> float:
    least = 1e9
    for _ in range(3):
        started = time.process_time()
        work(data)
        least = min(least, time.process_time() - started)
        if least < _FLOOR:
            break
    return least


@pytest.mark.parametrize("case", CASES)
def test_four_times_the_bytes_take_about_four_times_as_long(case: str) -> None:
    """400 kB and 1.6 MB of each kind; the child is ended by its limit of processor time should it hang."""
    root = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    code = f"from tests.reports.test_growth import measure; measure({case!r})"
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (lines[-1:], done.stderr[-500:])
    found = {name: (small, large) for name, small, large in lines}
    assert list(found) == list(CASES[case][0])
    assert {name: times for name, times in found.items() if times[1] > max(_FLOOR, times[0]) * _MOST} == {}


@pytest.mark.parametrize("name", [*hostile.HEADERS, *hostile.PARTS])
def test_the_largest_mail_of_each_kind_is_read(name: str) -> None:
    """25 MB never raise and never are an unforeseen failure, whatever they hold."""
    kind = hostile.HEADERS.get(name) or hostile.PARTS[name]
    reading = read_mail(kind(25_000_000))
    assert len(reading.items) + len(reading.problems) > 0
    assert [problem for problem in reading.problems if problem.reason in ("internal", "unreadable_mail")] == []
