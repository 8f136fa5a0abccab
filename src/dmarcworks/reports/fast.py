"""The quick way through a usual aggregate report: records by one pattern, everything else by the general parser.

In: a file that may be usual. Out: the same `Document` as the general reader gives (a property test holds that), or None
for anything unusual: other encodings, entities, comments, attributes, other order, text between elements. Nothing is
refused here but the bounds; None leaves the file to the general reader.
"""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterable
from typing import TypeVar

from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.document import Broken, Document, tree
from dmarcworks.reports.notes import Notes
from dmarcworks.reports.record import DKIM, REASON, SPF, Made, Results, Tally, check_depth, fields
from dmarcworks.reports.sniff import Head
from dmarcworks.reports.unpack import Leaf

# How much may stand before the first record, after the last one, and in a record.
_AROUND = 64 * 1024
_PIECE = 256 * 1024
# How many different texts are known again.
_KNOWN = 8_192
_CONTROLS = bytes(n for n in range(32) if n not in (9, 10, 13))
_RECORD = re.compile(r"<record>\s*+<row>\s*+<source_ip>([^<>]*+)</source_ip>\s*+<count>([^<>]*+)</count>\s*+", re.ASCII)
_END = "</record>"
_SPACE = re.compile(r"\s*+", re.ASCII)
_TAIL = re.compile(
    r"<policy_evaluated>(?>(.*?)</policy_evaluated>)\s*+</row>\s*+<identifiers>(?>(.*?)</identifiers>)\s*+"
    r"<auth_results>(?>(.*?)</auth_results>)\s*+",
    re.DOTALL | re.ASCII,
)
_ANY = re.compile(r"<([A-Za-z_]\w*+)>([^<>]*+)</\1>\s*+", re.ASCII)
_GROUP = re.compile(r"<(dkim|spf|reason)>\s*+((?:<([A-Za-z_]\w*+)>[^<>]*+</\3>\s*+)*+)</\1>\s*+", re.ASCII)

Words = tuple[str | None, str | None, str | None]
Evaluated = tuple[Words, Results]


class _Unusual(Exception):
    """The general reader is needed."""


def read(leaf: Leaf, head: Head, bounds: Bounds, digest: hashlib._Hash, notes: Notes) -> Document | None:
    """The document, if it is usual throughout; `digest` has taken all its bytes then."""
    if head.codec not in ("", "utf-8") or head.declared not in ("", "utf-8", "utf8", "us-ascii"):
        return None
    try:
        return _Reader(leaf, head, bounds, notes).read(digest)
    except (_Unusual, UnicodeDecodeError, Broken):
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
        self._evaluated: dict[str, Evaluated] = {}
        self._identifiers: dict[str, Words] = {}
        self._auth: dict[str, tuple[Results, Results]] = {}
        self._made: dict[str, Made] = {}

    def read(self, digest: hashlib._Hash) -> Document:
        head, rest = "", ""
        begun = False
        for text in self._texts(digest):
            rest += text
            if not begun:
                start = rest.find("<record>")
                if start < 0:
                    if len(rest) > _AROUND:
                        raise _Unusual
                    continue
                head, rest, begun = rest[:start], rest[start:], True
            rest = rest[self._records(rest) :]
            if len(rest) > _PIECE + _AROUND:
                raise _Unusual
        if not begun or "<record" in rest or len(rest) > _AROUND:
            raise _Unusual
        return self._document(head, rest)

    def _texts(self, digest: hashlib._Hash) -> Iterable[str]:
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
                if len(piece.translate(None, _CONTROLS)) != len(piece) or b"&" in piece:
                    raise _Unusual
                text = carried + decoder.decode(piece)
                carried = ""
                if "\ufffe" in text or "\uffff" in text:
                    raise _Unusual
                if "\r" in text:
                    if text.endswith("\r"):
                        text, carried = text[:-1], "\r"
                    text = text.replace("\r\n", "\n").replace("\r", "\n")
                yield text
        yield carried.replace("\r", "\n") + decoder.decode(b"", True)

    def _records(self, text: str) -> int:
        """Read whole records from the beginning; how far it came."""
        # A piece may end between two records.
        position = self._start(text)
        tally, made, begins = self._tally, self._made, _RECORD.match
        while (found := begins(text, position)) is not None:
            end = text.find(_END, found.end())
            if end < 0:
                break
            source_ip, count = found.groups()
            tail = text[found.end() : end]
            known = made.get(tail)
            tally.begin()
            if known is None:
                parts = self._parts(tail)
                number = tally.number([count.strip()], 1)
                if number is not None:
                    noted = self._notes.total
                    known = tally.make(*parts)
                    # What was noted is to be noted for each record.
                    if noted == self._notes.total and len(made) < _KNOWN:
                        made[tail] = known
                    tally.append(source_ip.strip(), number, known)
            elif (number := tally.number([count.strip()], 1)) is not None:
                tally.append(source_ip.strip(), number, known)
            space = _SPACE.match(text, end + len(_END))
            position = space.end() if space is not None else end + len(_END)
        return position

    def _parts(self, tail: str) -> tuple[Words, Results, Words, Results, Results]:
        """The texts of a record behind its count."""
        found = _TAIL.fullmatch(tail)
        if found is None:
            raise _Unusual
        first, second, third = found.groups()
        said, reasons = self._evaluated.get(first) or self._evaluate(first)
        names = self._identifiers.get(second) or self._identify(second)
        dkim, spf = self._auth.get(third) or self._authenticate(third)
        return said, reasons, names, dkim, spf

    def _evaluate(self, text: str) -> Evaluated:
        reasons: list[tuple[str | None, ...]] = []
        words: dict[str, str] = {}
        position = self._start(text)
        while position < len(text):
            if (group := _GROUP.match(text, position)) is not None and group.group(1) == "reason":
                reasons.append(fields(self._pairs(group.group(2)), REASON))
                position = group.end()
            elif (word := _ANY.match(text, position)) is not None and word.group(1) != "reason":
                words.setdefault(word.group(1), word.group(2).strip())
                position = word.end()
            else:
                raise _Unusual
        said = (words.get("disposition"), words.get("dkim"), words.get("spf"))
        return _kept(self._evaluated, text, (said, tuple(reasons)))

    def _identify(self, text: str) -> Words:
        words: dict[str, str] = {}
        for name, value in self._pairs(text):
            words.setdefault(name, value)
        found = (words.get("header_from"), words.get("envelope_from"), words.get("envelope_to"))
        return _kept(self._identifiers, text, found)

    def _authenticate(self, text: str) -> tuple[Results, Results]:
        dkim: list[tuple[str | None, ...]] = []
        spf: list[tuple[str | None, ...]] = []
        position = self._start(text)
        while position < len(text):
            group = _GROUP.match(text, position)
            if group is None:
                raise _Unusual
            pairs = self._pairs(group.group(2))
            if group.group(1) == "dkim":
                dkim.append(fields(pairs, DKIM))
            elif group.group(1) == "spf":
                spf.append(fields(pairs, SPF))
            else:
                raise _Unusual
            position = group.end()
        return _kept(self._auth, text, (tuple(dkim), tuple(spf)))

    def _pairs(self, text: str) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        position = self._start(text)
        while position < len(text):
            found = _ANY.match(text, position)
            if found is None:
                raise _Unusual
            pairs.append((found.group(1), found.group(2).strip()))
            position = found.end()
        return pairs

    @staticmethod
    def _start(text: str) -> int:
        """Where the first element begins; white space stands before it."""
        return len(text) - len(text.lstrip(" \t\n"))

    def _document(self, head: str, tail: str) -> Document:
        """What stands around the records, by the general parser, with a mark where they stood."""
        if "<!" in head or "<!" in tail or head.count("<?") > 1 or "<?" in tail:
            raise _Unusual
        around = (head + "<record/>" + tail).encode()
        root = tree(around, self._bounds, "utf-8")
        marks = list(root.iter("{*}record"))
        if len(marks) != 1 or marks[0].getparent() is not root:
            raise _Unusual
        root.remove(marks[0])
        check_depth(root, self._bounds.xml_depth)
        return Document(root, self._tally)


_Value = TypeVar("_Value")


def _kept(known: dict[str, _Value], text: str, value: _Value) -> _Value:
    if len(known) < _KNOWN:
        known[text] = value
    return value
