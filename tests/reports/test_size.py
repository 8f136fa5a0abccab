"""Large and hostile inputs stay inside their bounds of memory and time, measured in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from isal import igzip

from tests.support.report_samples import feedback, record

# A child begins with its parent's peak memory (getrusage), and a long test run is large: a small shell in between.
SMALL_PARENT = ("/bin/sh", "-c", '"$0" "$@"; exit $?')
SOURCE = Path(__file__).parents[2] / "src"
# Peak memory above what the imports take, bytes that were inflated, and bytes that a reader was given.
_MEASURE = """
import resource, sys
from dmarcworks.reports import archive, unpack
from dmarcworks.reports.read import read_bytes
inflated = given = 0
gunzip, opened = archive.gunzip, unpack._Source.open
def counting(*arguments):
    global inflated
    for chunk in gunzip(*arguments):
        inflated += len(chunk)
        yield chunk
def giving(source):
    global given
    for chunk in opened(source):
        given += len(chunk)
        yield chunk
archive.gunzip, unpack._Source.open = counting, giving
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
reading = read_bytes(data, "a.gz")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
items = [(len(item.report.records), item.report.messages) for item in reading.items]
print(items, [problem.reason for problem in reading.problems], peak, peak - before, inflated, given, sep="|")
"""
MIB = 1024 * 1024


@dataclass(frozen=True)
class Measured:
    items: str
    problems: str
    peak: int
    grown: int
    inflated: int
    given: int


def measure(path: Path) -> Measured:
    run = subprocess.run(
        [*SMALL_PARENT, sys.executable, "-c", _MEASURE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PYTHONPATH": str(SOURCE)},
    )
    items, problems, *numbers = run.stdout.strip().split("|")
    return Measured(items, problems, *map(int, numbers))


def packed(path: Path, head: bytes, piece: bytes, times: int, tail: bytes = b"") -> Path:
    with igzip.open(path, "wb", compresslevel=0) as file:
        file.write(head)
        for _ in range(times):
            file.write(piece)
        file.write(tail)
    return path


@pytest.mark.parametrize("usual", [True, False])
def test_200_000_records_are_read_in_flat_memory(tmp_path: Path, usual: bool) -> None:
    """140 MiB of XML, exact to the unit, under 200 MB in all, by the quick way and by the general one."""
    head, tail = feedback("!").split("!")
    pieces = "".join(
        record(n % 7, f"192.0.{n % 200}.{n % 250}").replace("><", ">\n      <") + ("" if usual else "<!-- -->")
        for n in range(1000)
    ).encode()
    found = measure(packed(tmp_path / "a.gz", head.encode(), pieces, 200, tail.encode()))
    assert (found.items, found.problems) == (f"[(200000, {200 * sum(n % 7 for n in range(1000))})]", "[]")
    assert found.peak < 200_000
    # Read once, and measured once before the most of it was read.
    assert found.inflated < 2.1 * found.given


def test_a_bomb_is_refused_in_a_moment_and_little_memory(tmp_path: Path) -> None:
    """Gzip that inflates to 1 GiB: refused after two times the bound at the speed of inflating, next to nothing of it
    is parsed, under 100 MB; by what it holds at once, or else by the bound."""
    good = feedback("!").split("!")[0].encode()
    for name, head, piece, reason in (
        ("zeros", b"", b"\0", "empty"),
        ("xml", b"<feedback>", b" ", "beside_records"),
        ("tags", b"<feedback>", b"<a/>", "beside_records"),
        ("records", b"<feedback>", b"<record/>" + b"<p/>" * 2000, "beside_records"),
        ("extension", b"<feedback><extension>", b"<record/>" + b"<p/>" * 2000, "beside_records"),
        ("inside", b"<feedback><record><row>", b"<count/>" * 100, "beside_records"),
        ("doubled", b"<feedback>", b"<report_metadata/>" * 50 + b"<record/>", "beside_records"),
        ("plausible", good, record(1).replace("><", ">\n<").encode(), "inflated_bytes"),
        ("unusual", good, record(1).encode() + b"<!-- -->", "inflated_bytes"),
    ):
        path = packed(tmp_path / f"{name}.gz", head, piece * (MIB // len(piece)), 1024)
        found = measure(path)
        assert found.items == "[]", name
        assert found.problems.rsplit(", ", 1)[-1].strip("[]'") == reason, (name, found)
        assert found.grown < 100_000, (name, found)
        assert found.given < 40 * MIB, (name, found)
        assert found.inflated < 2.2 * 256 * MIB, (name, found)
