"""A `<record>` element → `Record` (RFC 7489 Appendix C, RFC 9990), by local names, in any order, absent as None.

Left out with a named problem: a record without exactly one count that is a number of messages. All else is kept, noted.
Equal parts of records are one object, so that a large report stays small in memory.
"""

from __future__ import annotations

from lxml import etree

from dmarcworks.reports import values
from dmarcworks.reports.aggregate.records import DkimResult, Reason, Records, Said, SpfResult
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.notes import LISTED, Notes, Refused

# Trimmed texts of equal elements, as tuples so that equal ones are read once.
Results = tuple[tuple[str | None, ...], ...]
# Equal texts of one report are one object, up to so many different ones.
SHARED = 65_536
# What reporters write for a result, and what it says (OpenDMARC "unknown", docomo "hardfail").
_RESULTS = {"hardfail": "fail", "unknown": "temperror"}
_ALIGNED = {"pass": "pass", "fail": "fail"}


class Names(dict[object, str]):
    """Tag → local name; "" for what is no element of the report's namespaces (comments, extensions)."""

    def __init__(self, *namespaces: str) -> None:
        super().__init__()
        self._namespaces = {"", *namespaces}
        self._others: dict[str, Names] = {}

    def __missing__(self, tag: object) -> str:
        local = ""
        if isinstance(tag, str):
            namespace, _, name = tag.rpartition("}")
            if namespace[1:] in self._namespaces:
                local = name
        self[tag] = local
        return local

    def of(self, element: etree._Element) -> Names:
        """The names that hold inside this element: its own namespace is the report's too."""
        space = namespace(element)
        if space in self._namespaces:
            return self
        return self._others.setdefault(space, Names(*self._namespaces, space))


def namespace(element: etree._Element) -> str:
    """The element's namespace, "" for none."""
    return str(element.tag).rpartition("}")[0][1:]


def text(element: etree._Element, bound: int) -> str:
    """All text in the element, trimmed; markup inside it may not lie deeper than the bound."""
    if len(element):
        check_depth(element, bound)
        return "".join(str(piece) for piece in element.itertext()).strip()
    found = element.text
    return found.strip() if found else ""


def check_depth(element: etree._Element, bound: int) -> None:
    """Refuse an element with descendants deeper in the document than the bound."""
    level = [element]
    depth = 1 + sum(1 for _ in element.iterancestors())
    while level:
        if depth > bound:
            raise Refused("xml_depth", f"The XML is nested deeper than the bound xml_depth = {bound}.")
        level = [child for parent in level if len(parent) for child in parent]
        depth += 1


class Tally:
    """Counts what is read and left out of one report, and builds its values; shared by every reader of records."""

    def __init__(self, where: str, bounds: Bounds, notes: Notes) -> None:
        self.where = where
        self.notes = notes
        self.source_ips: list[str] = []
        self.counts: list[int] = []
        self.said: list[Said] = []
        self.problems: list[tuple[str, str, str]] = []
        self.seen = 0
        self.left_out = 0
        self._bounds = bounds
        self._sum = 0
        self._domains: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self._words: dict[str, str] = {}
        self._dkim: dict[Results, tuple[DkimResult, ...]] = {}
        self._spf: dict[Results, tuple[SpfResult, ...]] = {}
        self._reasons: dict[Results, tuple[Reason, ...]] = {}

    def place(self) -> str:
        """Where the record is that is being read."""
        return f"{self.where} > record {self.seen}"

    def begin(self) -> None:
        """A record begins."""
        self.seen += 1
        if self.seen > self._bounds.records:
            raise Refused("records", f"The report has more records than the bound {self._bounds.named('records')}.")

    def leave_out(self, reason: str, detail: str) -> None:
        """The record is not counted, by name."""
        self.left_out += 1
        if self.left_out <= LISTED:
            self.problems.append((reason, self.place(), detail))

    def count(self, found: str | None) -> int | None:
        """The record's count, or None once it is left out."""
        if not found:
            self.leave_out("count_missing", "The record has no count.")
            return None
        try:
            number, odd = values.count(found)
        except OverflowError:
            self.leave_out("count_too_large", f"The count {found[:40]} is larger than 2^63-1.")
            return None
        except ValueError:
            self.leave_out("count_invalid", f"The count {found[:40]!r} is no number of messages.")
            return None
        if odd:
            self.notes.add("count_decimal", self.place(), f"The count {found[:40]} was taken as {number}.")
        return number

    def address(self, found: str) -> str:
        """The source address, canonical, or as it came with a note."""
        known = self.addresses.get(found)
        if known is not None:
            return known
        address, good = values.address(found)
        if not good:
            self.notes.add(
                "source_ip_odd", self.place(), f"The source_ip {found[:80]!r} is no IP address; the text was kept."
            )
        elif len(self.addresses) < SHARED:
            self.addresses[found] = address
        return address

    def domain(self, found: str | None) -> str | None:
        """A domain name, None when empty."""
        if not found:
            return None
        known = self._domains.get(found)
        if known is None:
            known = values.domain(found)
            if len(self._domains) < SHARED:
                self._domains[found] = known
        return known

    def aligned(self, found: str | None, what: str) -> str | None:
        """pass, fail or None; any other word is no pass."""
        if not found:
            self.notes.add("alignment_absent", self.place(), f"The record does not say whether {what} was aligned.")
            return None
        known = _ALIGNED.get(found) or _ALIGNED.get(found.lower())
        if known is None:
            self.notes.add("alignment_odd", self.place(), f"The evaluated {what} is {found[:40]!r}, taken as fail.")
            return "fail"
        return known

    def word(self, found: str | None) -> str | None:
        """An enumerated word in lower case, one object for equal words."""
        if not found:
            return None
        known = self._words.get(found)
        if known is None:
            known = found.lower()
            if len(self._words) < SHARED:
                self._words[found] = known
        return known

    def _result(self, found: str | None, what: str) -> str | None:
        word = self.word(found)
        if word is None:
            self.notes.add("result_empty", self.place(), f"A {what} result is empty or absent.")
        elif word in _RESULTS:
            self.notes.add(
                "result_mapped", self.place(), f"The {what} result {word!r} was taken as {_RESULTS[word]!r}."
            )
            return _RESULTS[word]
        return word

    def dkim(self, raw: Results) -> tuple[DkimResult, ...]:
        """DKIM results out of (domain, selector, result, human result)."""
        known = self._dkim.get(raw)
        if known is None:
            known = tuple(
                DkimResult(self.domain(name), selector or None, self._result(result, "DKIM"), human or None)
                for name, selector, result, human in raw
            )
            if len(self._dkim) < SHARED and _usual(raw):
                self._dkim[raw] = known
        return known

    def spf(self, raw: Results) -> tuple[SpfResult, ...]:
        """SPF results out of (domain, scope, result, human result)."""
        known = self._spf.get(raw)
        if known is None:
            known = tuple(
                SpfResult(self.domain(name), self.word(scope), self._result(result, "SPF"), human or None)
                for name, scope, result, human in raw
            )
            if len(self._spf) < SHARED and _usual(raw):
                self._spf[raw] = known
        return known

    def reasons(self, raw: Results) -> tuple[Reason, ...]:
        """Override reasons out of (type, comment); one that says nothing is none (kddi.com sends them)."""
        known = self._reasons.get(raw)
        if known is None:
            known = tuple(Reason(self.word(kind), comment or None) for kind, comment in raw if kind or comment)
            if len(self._reasons) < SHARED:
                self._reasons[raw] = known
        return known

    def number(self, counts: list[str], rows: int) -> int | None:
        """The record's count, taken into the sum; None once the record is left out."""
        if rows > 1 or len(counts) > 1:
            self.leave_out("count_ambiguous", f"The record has {rows} rows and {len(counts)} counts.")
            return None
        number = self.count(counts[0] if counts else None)
        return None if number is None else self.plain(number)

    def plain(self, number: int) -> int | None:
        """A count that is a number, taken into the sum; None once the record is left out."""
        if self._sum + number > values.LARGEST:
            self.leave_out("count_too_large", f"With a count of {number} the report's messages pass 2^63-1.")
            return None
        self._sum += number
        return number

    def make(
        self,
        evaluated: tuple[str | None, str | None, str | None],
        reasons: Results,
        identifiers: tuple[str | None, str | None, str | None],
        dkim: Results,
        spf: Results,
    ) -> Said:
        """Values of a record's trimmed texts: disposition, dkim, spf; header_from, envelope_from, envelope_to."""
        return (
            self.word(evaluated[0]),
            self.aligned(evaluated[1], "dkim"),
            self.aligned(evaluated[2], "spf"),
            self.reasons(reasons) if reasons else (),
            self.domain(identifiers[0]),
            self.domain(identifiers[1]),
            self.domain(identifiers[2]),
            self.dkim(dkim) if dkim else (),
            self.spf(spf) if spf else (),
        )

    def append(self, source_ip: str, number: int, said: Said) -> None:
        """The record counts."""
        self.source_ips.append(self.address(source_ip))
        self.counts.append(number)
        self.said.append(said)

    @property
    def records(self) -> Records:
        """What was taken; nothing more is taken then."""
        return Records(self.source_ips, self.counts, self.said)


def _usual(raw: Results) -> bool:
    return all(item[2] and item[2].lower() not in _RESULTS for item in raw)


def read(element: etree._Element, names: Names, tally: Tally, bound: int) -> None:
    """Read one record element into the tally; `bound` is the XML depth allowed."""
    tally.begin()
    counts: list[str] = []
    rows = 0
    source_ip = ""
    evaluated: dict[str, str] = {}
    reasons: list[tuple[str | None, ...]] = []
    identifiers: dict[str, str] = {}
    dkim: list[tuple[str | None, ...]] = []
    spf: list[tuple[str | None, ...]] = []
    for part in element:
        name = names[part.tag]
        if name == "row":
            rows += 1
            for field in part:
                key = names[field.tag]
                if key == "source_ip":
                    source_ip = source_ip or text(field, bound)
                elif key == "count":
                    counts.append(text(field, bound))
                elif key == "policy_evaluated":
                    for word in field:
                        key = names[word.tag]
                        if key == "reason":
                            reasons.append(_fields(word, names, REASON, bound))
                        elif key:
                            evaluated.setdefault(key, text(word, bound))
                elif len(field):
                    check_depth(field, bound)
        elif name in ("identifiers", "identities"):
            for field in part:
                identifiers.setdefault(names[field.tag], text(field, bound))
        elif name == "auth_results":
            for field in part:
                key = names[field.tag]
                if key == "dkim":
                    dkim.append(_fields(field, names, DKIM, bound))
                elif key == "spf":
                    spf.append(_fields(field, names, SPF, bound))
                elif len(field):
                    check_depth(field, bound)
        elif len(part):
            check_depth(part, bound)
    number = tally.number(counts, rows)
    if number is None:
        return
    made = tally.make(
        (evaluated.get("disposition"), evaluated.get("dkim"), evaluated.get("spf")),
        tuple(reasons),
        (identifiers.get("header_from"), identifiers.get("envelope_from"), identifiers.get("envelope_to")),
        tuple(dkim),
        tuple(spf),
    )
    tally.append(source_ip, number, made)


REASON = {"type": 0, "comment": 1}
DKIM = {"domain": 0, "selector": 1, "result": 2, "human_result": 3}
SPF = {"domain": 0, "scope": 1, "result": 2, "human_result": 3}


def fields(pairs: list[tuple[str, str]], places: dict[str, int]) -> tuple[str | None, ...]:
    """Texts in their places: of several with one name the first that is not empty."""
    found: list[str | None] = [None] * len(places)
    for name, value in pairs:
        place = places.get(name)
        if place is not None and not found[place]:
            found[place] = value
    return tuple(found)


def _fields(element: etree._Element, names: Names, places: dict[str, int], bound: int) -> tuple[str | None, ...]:
    found: list[str | None] = [None] * len(places)
    for field in element:
        place = places.get(names[field.tag])
        if place is None:
            if len(field):
                check_depth(field, bound)
        elif not found[place]:
            found[place] = text(field, bound)
    return tuple(found)
