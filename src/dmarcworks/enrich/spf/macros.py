"""SPF macros (RFC 7208 section 7): parse a macro string into parts, expand the parts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from dmarcworks.enrich.senders.names import IpAddress

__all__ = [
    "MacroError",
    "MacroExpand",
    "MacroString",
    "dotted",
    "ends_in_macro",
    "expand",
    "expand_name",
    "macros_in",
    "parse_macros",
]

_EXPAND = re.compile(r"%\{([A-Za-z])(\d*)([rR]?)([.\-+,/_=]*)\}")
_TOKENS = re.compile(r"%\{[^}]*\}|%.|[^%]+", re.DOTALL)
_ESCAPES = {"%%": "%", "%_": " ", "%-": "%20"}
_MACROS = frozenset("slodiphcrtv")
_NAME_BYTES = 253
_HIDDEN = re.compile(r"[^ -~]")
_HIDDEN_OR_BLANK = re.compile(r"[^!-~]")
# Labels of a name at most; a larger number keeps everything, and the digits of a stranger may be many.
_PARTS = 128


class MacroError(ValueError):
    """A macro string that breaks the grammar; the text names the place."""


@dataclass(frozen=True, slots=True)
class MacroExpand:
    """`%{…}`: the macro, how many right-hand parts stay (0: all), reversal, delimiters, and URL escaping."""

    name: str
    keep: int = 0
    reverse: bool = False
    delimiters: str = "."
    escaped: bool = False


MacroString = tuple[str | MacroExpand, ...]
"""Literal text and macros in their order."""


def parse_macros(text: str, *, spaces: bool = False) -> MacroString:
    """The parts of a macro string; with `spaces` of an explanation, in which blanks are allowed."""
    parts: list[str | MacroExpand] = []
    literal: list[str] = []
    place = 0
    while place < len(text):
        percent = text.find("%", place)
        end = len(text) if percent < 0 else percent
        literal.append(_visible(text[place:end], spaces))
        if percent < 0:
            break
        if (escape := _ESCAPES.get(text[percent : percent + 2])) is not None:
            literal.append(escape)
            place = percent + 2
            continue
        match = _EXPAND.match(text, percent)
        if match is None:
            raise MacroError(f"{text[percent : percent + 8]!r} is not a macro; a literal percent sign is written %%")
        if any(literal):
            parts.append("".join(literal))
        literal = []
        parts.append(_expand_of(match))
        place = match.end()
    if any(literal):
        parts.append("".join(literal))
    return tuple(parts)


def _visible(text: str, spaces: bool) -> str:
    if (match := (_HIDDEN_OR_BLANK, _HIDDEN)[spaces].search(text)) is not None:
        raise MacroError(f"the character {match[0]!r} is not allowed")
    return text


def _expand_of(match: re.Match[str]) -> MacroExpand:
    name, digits, reverse, delimiters = match.groups()
    if name.lower() not in _MACROS:
        raise MacroError(f"there is no macro %{{{name}}}")
    number = digits.lstrip("0")
    if digits and not number:
        raise MacroError(f"{match[0]!r} keeps 0 parts; the number must be 1 or more")
    keep = 0 if not number else _PARTS if len(number) > 3 else min(int(number), _PARTS)
    return MacroExpand(name.lower(), keep, bool(reverse), delimiters or ".", name.isupper())


def ends_in_macro(text: str) -> bool:
    """Whether a macro string ends in `macro-expand`: a macro or one of the escapes %%, %_ and %-."""
    last = ""
    for token in _TOKENS.finditer(text):
        last = token[0]
    return last.startswith("%")


def macros_in(parts: MacroString) -> frozenset[str]:
    """The macros that a string uses, in lower case."""
    return frozenset(part.name for part in parts if isinstance(part, MacroExpand))


def expand(parts: MacroString, values: Mapping[str, str], most: int) -> str:
    """The text with the value of each macro, its first `most` characters; `values` has one for each of the macros."""
    pieces: list[str] = []
    size = 0
    for part in parts:
        pieces.append(part if isinstance(part, str) else _expanded(part, values[part.name]))
        size += len(pieces[-1])
        if size >= most:
            break
    return "".join(pieces)[:most]


def expand_name(parts: MacroString, values: Mapping[str, str]) -> str:
    """The name for a query, without the last dot. Labels on the left are removed until it has 253 characters.

    It is built from the right, so that a record full of macros costs no more than the name that stays.
    """
    pieces: list[str] = []
    size = 0
    for part in reversed(parts):
        pieces.append(part if isinstance(part, str) else _expanded(part, values[part.name]))
        size += len(pieces[-1])
        if size > _NAME_BYTES + 1:
            break
    name = "".join(reversed(pieces)).removesuffix(".")
    if len(name) <= _NAME_BYTES:
        return name
    kept = name[-_NAME_BYTES - 1 :]
    # What is left of the first dot is a label that is not whole, or nothing when the cut is between two labels.
    return kept.partition(".")[2] or kept


def _expanded(macro: MacroExpand, value: str) -> str:
    if macro.keep or macro.reverse or macro.delimiters != ".":
        pieces = re.split(f"[{re.escape(macro.delimiters)}]", value)
        if macro.reverse:
            pieces.reverse()
        value = ".".join(pieces[-macro.keep :] if macro.keep else pieces)
    return quote(value, safe="-._~") if macro.escaped else value


def dotted(ip: IpAddress) -> str:
    """An address as `%{i}` writes it: dotted decimal, or IPv6 as nibbles with dots between them."""
    return str(ip) if ip.version == 4 else ".".join(f"{int(ip):032X}")
