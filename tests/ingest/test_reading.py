"""Mails read in processes of their own: the same result, small bounds for small ones, and an end for what is slow."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dmarcworks.ingest import read_child, reading
from dmarcworks.ingest.read_source import FILE, Read, Source
from dmarcworks.ingest.reading import ORDINARY_BYTES, InProcess, Isolated, each
from dmarcworks.process.isolated import IsolatedPool
from dmarcworks.reports.bounds import Bounds
from tests.support import slow_reading
from tests.support.mails import document, mail, report_mail

BOUNDS = Bounds()
LARGE = gzip.compress(document("large", records=[("192.0.2.1", 1, "pass", "pass")] * 6000), mtime=0)


@pytest_asyncio.fixture
async def reader(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Isolated]:
    """With a reading that spins, fills the memory or ends its process where a mail says so."""
    killed: list[tuple[str, str]] = []

    def pool(_: str, **options: Any) -> IsolatedPool:
        # On a busy machine a job reaches the limit by the clock before that of the processor.
        return IsolatedPool("tests.support.slow_reading:reader", **{**options, "wall_seconds": 600.0})

    monkeypatch.setattr(reading, "IsolatedPool", pool)
    monkeypatch.setattr(reading, "_TOGETHER_SECONDS", 0.3)
    made = Isolated(
        BOUNDS,
        "headers",
        processes=2,
        cpu_seconds=0.5,
        memory_bytes=256 << 20,
        killed=lambda *of: killed.append(of),
    )
    made.kills = killed  # type: ignore[attr-defined]
    yield made
    await made.close()


def keys(found: list[Read | None]) -> list[list[str] | None]:
    return [None if one is None else [item.report.report_id for item in one.reading.items] for one in found]  # type: ignore[union-attr]


async def test_small_mails_are_read_in_turn_until_it_is_enough(reader: Isolated) -> None:
    """As in a thread: the same values, and no more reports or rows at once than may be in hand."""
    sources = [Source(report_mail(str(number))) for number in range(5)]
    inside = InProcess(BOUNDS, "headers")
    assert await reader.together(sources, 100, 100) == await inside.together(sources, 100, 100)
    for reports, rows, number in ((3, 100, 3), (100, 4, 2), (1, 1, 1)):
        assert len(await reader.together(sources, reports, rows)) == number
        assert len(await inside.together(sources, reports, rows)) == number


async def test_a_mail_that_holds_much_is_read_by_itself(reader: Isolated) -> None:
    """Small as it is, it hits a bound of what is read together; by itself it has the settings' bounds."""
    raw = mail(("large.xml.gz", LARGE))
    assert len(raw) < ORDINARY_BYTES
    sources = [Source(report_mail("1")), Source(raw), Source(report_mail("2"))]
    assert keys(await reader.together(sources, 100, 100)) == [["1"], None, ["2"]]
    found = await each(
        reader, [*sources, Source(LARGE, FILE, "a.gz"), Source(report_mail("3") + b" " * ORDINARY_BYTES)]
    )
    assert keys(list(found)) == [["1"], ["large"], ["2"], ["large"], ["3"]]
    assert [len(one.reading.items[0].report.records) for one in found] == [2, 6000, 2, 6000, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("mark", "reason", "setting"),
    [
        (slow_reading.SPINS, "cpu", "DMARCWORKS_READ_CPU_SECONDS"),
        (slow_reading.FILLS, "memory", "DMARCWORKS_READ_MEMORY_BYTES"),
        (slow_reading.ENDS, "died", ""),
    ],
)
async def test_what_cannot_be_read_is_one_problem_and_no_neighbours(
    reader: Isolated, mark: bytes, reason: str, setting: str
) -> None:
    """What was read before stands, the guilty one is known, and by itself it is stopped again, which is its problem."""
    sources = [Source(report_mail("1")), Source(mark + report_mail("2")), Source(report_mail("3"))]
    assert keys(await reader.together(sources, 100, 100)) == [["1"], None]
    first, stopped, last = await each(reader, sources)
    assert keys([first, last]) == [["1"], ["3"]]
    (problem,) = stopped.reading.problems
    assert (problem.reason, problem.where) == ("reading_stopped", "mail")
    assert problem.detail.startswith("Reading this mail was stopped: it ")
    assert setting in problem.detail
    # Twice in each turn: in a group that is lost with it, and then among what is told one by one.
    assert reader.kills == [*[("read", reason)] * 4, ("read_alone", reason)]  # type: ignore[attr-defined]


async def test_mails_cross_in_groups_and_the_guilty_one_is_known_in_any_of_them(reader: Isolated) -> None:
    """Whole groups before it stand, so does what was read before it in its own; the rest waits for the next turn."""
    names = [str(number) for number in range(2 * read_child.GROUP + 3)]
    sources = [Source(report_mail(name)) for name in names]
    assert keys(await reader.together(sources, 100, 1000)) == [[name] for name in names]
    work = read_child.reader(BOUNDS, "headers")
    assert [len(group) for group in work((sources, (100, 1000, read_child.GROUP)))] == [25, 25, 3]
    guilty = read_child.GROUP + 2
    sources[guilty] = Source(slow_reading.ENDS + report_mail("bad"))
    assert keys(await reader.together(sources, 100, 1000)) == [*[[name] for name in names[:guilty]], None]


async def test_a_turn_ends_after_some_time(reader: Isolated, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails that take long, each within its limit, do not add up to a turn that is killed."""
    work = read_child.reader(BOUNDS, "headers")
    monkeypatch.setattr(read_child, "GROUP_SECONDS", 0.0)
    sources = [Source(report_mail(str(number))) for number in range(5)]
    assert len(list(work((sources, (100, 100, 1))))) == 1
