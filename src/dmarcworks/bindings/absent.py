"""The Analytics of a process that has none because it only accepts mail. Every call on it raises a `StoreError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import pyarrow as pa

from dmarcworks.bindings.contracts import QueryBounds
from dmarcworks.errors import StoreError

__all__ = ["AbsentAnalytics"]


class AbsentAnalytics:
    """The Analytics contract, refused: an embedded store belongs to the process that reads and publishes."""

    async def execute(self, statement: str) -> None:
        """`StoreError`."""
        _refuse()

    async def insert(self, table: str, data: pa.Table) -> None:
        """`StoreError`."""
        _refuse()

    async def query(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        format: str = "JSONEachRow",
        bounds: QueryBounds | None = None,
    ) -> bytes:
        """`StoreError`."""
        _refuse()

    async def ping(self) -> None:
        """`StoreError`."""
        _refuse()

    async def close(self) -> None:
        """Nothing to give back."""


def _refuse() -> NoReturn:
    raise StoreError("this process only accepts mail: it has no analytics store")
