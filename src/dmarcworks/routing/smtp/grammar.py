"""The arguments of MAIL and RCPT (RFC 5321 §4.1.2): a path and its parameters. Pure.

Accepted as well: a space before the path, and an address without its angle brackets. A source route is left out, as the
RFC requires. Refused: white space and control characters inside a path.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LOCAL = r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^\s<>"\\,:;\x00-\x20\x7f@]+)'
_ADDRESS = rf"{_LOCAL}(?:@(?:\[[^\s\]\[\x00-\x1f\x7f]*\]|[^\s<>\"\\,:;@\[\]\x00-\x20\x7f]+))?"
_PATH = re.compile(rf" *(?:<(?:@[^\s<>:\x00-\x1f]*:)?({_ADDRESS})?>|({_ADDRESS}))(?: +(.*))?$")
_WHOLE = re.compile(_ADDRESS)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e]+))?$")


@dataclass(frozen=True, slots=True)
class Path:
    """An address ("" for the null path) and parameters by their names in capitals (None: without a value)."""

    address: str
    parameters: dict[str, str | None]


def mail_address(text: str) -> str | None:
    """The address that a text is, with or without angle brackets ("" for `<>`); None when it is none.

    For whatever names an envelope address otherwise than by an SMTP command.
    """
    inner = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    if inner != "" or text == "<>":
        printable = inner == "" or (_WHOLE.fullmatch(inner) and inner.isprintable())
        return inner if printable else None
    return None


def parse_path(argument: str, keyword: str) -> Path | str | None:
    """The path behind `FROM:` or `TO:`. None: the syntax is wrong; a string: the malformed address."""
    if argument[: len(keyword)].upper() != keyword:
        return None
    rest = argument[len(keyword) :]
    if not rest.strip():
        return None
    match = _PATH.match(rest)
    if match is None:
        return rest.strip()
    parameters: dict[str, str | None] = {}
    for word in (match[3] or "").split():
        parameter = _PARAMETER.match(word)
        if parameter is None or parameter[1].upper() in parameters:
            return None
        parameters[parameter[1].upper()] = parameter[2]
    return Path(match[1] or match[2] or "", parameters)
