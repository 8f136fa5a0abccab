"""The addresses that passed SPF for a domain by its stored reports."""

# ruff: noqa: S608 - the pieces put together here are our own constants; values are bound as {name:Type}
from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.execute import QueryRunner
from dmarcworks.analytics.questions.scope import Domains, Scope
from dmarcworks.analytics.questions.sender_rows import name_of

__all__ = ["PassingAddress", "SpfPassQuestions"]


@dataclass(frozen=True, slots=True)
class PassingAddress:
    """An address with the messages that passed SPF for a domain, and those of them that SPF aligned."""

    source_ip: str
    messages: int
    aligned: int


class SpfPassQuestions(QueryRunner):
    """Questions about SPF passes."""

    async def spf_passes(
        self, account_id: str, domain_id: Domains, first: date, last: date, spf_domain: str, *, limit: int
    ) -> tuple[PassingAddress, ...]:
        """The addresses that passed SPF for this very name, by MAIL FROM or HELO, those of the most messages first."""
        passed = (
            f"arrayExists(s -> ifNull(s.result = 'pass', 0) AND {name_of('s.domain')} = {{spf_domain:String}}, spf)"
        )
        scope = Scope.of(account_id, domain_id, first, last).narrowed(passed, spf_domain=spf_domain)
        answer = await self._query(
            "SELECT source_ip, sum(toUInt128(count)) AS messages,"
            " sumIf(toUInt128(count), ifNull(spf_aligned = 'pass', 0)) AS aligned"
            f" FROM dmarc_reports WHERE {scope.where} AND count > 0 GROUP BY source_ip"
            " ORDER BY messages DESC, source_ip LIMIT {limit:UInt32}",
            scope.parameters | {"limit": limit},
        )
        return tuple(PassingAddress(row["source_ip"], int(row["messages"]), int(row["aligned"])) for row in answer)
