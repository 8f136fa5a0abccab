"""The binding Analytics: a column store that speaks ClickHouse's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

# Named in signatures only: a command without rows must not wait for Arrow.
if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Analytics", "QueryBounds"]


@dataclass(frozen=True, slots=True)
class QueryBounds:
    """What a query may take: seconds, result rows, bytes of memory."""

    seconds: float = 10.0
    rows: int = 100_000
    memory: int = 1 << 30
    extra: Mapping[str, str | int] = field(default_factory=dict)


@runtime_checkable
class Analytics(Protocol):
    """A ClickHouse, in process or far away; one dialect."""

    async def execute(self, statement: str) -> None:
        """Run DDL or another statement without a result (trusted text only)."""

    async def insert(self, table: str, data: pa.Table) -> None:
        """Durably insert, all rows or none, in one block; columns by name."""

    async def query(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        format: str = "JSONEachRow",
        bounds: QueryBounds | None = None,
    ) -> bytes:
        """Run a SELECT read-only, `{name:Type}` parameters bound by the engine; the result in the format's bytes.

        The engine writes no table and changes no setting, but it runs what it is given: SQL that others wrote is
        checked before it comes here (`api.sql.checked`).
        With `bounds` the engine's own limits are set; `QueryError` with the engine's text when it refuses or a
        bound is hit. Without, our own queries run under generous limits. A query whose caller is cancelled ends.
        """

    async def ping(self) -> None:
        """Prove that the engine answers; `StoreError` if not."""

    async def close(self) -> None:
        """Give back the engine's lock and files."""
