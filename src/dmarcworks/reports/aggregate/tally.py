"""What the records of one report add up to: counted, left out by name, and their texts made into values.

Left out with a named problem: a record without exactly one count that is a number of messages. All else is kept, noted.
Equal parts of records are one object, so that a large report stays small in memory.
"""

from __future__ import annotations

from dmarcworks.reports import values
from dmarcworks.reports.aggregate.records import DkimResult, Reason, RecordContent, Records, SpfResult
from dmarcworks.reports.bounds import Bounds
from dmarcworks.reports.notes import LISTED, Notes, Refused

__all__ = ["SHARED", "Results", "Tally"]

# Trimmed texts of equal elements, as tuples so that equal ones are read once.
Results = tuple[tuple[str | None, ...], ...]
# Equal texts of one report are one object, up to so many different ones.
SHARED = 65_536
# Non-standard words that reporters write for a result, and what they mean (OpenDMARC "unknown", docomo "hardfail").
_RESULTS = {"hardfail": "fail", "unknown": "temperror"}
_ALIGNED = {"pass": "pass", "fail": "fail"}
# The words of RFC 7489 Appendix C and RFC 9990 Appendix A.
_DISPOSITIONS = frozenset(("none", "pass", "quarantine", "reject"))
# And "invalid", which old reporters (nfm.net) use and everybody knows.
_BOTH = ("none", "pass", "fail", "neutral", "temperror", "permerror", "invalid")
_WORDS = {"DKIM": frozenset((*_BOTH, "policy")), "SPF": frozenset((*_BOTH, "softfail"))}
_USUAL = _WORDS["DKIM"] & _WORDS["SPF"]
# What stands for an address where there was no mail.
_NO_ADDRESS = frozenset(("", "0.0.0.0", "::", "-", "none", "null", "nil", "n/a", "unknown"))  # noqa: S104 - no socket is bound


class Tally:
    """Counts what is read and left out of one report, and builds its values; shared by every reader of records."""

    def __init__(self, where: str, bounds: Bounds, notes: Notes) -> None:
        self.where = where
        self.notes = notes
        self.source_ips: list[str] = []
        self.counts: list[int] = []
        self.contents: list[RecordContent] = []
        self.problems: list[tuple[str, str, str]] = []
        self.seen = 0
        self.left_out = 0
        # Records of a reporter that saw no mail: no address and a count of 0.
        self.empty = 0
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

    def count(self, value: str | None) -> int | None:
        """The record's count, or None once it is left out."""
        if not value:
            self.leave_out("count_missing", "The record has no count.")
            return None
        try:
            number, odd = values.count(value)
        except OverflowError:
            self.leave_out("count_too_large", f"The count {value[:40]} is larger than 2^63-1.")
            return None
        except ValueError:
            self.leave_out("count_invalid", f"The count {value[:40]!r} is not a number of messages.")
            return None
        if odd:
            self.notes.add("count_decimal", self.place(), f"The count {value[:40]} was read as {number}.")
        return number

    def address(self, value: str) -> str:
        """The source address, canonical, or as it came with a note."""
        cached = self.addresses.get(value)
        if cached is not None:
            return cached
        address, good = values.address(value)
        if not good:
            self.notes.add(
                "source_ip_odd", self.place(), f"The source_ip {value[:80]!r} is not an IP address; the text was kept."
            )
        elif len(self.addresses) < SHARED:
            self.addresses[value] = address
        return address

    def domain(self, value: str | None) -> str | None:
        """A domain name, None when empty."""
        if not value:
            return None
        cached = self._domains.get(value)
        if cached is None:
            cached = values.domain(value)
            if len(self._domains) < SHARED:
                self._domains[value] = cached
        return cached

    def aligned(self, value: str | None, what: str) -> str | None:
        """pass, fail or None; any other word is no pass."""
        if not value:
            self.notes.add("alignment_absent", self.place(), f"The record does not state whether {what} was aligned.")
            return None
        cached = _ALIGNED.get(value) or _ALIGNED.get(value.lower())
        if cached is None:
            self.notes.add("alignment_odd", self.place(), f"The evaluated {what} is {value[:40]!r}, read as fail.")
            return "fail"
        return cached

    def word(self, value: str | None) -> str | None:
        """An enumerated word in lower case, one object for equal words."""
        if not value:
            return None
        cached = self._words.get(value)
        if cached is None:
            cached = value.lower()
            if len(self._words) < SHARED:
                self._words[value] = cached
        return cached

    def _result(self, value: str | None, what: str) -> str | None:
        word = self.word(value)
        if word is None:
            self.notes.add("result_empty", self.place(), f"A {what} result is empty or absent.")
        elif word in _RESULTS:
            self.notes.add("result_mapped", self.place(), f"The {what} result {word!r} was read as {_RESULTS[word]!r}.")
            return _RESULTS[word]
        elif word not in _WORDS[what]:
            self.notes.add("result_odd", self.place(), f"The {what} result {word[:40]!r} is none of the standard's.")
        return word

    def disposition(self, value: str | None) -> str | None:
        """What was done with the mail; a word that the standards do not have is kept and noted."""
        word = self.word(value)
        if word is not None and word not in _DISPOSITIONS:
            self.notes.add("disposition_odd", self.place(), f"The disposition {word[:40]!r} is none of the standard's.")
        return word

    def reason_as_text(self, text: str) -> None:
        """Note an override reason that is text without a type (rspamd)."""
        self.notes.add("reason_as_text", self.place(), f"The override reason is the text {text[:40]!r} without a type.")

    def dkim(self, raw: Results) -> tuple[DkimResult, ...]:
        """DKIM results out of (domain, selector, result, human result)."""
        cached = self._dkim.get(raw)
        if cached is None:
            cached = tuple(
                DkimResult(self.domain(name), selector or None, self._result(result, "DKIM"), human or None)
                for name, selector, result, human in raw
            )
            if len(self._dkim) < SHARED and _usual(raw):
                self._dkim[raw] = cached
        return cached

    def spf(self, raw: Results) -> tuple[SpfResult, ...]:
        """SPF results out of (domain, scope, result, human result)."""
        cached = self._spf.get(raw)
        if cached is None:
            cached = tuple(
                SpfResult(self.domain(name), self.word(scope), self._result(result, "SPF"), human or None)
                for name, scope, result, human in raw
            )
            if len(self._spf) < SHARED and _usual(raw):
                self._spf[raw] = cached
        return cached

    def reasons(self, raw: Results) -> tuple[Reason, ...]:
        """Override reasons from (type, comment) pairs; empty ones are skipped (kddi.com sends them)."""
        cached = self._reasons.get(raw)
        if cached is None:
            cached = tuple(Reason(self.word(kind), comment or None) for kind, comment in raw if kind or comment)
            if len(self._reasons) < SHARED:
                self._reasons[raw] = cached
        return cached

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
    ) -> RecordContent:
        """Values of a record's trimmed texts: disposition, dkim, spf; header_from, envelope_from, envelope_to."""
        return (
            self.disposition(evaluated[0]),
            self.aligned(evaluated[1], "dkim"),
            self.aligned(evaluated[2], "spf"),
            self.reasons(reasons) if reasons else (),
            self.domain(identifiers[0]),
            self.domain(identifiers[1]),
            self.domain(identifiers[2]),
            self.dkim(dkim) if dkim else (),
            self.spf(spf) if spf else (),
        )

    def append(self, source_ip: str, number: int, content: RecordContent) -> None:
        """The record counts."""
        self.source_ips.append(self.address(source_ip))
        self.counts.append(number)
        self.contents.append(content)

    def no_sender(self, source_ip: str) -> bool:
        """Whether a record with a count of 0 names no sender; it is no record of mail then, and is counted apart."""
        # Any spelling of an address or network of zeros, too.
        if source_ip.lower() not in _NO_ADDRESS and source_ip.strip("0.:/\"'"):
            return False
        self.empty += 1
        return True

    @property
    def records(self) -> Records:
        """What was taken; nothing more is taken then."""
        return Records(self.source_ips, self.counts, self.contents)


def _usual(raw: Results) -> bool:
    return all(item[2] and item[2].lower() in _USUAL for item in raw)
