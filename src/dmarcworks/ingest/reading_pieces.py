"""A reading on its way from the process that read it: in pieces, so that a report of a million records holds up nobody.

`pieces` takes it apart and `assembled` puts it together. What several reports or records share crosses once: an
attachment's bytes, and what records state in addition to address and count.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from dmarcworks.ingest.read_source import Read
from dmarcworks.reports.aggregate.records import DkimResult, Reason, RecordContent, Records, SpfResult
from dmarcworks.reports.closed import maker
from dmarcworks.reports.model import (
    AggregateReport,
    FailureReport,
    Item,
    Part,
    Policy,
    Problem,
    Reading,
    TlsFailure,
    TlsPolicy,
    TlsReport,
    Warning,
)

__all__ = ["CLASSES", "assembled", "pieces"]

# All that an answer may be made of, in addition to plain values.
CLASSES: tuple[type, ...] = (
    AggregateReport,
    DkimResult,
    FailureReport,
    Item,
    Part,
    Policy,
    Problem,
    Read,
    Reading,
    Reason,
    Records,
    SpfResult,
    TlsFailure,
    TlsPolicy,
    TlsReport,
    Warning,
)
_ITEMS = 200
_RECORDS = 20_000
_NONE = Records((), (), ())
_item, _part = maker(Item), maker(Part)


def pieces(done: Read) -> Iterator[tuple[Any, ...]]:
    """The parts of a reading, each small but for an attachment's bytes."""
    yield "begin", done.reading.problems, done.instead
    contents: dict[int, int] = {}
    group: list[tuple[Any, ...]] = []
    for item in done.reading.items:
        content = item.part.content
        if id(content) not in contents:
            contents[id(content)] = len(contents)
            yield "content", content
        report, records = item.report, None
        if isinstance(report, AggregateReport):
            records = Records.of(report.records)
            if len(records) > _RECORDS:
                report = replace(report, records=_NONE)
            else:
                records = None
        group.append((report, item.part.name, contents[id(content)], item.part.where, item.digest, item.alike))
        if records is not None or len(group) >= _ITEMS:
            yield "items", group
            group = []
        if records is not None:
            yield from _columns(records)
    if group:
        yield "items", group


def _columns(records: Records) -> Iterator[tuple[Any, ...]]:
    """The records of the report before, column by column."""
    places: dict[int, int] = {}
    for start in range(0, len(records), _RECORDS):
        end = start + _RECORDS
        new: list[RecordContent] = []
        which = array("I")
        for content in records.contents[start:end]:
            place = places.get(id(content))
            if place is None:
                place = places[id(content)] = len(places)
                new.append(content)
            which.append(place)
        yield "records", list(records.source_ips[start:end]), list(records.counts[start:end]), new, which.tobytes()


def assembled(parts: Iterable[tuple[Any, ...]]) -> Read:
    """The reading that was taken apart."""
    problems: tuple[Problem, ...] = ()
    instead: bytes | None = None
    contents: list[bytes] = []
    read_parts: dict[tuple[str, int, str], Part] = {}
    items: list[Item] = []
    columns: _Columns | None = None
    for kind, *values in parts:
        if kind != "records" and columns is not None:
            items[-1] = columns.into(items[-1])
            columns = None
        if kind == "begin":
            problems, instead = values
        elif kind == "content":
            contents.append(values[0])
        elif kind == "items":
            for report, name, content, where, digest, same in values[0]:
                if (part := read_parts.get((name, content, where))) is None:
                    part = read_parts[name, content, where] = _part(name, contents[content], where)
                items.append(_item(report, part, digest, same))
        else:
            columns = columns or _Columns()
            columns.add(*values)
    if columns is not None:
        items[-1] = columns.into(items[-1])
    return Read(Reading(tuple(items), tuple(problems)), instead)


class _Columns:
    """The records of one report as they arrive."""

    def __init__(self) -> None:
        self._source_ips: list[str] = []
        self._counts: list[int] = []
        self._contents: list[RecordContent] = []
        self._values: list[RecordContent] = []

    def add(self, source_ips: list[str], counts: list[int], new: list[RecordContent], which: bytes) -> None:
        self._source_ips += source_ips
        self._counts += counts
        self._values += new
        places = array("I")
        places.frombytes(which)
        self._contents += map(self._values.__getitem__, places)

    def into(self, item: Item) -> Item:
        assert isinstance(item.report, AggregateReport)
        report = replace(item.report, records=Records(self._source_ips, self._counts, self._contents))
        return _item(report, item.part, item.digest, item.alike)
