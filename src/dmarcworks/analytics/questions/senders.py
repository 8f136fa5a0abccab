"""Who sends, by name: the sending service, the country, the header-from domain, and the DKIM selectors that sign.

Names come from enrichment and from reports; "" means that neither gives one.
"""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import (
    NAMED_SUMS,
    Counted,
    Domains,
    Scope,
    SlicePage,
    counted,
    day,
    printable,
    slice_page,
    slices,
)


@dataclass(frozen=True, slots=True)
class SenderVolume(Counted):
    """A sending service's messages; `kind` comes from enrichment."""

    sender: str
    kind: str
    sources: int
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class SelectorVolume:
    """Messages that carry a signature of a domain and selector; `valid` where it verified, `aligned` where DMARC's
    DKIM part passed too. A message with two signatures counts under each."""

    domain: str
    selector: str
    messages: int
    valid: int
    aligned: int
    first_day: date
    last_day: date


_SENDER = (
    f"SELECT {printable('sender')} AS sender_, {printable('any(sender_kind)')} AS kind, {NAMED_SUMS},"
    " uniqExact(source_ip) AS sources, min(day) AS first_day, max(day) AS last_day FROM dmarc_reports WHERE"
)


class SenderQuestions(QueryRunner):
    """Questions about names behind addresses."""

    async def senders(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 100
    ) -> tuple[SenderVolume, ...]:
        """Sending services by messages, most first."""
        scope = Scope.of(account_id, domain_id, first, last)
        return await self._senders(f"{scope.where} GROUP BY sender_", scope, limit)

    async def new_senders(
        self, account_id: str, domain_id: Domains, since: date, *, limit: int = 100
    ) -> tuple[SenderVolume, ...]:
        """Sending services that are in no report before `since`."""
        scope = Scope.of(account_id, domain_id, None, None)
        scope.parameters["since"] = since.isoformat()
        return await self._senders(f"{scope.where} GROUP BY sender_ HAVING first_day >= {{since:Date}}", scope, limit)

    async def _senders(self, condition: str, scope: Scope, limit: int) -> tuple[SenderVolume, ...]:
        rows = await self._query(
            f"{_SENDER} {condition} ORDER BY messages DESC, sender_ LIMIT {{limit:UInt32}}",
            scope.parameters | {"limit": limit},
        )
        return tuple(
            SenderVolume(
                **counted(row),
                sender=row["sender_"],
                kind=row["kind"],
                sources=int(row["sources"]),
                first_day=day(row["first_day"]),
                last_day=day(row["last_day"]),
            )
            for row in rows
        )

    async def countries(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 300, offset: int = 0
    ) -> SlicePage:
        """Messages by the country of their source address."""
        return await self._slices("country", Scope.of(account_id, domain_id, first, last), limit, offset)

    async def header_froms(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 100, offset: int = 0
    ) -> SlicePage:
        """Messages by the domain in their From header: the policy domain and its subdomains."""
        return await self._slices("header_from", Scope.of(account_id, domain_id, first, last), limit, offset)

    async def _slices(self, column: str, scope: Scope, limit: int, offset: int) -> SlicePage:
        return slice_page(
            await self._query(slices(column, scope), scope.parameters | {"limit": limit, "offset": offset})
        )

    async def selectors(
        self, account_id: str, domain_id: Domains, first: date, last: date, *, limit: int = 100
    ) -> tuple[SelectorVolume, ...]:
        """DKIM domains and selectors by messages, most first."""
        scope = Scope.of(account_id, domain_id, first, last)
        rows = await self._query(
            f"SELECT {printable('one.domain')} AS signer, {printable('one.selector')} AS selector,"
            " sum(toUInt128(count)) AS messages,"
            " sumIf(toUInt128(count), one.result = 'pass') AS valid,"
            " sumIf(toUInt128(count), one.result = 'pass' AND dkim_aligned = 'pass') AS aligned,"
            " min(day) AS first_day, max(day) AS last_day FROM"
            f" (SELECT count, day, dkim_aligned, arrayJoin(dkim) AS one FROM dmarc_reports WHERE {scope.where})"
            " GROUP BY signer, selector ORDER BY messages DESC, signer, selector LIMIT {limit:UInt32}",
            scope.parameters | {"limit": limit},
        )
        return tuple(
            SelectorVolume(
                domain=row["signer"],
                selector=row["selector"],
                messages=int(row["messages"]),
                valid=int(row["valid"]),
                aligned=int(row["aligned"]),
                first_day=day(row["first_day"]),
                last_day=day(row["last_day"]),
            )
            for row in rows
        )
