"""Errors of a query: the original's text, the HTTP status and the place in the response."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dmarcworks.errors import DmarcworksError


class Refusal(DmarcworksError):
    """A query that is refused: one failing node fails the whole. `path` from the root, list places as text."""

    def __init__(self, text: str, path: Sequence[str] = (), status: int = 400, wait: int = 0) -> None:
        super().__init__(text)
        self.path, self.status, self.wait = tuple(path), status, wait


def envelope(text: str, path: Sequence[str], now: datetime) -> dict[str, Any]:
    """The answer's body: no data, one error."""
    stamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    error = {"message": text, "path": list(path) or None, "extensions": {"timestamp": stamp}}
    return {"data": None, "errors": [error]}
