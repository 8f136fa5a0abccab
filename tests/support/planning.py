"""Change plans over an engine and a name server on loopback, with decisions of owners that are kept in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.enrich.resolver import Dns, RecordResolver
from dmarcworks.policy.planner import Planner
from tests.support.policy_senders import OwnersWords, reader

_Result = TypeVar("_Result")


class OneResolver:
    """Lends one resolver, without a bound."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns

    async def lend(self, work: Callable[[RecordResolver], Awaitable[_Result]]) -> _Result:
        return await work(self._dns)


def planner(analytics: Analytics, dns: Dns, decisions: Mapping[str, str] | None = None) -> Planner:
    """A planner over an engine; its resolver is closed by the test."""
    words = OwnersWords(decisions)
    return Planner(Questions(analytics), words, reader(analytics, decisions), OneResolver(dns))  # type: ignore[arg-type]
