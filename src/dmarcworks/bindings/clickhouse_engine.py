"""The ClickHouse engine as chdb gives it: sessions, and errors in our tree.

Everything here blocks and runs in the threads of `ChdbAnalytics`: sessions run side by side, one session is for one
thread at a time. chdb is imported when the first engine opens, since that costs a second and 200 MB.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from dmarcworks.errors import QueryError, StoreError
from dmarcworks.process.memory import release_code_pages

__all__ = ["LIBRARY", "ClickhouseEngine", "field"]

# What is wrong with the disk or the machine, not with the statement: it may work later.
_OF_THE_STORE = re.compile(
    r"\((?:NOT_ENOUGH_SPACE|CANNOT_\w*(?:FILE|DIRECTORY|FSYNC|MMAP|STAT|STATVFS|LINK|RENAME|UNLINK|ALLOCATE_MEMORY)\w*"
    r"|CANNOT_FSYNC|CANNOT_OPEN_FILE|ERRNO|STD_EXCEPTION|TABLE_IS_READ_ONLY|FILE_DOESNT_EXIST|DIRECTORY_DOESNT_EXIST"
    r"|CORRUPTED_DATA|CHECKSUM_DOESNT_MATCH|UNEXPECTED_END_OF_FILE|TOO_MANY_PARTS|NO_SUCH_DATA_PART|ABORTED)\)\s*$"
)
_HEAD = re.compile(r"(?:Code: \d+\. )?DB::Exception: ")
_VERSION = re.compile(r" ?\(version [^)]*\)")
_TRACE = re.compile(r"\s*(?:, Stack trace|Stack trace|\n0\. ).*", re.DOTALL)
# How the file name of the engine's shared library begins.
LIBRARY = "_chdb"


class ClickhouseEngine:
    """An open engine on a folder: one session that holds it, and one session for each statement."""

    def __init__(self, path: Path, database: str) -> None:
        self.path = path
        self._database = database
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(f"analytics {path}: {error.strerror}") from error
        import chdb

        self._connect = chdb.connect
        try:
            self._session = self._connect(str(path))
        except RuntimeError as error:
            raise StoreError(f"analytics {path}: {_why(path, str(error))}") from error
        try:
            self._session.query(f"CREATE DATABASE IF NOT EXISTS {database}")
        except RuntimeError as error:
            raise self._error(error, writing=True) from None
        release_code_pages(LIBRARY)

    def close(self) -> None:
        """Close the session that holds the folder: the engine gives back its lock. No statement may run any more."""
        self._session.close()

    @contextmanager
    def _opened(self, *, writing: bool = False) -> Iterator[Any]:
        """A session of its own in the database; what goes wrong in it is an error of our tree."""
        session = self._connect(str(self.path))
        try:
            session.query(f"USE {self._database}")
            yield session
        except RuntimeError as error:
            raise self._error(error, writing=writing) from None
        finally:
            session.close()

    def write(self, statement: str) -> None:
        """Run a trusted statement in a session that may write."""
        with self._opened(writing=True) as session:
            session.query(statement)

    def insert(self, statement: str, table: pa.Table) -> None:
        """Run an INSERT … SELECT … FROM Python(table): the engine finds `table` in this frame."""
        with self._opened(writing=True) as session:
            session.query(statement)

    def read(
        self,
        statement: str,
        format: str,
        parameters: dict[str, str],
        settings: str,
        *,
        ended: threading.Event | None = None,
    ) -> bytes:
        """Run a statement in a session that can write no table and cannot change its settings.

        Once `ended` is set the statement does not begin; one that runs already is ended by `kill`.
        """
        with self._opened() as session:
            session.query(f"SET {settings}")
            if ended is not None and ended.is_set():
                raise QueryError("the statement was cancelled before it began (QUERY_WAS_CANCELLED)")
            result: bytes = session.query(statement, format, params=parameters).bytes()
            return result

    def kill(self, comment: str) -> None:
        """End the running statement whose settings have this `log_comment` (letters and digits only)."""
        with self._opened(writing=True) as session:
            session.query(f"KILL QUERY WHERE Settings['log_comment'] = '{comment}' ASYNC")

    def _error(self, error: RuntimeError, *, writing: bool = False) -> QueryError | StoreError:
        text = _TRACE.sub("", _VERSION.sub("", _HEAD.sub("", str(error)))).strip().rstrip(".")
        # A query that wants too much memory is to blame itself; an insert came when there was too little.
        if _OF_THE_STORE.search(text) or (writing and "(MEMORY_LIMIT_EXCEEDED)" in text):
            return StoreError(f"analytics {self.path}: {text}")
        return QueryError(text)


def field(text: str) -> str:
    """Text as the engine reads a parameter: a field of TabSeparated."""
    for plain, escape in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, escape)
    return text


def _why(path: Path, text: str) -> str:
    if "already initialized" in text:
        return "this process has another analytics folder open; the engine serves one at a time"
    if not os.access(path, os.W_OK):
        return "the folder cannot be written"
    return (
        "the folder cannot be opened; another process may hold it: a running `dmarcworks serve`, `sql` or `replay`"
        " on the same DMARCWORKS_HOME (the engine allows one at a time), or the disk is full or damaged"
    )
