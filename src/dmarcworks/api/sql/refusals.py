"""Errors for a user's SQL that has no writer: the original's text, with the nearest known name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from sqlglot import exp

from dmarcworks.errors import QueryError

__all__ = ["only", "suggest", "unsupported"]

# Arguments of nodes that change how a text looks, not what it means.
_HARMLESS = frozenset({"safe", "typed", "value_constructor", "nulls_first", "desc"})


def suggest(name: str, names: Iterable[str]) -> str:
    """The suffix of an error about an unknown name: the nearest known one, or nothing."""
    known = sorted(set(names), key=str.lower)
    same = [near for near in known if near.lower() == name.lower()]
    near = same[:1] or difflib.get_close_matches(name[:100], known, 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


def unsupported(node: object, what: str = "") -> QueryError:
    """The error for a node that has no writer, with the original's text."""
    if not what:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).upper()
        what = "CASE WHEN ..." if isinstance(node, exp.Case) else name
    return QueryError(f"Input was invalid: unsupported expression type: {what}")


def only(node: exp.Expr, *keys: str) -> None:
    """Refuse a node that carries anything besides the arguments that its writer writes."""
    for key, value in node.args.items():
        absent = value is None or value is False or (isinstance(value, list | str) and not value)
        if not absent and key not in keys and key not in _HARMLESS:
            raise unsupported(node, f"{type(node).__name__.upper()} with {key.strip('_').upper()}")
