"""What reads mails in an isolated child process: small ones together, within small bounds, or a large one by itself.

It imports nothing but the reading core, so that the child is small and starts quickly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dmarcworks.ingest.read_source import Enough, Read, Source, read
from dmarcworks.ingest.reading_pieces import pieces
from dmarcworks.process.garbage import rarely
from dmarcworks.reports.bounds import Bounds

__all__ = ["GROUP", "GROUP_SECONDS", "Job", "ordinary", "reader"]

# The sources, and how many reports and rows may be in memory together and how many mails one piece holds; None when
# there is one source, without limits.
Job = tuple[Sequence[Source], tuple[int, int, int] | None]
# Mails that cross to the parent together: what names the classes is sent and looked up once for all of them, which is
# half the cost of the way. With so many bytes a group is full too: the parent takes each in one go.
GROUP = 25
_GROUP_BYTES = 64 * 1024
# Of processor time, after which no further mail is begun: what waits behind is read in the next turn.
GROUP_SECONDS = 0.25
# Bounds of what is read with others.
_INFLATED, _RECORDS, _MEMBERS = 2 * 1024 * 1024, 5_000, 20
_TOO_LARGE = {"inflated_bytes", "records", "members", "beside_records"}


def ordinary(bounds: Bounds) -> Bounds:
    """The bounds of a mail that is read with others; whatever hits one is read by itself."""
    return replace(
        bounds,
        inflated_bytes=min(bounds.inflated_bytes, _INFLATED),
        records=min(bounds.records, _RECORDS),
        members=min(bounds.members, _MEMBERS),
    )


def reader(bounds: Bounds, originals: str) -> Callable[[Job], Iterator[Any]]:
    """The function that a pool runs: it yields what the sources are read as, some at a time, or the pieces of one."""
    rarely()
    small = ordinary(bounds)

    def whole(source: Source, within: Bounds) -> Read:
        done = read(source, within, originals)
        # Reading never raises, which must not hide that this process has too little memory.
        if any(problem.reason == "internal" and "MemoryError" in problem.detail for problem in done.reading.problems):
            raise MemoryError
        return done

    def run(job: Job) -> Iterator[Any]:
        sources, most = job
        if most is None:
            yield from pieces(whole(sources[0], bounds))
            return
        *limits, size = most
        enough, until = Enough(*limits), time.process_time() + GROUP_SECONDS
        group: list[Read | None] = []
        held = 0
        for source in sources:
            done = whole(source, small)
            apart = too_large(done, small, bounds)
            group.append(None if apart else done)
            if (not apart and enough.after(done)) or time.process_time() > until:
                break
            held += len(source.content)
            if len(group) >= size or held >= _GROUP_BYTES:
                yield group
                group, held = [], 0
        yield group

    return run


def too_large(done: Read, small: Bounds, bounds: Bounds) -> bool:
    """Whether a bound was hit that is another one when the mail is read by itself."""
    return small != bounds and any(problem.reason in _TOO_LARGE for problem in done.reading.problems)
