"""Report cards for a server: one resolver for all of them, and a bound on how many are made at the same time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from dmarcworks.enrich.resolver import Dns, RecordResolver
from dmarcworks.errors import BusyError
from dmarcworks.policy.dns_records.report_card import CardRequest, ReportCard, make_report_card

__all__ = ["RecordChecker"]

# Cards made at the same time; each causes some dozens of queries.
_AT_ONCE = 8
# A client waits for its answer: shorter than a proxy's usual patience.
_SECONDS = 15.0
_Result = TypeVar("_Result")


class RecordChecker:
    """To be used from one event loop. Documents are fetched from public addresses only."""

    def __init__(self, server: str = "") -> None:
        self._server = server
        self._dns: Dns | None = None
        self._running = 0

    async def __call__(self, request: CardRequest) -> ReportCard:
        """The card; `BusyError` while too many are being made."""
        return await self.lend(lambda resolver: make_report_card(resolver, request, seconds=_SECONDS))

    async def lend(self, work: Callable[[RecordResolver], Awaitable[_Result]]) -> _Result:
        """The result of work with the resolver; `BusyError` while too many others have it."""
        if self._running >= _AT_ONCE:
            raise BusyError(f"{_AT_ONCE} checks of DNS records are running; try again in some seconds")
        self._running += 1
        try:
            # The socket thread begins with the first query: a server that checks nothing has none.
            self._dns = self._dns or Dns(self._server)
            return await work(self._dns)
        finally:
            self._running -= 1
