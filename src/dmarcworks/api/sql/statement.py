"""What the SQL API passes to the engine: a statement of our own, and the result's format."""

from __future__ import annotations

from dataclasses import dataclass

from dmarcworks.api.sql.functions import FORMATS
from dmarcworks.errors import QueryError

__all__ = ["Statement", "format_name"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What the engine runs: our SQL, the result's format, the names in the user's text, the names of its parameters,
    and that text itself, which errors refer to."""

    sql: str
    format: str
    names: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    text: str = ""


def format_name(name: str) -> str:
    """The engine's name of a format; `QueryError` that lists them for one that is not offered."""
    if name.lower() not in FORMATS:
        formats = ", ".join(form for form, _ in FORMATS.values())
        raise QueryError(f"Input was invalid: unsupported format: {name[:40]}; choose one of {formats}")
    return FORMATS[name.lower()][0]
