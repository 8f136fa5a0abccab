"""The quick way through a usual aggregate report: records by one pattern, everything else by the general parser.

In: a file that may be usual. Out: the same `Document` as the general reader gives (a property test holds that), or None
for anything unusual: other encodings, entities, comments, attributes, other order, text between elements. Nothing is
refused here but the bounds; None leaves the file to the general reader.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable

from dmarcworks.reports.aggregate.document import Broken, Document, tree
from dmarcworks.reports.aggregate.fast_record import KNOWN, RecordTexts, Unusual
from dmarcworks.reports.aggregate.metadata import usual
from dmarcworks.reports.aggregate.parse_cache import ParseCache
from dmarcworks.reports.aggregate.record import check_depth
from dmarcworks.reports.aggregate.records import RecordContent
from dmarcworks.reports.aggregate.tally import Tally
from dmarcworks.reports.alike import Digest
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.notes import Notes
from dmarcworks.reports.sniff import Head
from dmarcworks.reports.unpack import Leaf

# The most text before the first record, after the last one, and in a single record.
_AROUND = 64 * 1024
_PIECE = 256 * 1024
# The depth of a usual report. If the bound is lower, the general reader finds and reports what exceeds it.
_DEPTH = 6
_CONTROLS = bytes(n for n in range(32) if n not in (9, 10, 13))
# A plain IPv4 address and a plain count have groups of their own, so that nobody has to look at them again.
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
# White space as XML has it; what else \s means is refused there.
_S = r"[ \t\n]*+"
_RECORD = re.compile(
    rf"{_S}<record>{_S}<row>{_S}<source_ip>(?:({_OCTET}(?:\.{_OCTET}){{3}})(?=<)|([^<>]*+))</source_ip>{_S}"
    rf"<count>(?:(\d{{1,12}})(?=<)|([^<>]*+))</count>{_S}",
    re.ASCII,
)
_END = "</record>"

# The parsed part of a record after its count, shared by all reports: it depends on that text alone.
_MADE: ParseCache[RecordContent] = ParseCache()


def read(leaf: Leaf, head: Head, bounds: Bounds, digest: Digest, notes: Notes) -> Document | None:
    """The document, if it is usual throughout; `digest` has taken all its bytes then."""
    if bounds.xml_depth < _DEPTH:
        return None
    if head.codec not in ("", "utf-8") or head.declared not in ("", "utf-8", "utf8", "us-ascii"):
        return None
    try:
        return _Reader(leaf, head, bounds, notes).read(digest)
    except (Unusual, UnicodeDecodeError, Broken):
        return None


class _Reader:
    """One pass over one file."""

    def __init__(self, leaf: Leaf, head: Head, bounds: Bounds, notes: Notes) -> None:
        self._leaf = leaf
        self._skip = head.skip
        self._ascii = head.declared == "us-ascii"
        self._bounds = bounds
        self._notes = notes
        self._tally = Tally(leaf.where, bounds, notes)
        self._record_texts = RecordTexts()
        self._made: dict[str, RecordContent] = {}

    def read(self, digest: Digest) -> Document:
        if self._leaf.whole and len(self._leaf.head) <= _PIECE:
            return self._at_once(digest)
        head, rest = "", ""
        begun = False
        for text in self._texts(digest):
            rest += text
            if not begun:
                start = rest.find("<record>")
                if start < 0:
                    if len(rest) > _AROUND:
                        raise Unusual
                    continue
                head, rest, begun = rest[:start], rest[start:], True
            rest = rest[self._records(rest) :]
            if len(rest) > _PIECE + _AROUND:
                raise Unusual
        if not begun or "<record" in rest or len(rest) > _AROUND:
            raise Unusual
        return self._document(head, rest)

    def _at_once(self, digest: Digest) -> Document:
        """A small file, without the stream's bookkeeping."""
        data = self._leaf.head
        digest.update(data)
        if self._skip:
            data = data[self._skip :]
        if b"&" in data:
            raise Unusual
        text = str(data, "ascii" if self._ascii else "utf-8")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if not text.isascii() and ("\ufffe" in text or "\uffff" in text):
            raise Unusual
        start = text.find("<record>")
        if not 0 <= start <= _AROUND:
            raise Unusual
        head, rest = text[:start], text[start:]
        end = self._records(rest)
        tail = rest[end:]
        if "<record" in tail or len(tail) > _AROUND:
            raise Unusual
        return self._document(head, tail)

    def _texts(self, digest: Digest) -> Iterable[str]:
        """The file as text in pieces that hold only what a usual report holds, line ends as XML reads them."""
        decoder = codecs.getincrementaldecoder("ascii" if self._ascii else "utf-8")("strict")
        skip = self._skip
        carried = ""
        for chunk in self._leaf.open():
            for start in range(0, len(chunk), _PIECE):
                piece = chunk[start : start + _PIECE] if len(chunk) > _PIECE else chunk
                digest.update(piece)
                if skip:
                    piece, skip = piece[skip:], max(0, skip - len(piece))
                if b"&" in piece:
                    raise Unusual
                text = carried + decoder.decode(piece)
                carried = ""
                if "\ufffe" in text or "\uffff" in text:
                    raise Unusual
                if "\r" in text:
                    if text.endswith("\r"):
                        text, carried = text[:-1], "\r"
                    text = text.replace("\r\n", "\n").replace("\r", "\n")
                yield text
        yield carried.replace("\r", "\n") + decoder.decode(b"", True)

    def _records(self, text: str) -> int:
        """Read whole records from the beginning; how far it came."""
        position = 0
        tally, made, begins, ends, behind = self._tally, self._made, _RECORD.match, text.find, len(_END)
        source_ips, counts, contents = tally.source_ips, tally.counts, tally.contents
        while (match := begins(text, position)) is not None:
            start = match.end()
            end = ends(_END, start)
            if end < 0:
                break
            plain, source_ip, digits, count = match.groups()
            tail = text[start:end]
            position = end + behind
            tally.begin()
            cached = made.get(tail)
            if cached is None:
                cached = _MADE.get(tail)
                if cached is None:
                    self._unknown(plain or source_ip, digits or count, tail)
                    continue
                made[tail] = cached
            if plain is None or digits is None:
                self._odd(plain or source_ip, digits or count, cached)
                continue
            number = tally.plain(int(digits))
            if number:
                source_ips.append(plain)
                counts.append(number)
                contents.append(cached)
            elif number is not None and not tally.no_sender(plain):
                tally.append(plain, number, cached)
        return position

    def _odd(self, source_ip: str, count: str, content: RecordContent) -> None:
        """A record with an address or a count that is not as plain as most are."""
        _look(source_ip + count)
        number = self._tally.number([count.strip()], 1)
        if number is not None and (number or not self._tally.no_sender(source_ip.strip())):
            self._tally.append(source_ip.strip(), number, content)

    def _unknown(self, source_ip: str, count: str, tail: str) -> None:
        """A record whose like was not read before."""
        _look(source_ip + count + tail)
        parts = self._record_texts.parts(tail)
        number = self._tally.number([count.strip()], 1)
        if number is None or (not number and self._tally.no_sender(source_ip.strip())):
            return
        noted = self._notes.total
        cached = self._tally.make(*parts)
        # What was noted is to be noted for each record.
        if noted == self._notes.total and len(self._made) < KNOWN:
            self._made[tail] = _MADE.put(tail, cached)
        self._tally.append(source_ip.strip(), number, cached)

    def _document(self, head: str, tail: str) -> Document:
        """What stands around the records: as usual, or by the general parser with a mark where they stood."""
        _look(head + tail)
        if (around := usual(head, tail)) is not None:
            return Document(self._tally, around=around)
        if "<!" in head or "<!" in tail or head.count("<?") > 1 or "<?" in tail:
            raise Unusual
        marked = (head + "<record/>" + tail).encode()
        root = tree(marked, self._bounds, "utf-8")
        marks = list(root.iter("{*}record"))
        if len(marks) != 1 or marks[0].getparent() is not root:
            raise Unusual
        root.remove(marks[0])
        check_depth(root, self._bounds.xml_depth)
        return Document(self._tally, root)


def _look(text: str) -> None:
    """Leave text with control characters to the general reader, which refuses them."""
    data = text.encode()
    if len(data.translate(None, _CONTROLS)) != len(data):
        raise Unusual
