"""The binding Database: the catalogue's tables in transactions, and a copy of everything for backup and restore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["Database", "TableCopies", "TableReplacement", "TableSnapshot"]

_Result = TypeVar("_Result")


@runtime_checkable
class Database(Protocol):
    """The catalogue's tables, through SQLAlchemy Core."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for reading; sees everything committed before."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction: commits durably at the end of the block, rolls back on any error."""

    async def step(self, work: Callable[[Connection], _Result]) -> _Result:
        """The same for work that waits for nothing else: one trip for all its statements, the write lock held briefly.

        It may run in another thread: it touches nothing but the connection and what it was given.
        """

    async def migrate(self) -> str:
        """Bring the schema up to date; the revision that it has now."""

    async def ping(self) -> None:
        """Prove that the database can be written now; `StoreError` if not."""

    async def close(self) -> None:
        """Give back connections and files."""


class TableSnapshot(Protocol):
    """Every table as it was at one moment; `revision` is the schema's."""

    revision: str

    async def rows(self, table: str) -> Sequence[dict[str, Any]]:
        """All rows of the table."""


class TableReplacement(Protocol):
    """A transaction that replaces every table; `revision` is the schema's."""

    revision: str

    async def clear(self) -> None:
        """Delete all rows of all tables."""

    async def fill(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows; later rows get numbers above theirs. Tables are filled in the order of `TableCopies`."""

    async def put(self, key: str, value: str) -> None:
        """Set a value in KV, whatever was filled in."""


@runtime_checkable
class TableCopies(Protocol):
    """The whole database, the tables of KV and Queue included, for backup and restore."""

    @property
    def tables(self) -> Sequence[str]:
        """The names of all tables; a table stands after those that it refers to."""

    def snapshot(self) -> AbstractAsyncContextManager[TableSnapshot]:
        """Read every table as of one moment, while others write."""

    def replacement(self) -> AbstractAsyncContextManager[TableReplacement]:
        """Replace everything in one transaction: it commits at the end of the block, or nothing has changed."""
