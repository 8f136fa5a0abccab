"""XML bytes → a `Document`: the tally of its records, and the tree without them; by lxml, strictly, without entities.

Streams of any length are parsed in constant memory, small documents at once. `Broken` means that the XML is not
well-formed; the caller may repair it. A DOCTYPE, and more depth or records than the bounds allow, are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from lxml import etree

from dmarcworks.reports.aggregate import record
from dmarcworks.reports.aggregate.metadata import ReportMetadata
from dmarcworks.reports.aggregate.record import Names, namespace
from dmarcworks.reports.aggregate.tally import Tally
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.notes import Notes, Refused

_FEED = 64 * 1024
# A tree takes thirty times its text: what is no record may be only so long.
_OTHER_BYTES = 2 * 1024 * 1024
_ABOUT = {"report_metadata", "policy_published", "version", "date_range"}
_KEPT = 16
_OTHERS = 10_000


class Broken(Exception):
    """The XML is not well-formed, or not spelt as expected."""


@dataclass(slots=True)
class Document:
    """A parsed document: the tally of its records, and the rest of its tree or the texts from around the records."""

    tally: Tally
    root: etree._Element | None = None
    around: ReportMetadata | None = None


# Never an entity, a file or a network; comments and instructions would only split texts.
_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}


def stream(chunks: Iterable[bytes], where: str, bounds: Bounds, notes: Notes, encoding: str | None = None) -> Document:
    """Parse a stream; each record is added to the tally when it ends, and its element is then removed."""
    parser = etree.XMLPullParser(("end",), tag=("{*}record", "{*}feedback"), encoding=encoding, **_SAFE)
    tally = Tally(where, bounds, notes)
    names = Names()
    root: etree._Element | None = None
    last: etree._Element | None = None
    others = _OtherElements()
    other_bytes = 0
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), _FEED):
                piece = chunk[start : start + _FEED]
                parser.feed(piece)
                before = tally.seen
                for _, element in cast(Iterable[tuple[str, etree._Element]], parser.read_events()):
                    if root is None:
                        root = element.getroottree().getroot()
                        names = Names(namespace(root))
                        _refuse_doctype(root)
                    if element is root or in_extension(element, root):
                        continue
                    record.read(element, names.of(element), tally, bounds.xml_depth)
                    # Only the elements before this one are removed: the parser may still append its tail text.
                    others.drop(element)
                    last = element
                other_bytes += 0 if tally.seen > before else len(piece)
                if other_bytes > _OTHER_BYTES:
                    raise Refused("beside_records", f"More than {_OTHER_BYTES} bytes of the XML are not records.")
        end = parser.close()
    except etree.XMLSyntaxError as error:
        raise _broken(error, bounds) from None
    if end is None:
        raise Broken("there is no element")
    _refuse_doctype(end)
    if last is not None and (above := last.getparent()) is not None:
        above.remove(last)
    record.check_depth(end, bounds.xml_depth)
    return Document(tally, end)


class _OtherElements:
    """The elements outside the records: a few are kept, the rest are removed and counted."""

    def __init__(self) -> None:
        self._kept: tuple[etree._Element, ...] = ()
        self._others = 0

    def drop(self, element: etree._Element) -> None:
        """Remove the elements before a record, except those that describe the report."""
        before = element.getprevious()
        while before is not None and before not in self._kept:
            further = before.getprevious()
            name = str(before.tag).rpartition("}")[2]
            if len(self._kept) < _KEPT and name in _ABOUT:
                self._kept = (*self._kept, before)
            elif (above := before.getparent()) is not None:
                self._others += name != "record"
                above.remove(before)
            before = further
        if self._others > _OTHERS:
            raise Refused("beside_records", f"More than {_OTHERS} elements of the XML are not records.")


def at_once(
    data: bytes, where: str, bounds: Bounds, notes: Notes, encoding: str | None = None, recover: bool = False
) -> Document:
    """Parse a small document as a whole, which is faster; with `recover` only so, as streamed recovery is quadratic."""
    root = tree(data, bounds, encoding, recover)
    tally = Tally(where, bounds, notes)
    names = Names(namespace(root))
    records = [child for child in root.iter("{*}record") if not in_extension(child, root)]
    for element in records:
        record.read(element, names.of(element), tally, bounds.xml_depth)
    for element in records:
        if (above := element.getparent()) is not None:
            above.remove(element)
    record.check_depth(root, bounds.xml_depth)
    return Document(tally, root)


def tree(data: bytes, bounds: Bounds, encoding: str | None = None, recover: bool = False) -> etree._Element:
    """The root of a small document."""
    try:
        root = etree.fromstring(data, etree.XMLParser(encoding=encoding, recover=recover, **_SAFE))
    except etree.XMLSyntaxError as error:
        raise _broken(error, bounds) from None
    if root is None:
        raise Broken("there is no element")
    _refuse_doctype(root)
    return root


def _broken(error: etree.XMLSyntaxError, bounds: Bounds) -> Exception:
    """What a syntax error means; the parser's own bound of depth is past ours."""
    text = str(error)[:200]
    if "Excessive depth" in text:
        return Refused("xml_depth", f"The XML is nested deeper than the bound {bounds.named('xml_depth')}.")
    return Broken(text)


def _refuse_doctype(root: etree._Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refused("doctype", "The report has a DOCTYPE; it was not read.")


def in_extension(element: etree._Element, root: etree._Element) -> bool:
    """Whether a record or feedback element is somebody's extension (RFC 9990) and not this report's."""
    if element.getparent() is root:
        return str(element.tag).endswith("feedback")
    local = {str(above.tag).rpartition("}")[2] for above in element.iterancestors()}
    return "extension" in local or str(element.tag).endswith("feedback")
