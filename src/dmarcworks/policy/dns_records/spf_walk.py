"""Follows the includes and redirects of an SPF record through DNS: bounded in names, depth, queries and time.

The records of includes are queried first, level by level, because they decide how many look-ups there are; then the
addresses of `a`, `mx` and `exists`, as far as the number of queries allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dmarcworks.enrich.resolver import NoAnswerError, Resolver
from dmarcworks.enrich.spf.client import is_query_name
from dmarcworks.enrich.spf.model import MAX_ADDRESS_NAMES
from dmarcworks.enrich.spf.record import SpfModifier, SpfRecord, SpfTerm, is_spf_record, parse_record
from dmarcworks.policy.dns_records.spf_tree import SpfFaultKind, SpfNode, costly_terms, known_name, sender_of

__all__ = ["SpfQueries", "SpfWalk"]

_DEPTH = 20
_NODES = 200
_AT_ONCE = 8


class _OverBudgetError(Exception):
    """No further query is allowed."""


class SpfQueries:
    """The queries of one check: each name and type once, at most `most`, some of them at the same time."""

    def __init__(self, resolver: Resolver, deadline: float, most: int) -> None:
        self._resolver = resolver
        self._deadline = deadline
        self._left = most
        self._known: dict[tuple[str, str], asyncio.Task[list[Any]]] = {}
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def records(self, name: str, kind: str) -> list[Any]:
        """The records; `NoAnswerError` when DNS gave no answer."""
        key = (name.lower(), kind)
        if key not in self._known:
            if self._left <= 0:
                raise _OverBudgetError
            self._left -= 1
            self._known[key] = asyncio.get_running_loop().create_task(self._query(*key))
        return await self._known[key]

    async def records_or_none(self, name: str, kind: str) -> list[Any] | None:
        """The same; None when DNS gave no answer or no further query is allowed."""
        try:
            return await self.records(name, kind)
        except (NoAnswerError, _OverBudgetError):
            return None

    async def _query(self, name: str, kind: str) -> list[Any]:
        async with self._limit:
            return await self._resolver(name, kind, self._deadline)


@dataclass
class _Draft:
    """A node before its cost is known."""

    term: SpfTerm | None
    name: str
    above: _Draft | None = None
    record: SpfRecord | None = None
    voids: int = 0
    fault: SpfFaultKind = SpfFaultKind.none
    problem: str = ""
    children: list[_Draft] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The mechanism or modifier."""
        return self.term.name if self.term is not None else ""

    def fail(self, fault: SpfFaultKind, problem: str) -> None:
        """Note the first thing that is wrong."""
        if not self.fault:
            self.fault, self.problem = fault, problem

    def frozen(self) -> SpfNode:
        """The node with its cost."""
        children = tuple(child.frozen() for child in self.children)
        return SpfNode(
            term=self.term.text if self.term is not None else "",
            name=self.name,
            record=self.record.text if self.record is not None else "",
            lookups=(self.term is not None) + sum(child.lookups for child in children),
            void_lookups=self.voids,
            problem=self.problem,
            sender=sender_of(self.name) if self.kind in ("include", "redirect") else "",
            children=children,
            fault=self.fault,
            parsed=self.record,
        )


class SpfWalk:
    """Builds the tree of one record."""

    def __init__(self, queries: SpfQueries, domain: str) -> None:
        self._queries = queries
        self._domain = domain
        self._nodes = 0

    async def tree(self, record: SpfRecord) -> SpfNode:
        """The tree below the record of the domain."""
        root = _Draft(None, self._domain, record=record)
        leaves: list[_Draft] = []
        level = [root]
        for _ in range(_DEPTH):
            opened = [child for draft in level for child in self._opened(draft, leaves)]
            if not opened:
                break
            await asyncio.gather(*(self._follow(draft) for draft in opened))
            level = [draft for draft in opened if draft.record is not None]
        else:
            for draft in level:
                draft.fail(SpfFaultKind.not_followed, f"what is more than {_DEPTH} levels deep was not looked up")
        await asyncio.gather(*(self._resolve(draft) for draft in leaves))
        return root.frozen()

    def _opened(self, draft: _Draft, leaves: list[_Draft]) -> Iterable[_Draft]:
        """The terms of a record as drafts: those whose records come next are returned, the others are leaves."""
        following: list[_Draft] = []
        for term in costly_terms(draft.record) if draft.record is not None else ():
            self._nodes += 1
            if self._nodes > _NODES:
                draft.fail(SpfFaultKind.not_followed, f"the terms after the first {_NODES} were not looked up")
                break
            name = known_name(term, draft.name, self._domain)
            child = _Draft(term, name or "", draft)
            draft.children.append(child)
            if name is None or term.name == "ptr":
                continue
            if not is_query_name(name):
                child.fail(SpfFaultKind.invalid_name, f"{name[:100]!r} is not a name that DNS can have")
            elif isinstance(term, SpfModifier) or term.name == "include":
                if _loops(child):
                    child.fail(SpfFaultKind.loop, f"{name} is included by itself")
                else:
                    following.append(child)
            else:
                leaves.append(child)
        return following

    async def _follow(self, draft: _Draft) -> None:
        """Query the record of an include or a redirect."""
        texts = await self._answer(draft, draft.name, "TXT")
        if texts is None:
            return
        selected = [text for text in texts if is_spf_record(text)]
        if not selected:
            draft.voids = 0 if texts else 1
            draft.fail(SpfFaultKind.no_record, f"{draft.name} has no SPF record")
        elif len(selected) > 1:
            draft.fail(SpfFaultKind.several_records, f"{draft.name} has {len(selected)} SPF records")
        else:
            draft.record = parse_record(selected[0])
            for fault in draft.record.faults[:1]:
                draft.fail(
                    SpfFaultKind.syntax,
                    f"the record of {draft.name} has a syntax error in {fault.text[:100]!r}: {fault.problem}",
                )

    async def _resolve(self, draft: _Draft) -> None:
        """Query what `a`, `mx` or `exists` leads to, for void look-ups."""
        if draft.kind == "exists":
            if await self._answer(draft, draft.name, "A") == []:
                _void(draft, f"{draft.name} does not exist")
        elif draft.kind == "a":
            if await self._addressless(draft, draft.name):
                _void(draft, f"{draft.name} has no address")
        else:
            await self._resolve_mx(draft)

    async def _resolve_mx(self, draft: _Draft) -> None:
        hosts = await self._answer(draft, draft.name, "MX")
        if hosts is None:
            return
        if not hosts:
            _void(draft, f"{draft.name} has no MX record")
        if len(hosts) > MAX_ADDRESS_NAMES:
            limit = f"{draft.name} has {len(hosts)} mail hosts; the limit is {MAX_ADDRESS_NAMES}"
            draft.fail(SpfFaultKind.mx_hosts, limit)
            return
        names = [str(host).removesuffix(".") for _, host in hosts]
        # The null MX (RFC 7505) has no host.
        names = [name for name in names if is_query_name(name)]
        missing = await asyncio.gather(*(self._addressless(draft, name) for name in names))
        for name, is_missing in zip(names, missing, strict=True):
            if is_missing:
                _void(draft, f"the mail host {name} of {draft.name} has no address", SpfFaultKind.mail_host)

    async def _addressless(self, draft: _Draft, name: str) -> bool:
        """Whether a name has neither an IPv4 nor an IPv6 address."""
        return await self._answer(draft, name, "A") == [] and await self._answer(draft, name, "AAAA") == []

    async def _answer(self, draft: _Draft, name: str, kind: str) -> list[Any] | None:
        try:
            return await self._queries.records(name, kind)
        except NoAnswerError:
            draft.fail(SpfFaultKind.no_answer, f"DNS did not answer about {name} ({kind})")
        except _OverBudgetError:
            draft.fail(SpfFaultKind.not_followed, f"{name} was not looked up, because the check had made its queries")
        return None


def _void(draft: _Draft, problem: str, fault: SpfFaultKind = SpfFaultKind.unresolved) -> None:
    draft.voids += 1
    draft.fail(fault, problem)


def _loops(draft: _Draft) -> bool:
    above = draft.above
    while above is not None:
        if above.name.lower() == draft.name:
            return True
        above = above.above
    return False
