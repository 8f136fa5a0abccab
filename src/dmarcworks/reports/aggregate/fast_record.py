"""The texts of a usual record after its count, extracted by patterns; equal ones in one report are parsed once.

In: the text between `</count>` and `</record>`. Out: the same texts as `record.read` finds; `Unusual` for other forms.
"""

from __future__ import annotations

import re
from typing import TypeVar

from dmarcworks.reports.aggregate.record import DKIM, REASON, SPF, fields
from dmarcworks.reports.aggregate.tally import Results

__all__ = ["KNOWN", "Evaluated", "RecordTexts", "Unusual", "Words"]

# How many different texts of one report are known again.
KNOWN = 8_192
_TAIL = re.compile(
    r"<policy_evaluated>(?>(.*?)</policy_evaluated>)\s*+</row>\s*+<identifiers>(?>(.*?)</identifiers>)\s*+"
    r"<auth_results>(?>(.*?)</auth_results>)\s*+",
    re.DOTALL | re.ASCII,
)
_ANY = re.compile(r"<([A-Za-z_]\w*+)>([^<>]*+)</\1>\s*+", re.ASCII)
_GROUP = re.compile(r"<(dkim|spf|reason)>\s*+((?:<([A-Za-z_]\w*+)>[^<>]*+</\3>\s*+)*+)</\1>\s*+", re.ASCII)

Words = tuple[str | None, str | None, str | None]
Evaluated = tuple[Words, Results]


class Unusual(Exception):
    """The general reader is needed."""


class RecordTexts:
    """The texts of one report's records."""

    def __init__(self) -> None:
        self._evaluated: dict[str, Evaluated] = {}
        self._identifiers: dict[str, Words] = {}
        self._auth: dict[str, tuple[Results, Results]] = {}

    def parts(self, tail: str) -> tuple[Words, Results, Words, Results, Results]:
        """The texts of a record behind its count."""
        match = _TAIL.fullmatch(tail)
        if match is None:
            raise Unusual
        first, second, third = match.groups()
        evaluated, reasons = self._evaluated.get(first) or self._evaluate(first)
        names = self._identifiers.get(second) or self._identify(second)
        dkim, spf = self._auth.get(third) or self._authenticate(third)
        return evaluated, reasons, names, dkim, spf

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
                raise Unusual
        evaluated = (words.get("disposition"), words.get("dkim"), words.get("spf"))
        return _kept(self._evaluated, text, (evaluated, tuple(reasons)))

    def _identify(self, text: str) -> Words:
        words: dict[str, str] = {}
        for name, value in self._pairs(text):
            words.setdefault(name, value)
        identifiers = (words.get("header_from"), words.get("envelope_from"), words.get("envelope_to"))
        return _kept(self._identifiers, text, identifiers)

    def _authenticate(self, text: str) -> tuple[Results, Results]:
        dkim: list[tuple[str | None, ...]] = []
        spf: list[tuple[str | None, ...]] = []
        position = self._start(text)
        while position < len(text):
            group = _GROUP.match(text, position)
            if group is None:
                raise Unusual
            pairs = self._pairs(group.group(2))
            if group.group(1) == "dkim":
                dkim.append(fields(pairs, DKIM))
            elif group.group(1) == "spf":
                spf.append(fields(pairs, SPF))
            else:
                raise Unusual
            position = group.end()
        return _kept(self._auth, text, (tuple(dkim), tuple(spf)))

    def _pairs(self, text: str) -> list[tuple[str, str]]:
        pairs: list[tuple[str, str]] = []
        position = self._start(text)
        while position < len(text):
            match = _ANY.match(text, position)
            if match is None:
                raise Unusual
            pairs.append((match.group(1), match.group(2).strip()))
            position = match.end()
        return pairs

    @staticmethod
    def _start(text: str) -> int:
        """Where the first element begins, after any white space."""
        return len(text) - len(text.lstrip(" \t\n"))


_Value = TypeVar("_Value")


def _kept(cache: dict[str, _Value], text: str, value: _Value) -> _Value:
    if len(cache) < KNOWN:
        cache[text] = value
    return value
