"""The query parameters of a route. Unknown ones are refused: a misspelt filter would filter nothing."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Request
from fastapi.dependencies.models import Dependant

__all__ = ["objection", "query_names"]

_SHOWN = 60


def query_names(dependant: Dependant) -> list[str]:
    """The names of the query parameters of a route and of all that it depends on, sorted."""
    return sorted(_names(dependant))


def objection(request: Request, known: Sequence[str]) -> str | None:
    """Why the request's query parameters are refused: the first that is unknown or given twice; None when all fit."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        there = f"known parameters: {', '.join(known)}" if known else "there are none here"
        return f"unknown parameter {unknown[0][:_SHOWN]!r}; {there}"
    twice = [name for name in known if len(request.query_params.getlist(name)) > 1]
    return f"the parameter {twice[0]} is given more than once" if twice else None


def _names(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*map(_names, dependant.dependencies))
