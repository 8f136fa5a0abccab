"""Large and hostile inputs stay inside their bounds of memory and time, measured in a process of their own."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from reports.report_samples import feedback, record

# A child begins with its parent's peak memory (getrusage), and a long test run is large: a small shell in between.
SMALL_PARENT = ("/bin/sh", "-c", '"$0" "$@"; exit $?')
SOURCE = Path(__file__).parents[2] / "src"
# Peak memory above what the imports take, and the reading's own seconds of processor time.
_MEASURE = """
import gzip, resource, sys, time
from dmarcworks.reports.read import read_bytes
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
reading = read_bytes(data, "a.gz")
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
items = [(len(item.report.records), item.report.messages) for item in reading.items]
print(items, [problem.reason for problem in reading.problems], peak, peak - before, seconds, sep="|")
"""


def measure(path: Path) -> tuple[str, str, int, int, float]:
    run = subprocess.run(
        [*SMALL_PARENT, sys.executable, "-c", _MEASURE, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"PYTHONPATH": str(SOURCE)},
    )
    items, problems, peak, grown, seconds = run.stdout.strip().split("|")
    return items, problems, int(peak), int(grown), float(seconds)


def packed(path: Path, head: bytes, piece: bytes, times: int, tail: bytes = b"") -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
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
    items, problems, peak, _, _ = measure(packed(tmp_path / "a.gz", head.encode(), pieces, 200, tail.encode()))
    assert (items, problems) == (f"[(200000, {200 * sum(n % 7 for n in range(1000))})]", "[]")
    assert peak < 200_000


def test_a_bomb_is_refused_in_a_moment_and_little_memory(tmp_path: Path) -> None:
    """A 1 MB gzip that inflates to 1 GB: refused by the bound, within a second, under 100 MB."""
    for name, head, piece in (
        ("zeros", b"", b"\0"),
        ("xml", b"<feedback>", b" "),
        ("tags", b"<feedback>", b"<a/>"),
        ("records", b"<feedback>", b"<record/>" + b"<p/>" * 2000),
        ("extension", b"<feedback><extension>", b"<record/>" + b"<p/>" * 2000),
        ("inside", b"<feedback><record><row>", b"<count/>" * 100),
        ("doubled", b"<feedback>", b"<report_metadata/>" * 50 + b"<record/>"),
    ):
        path = packed(
            tmp_path / f"{name}.gz", head, piece * ((1 << 20) // len(piece)), 1024 if name == "zeros" else 300
        )
        items, problems, _, grown, seconds = measure(path)
        assert items == "[]", name
        reason = problems.rsplit(", ", 1)[-1].strip("[]'")
        assert reason in ("inflated_bytes", "empty", "beside_records"), (name, problems)
        assert grown < 100_000, name
        assert seconds < 10, name
