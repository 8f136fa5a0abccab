"""What of the present knowledge about senders is in the stored rows already, so that only the rest is applied.

A fingerprint stands for knowledge: one for the catalogue of services and the files, which concern all rows, one for the
own names of each account, and one for the decisions on each domain. Those that were applied are kept in KV.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dmarcworks.bindings.contracts import KV
from dmarcworks.enrich.senders.load import sources
from dmarcworks.process.clock import clock

__all__ = ["APPLIED", "Knowledge", "RefreshScope", "RefreshState", "system_fingerprint"]

APPLIED = "upkeep:senders-applied"
# Processes with different files or versions must not undo each other's work all the time: what was replaced is applied
# again after a day at the earliest.
_DAY = 86_400.0
# Fingerprints of all rows that are remembered.
_REMEMBERED = 8


@dataclass(frozen=True, slots=True)
class RefreshScope:
    """Which rows: of an account, of a domain of it, or all; and the fingerprint of what is applied to them."""

    fingerprint: str
    account_id: str = ""
    domain_id: str = ""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """The present fingerprints: of all rows, by account, and by (account, domain)."""

    system: str
    accounts: Mapping[str, str] = field(default_factory=dict)
    domains: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefreshState:
    """What was applied. `systems`: fingerprints of all rows with their time, the last one being in effect.

    `month` is the last one that an interrupted run over all rows for the fingerprint `begun` completed.
    """

    systems: Mapping[str, float] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    domains: Mapping[tuple[str, str], str] = field(default_factory=dict)
    begun: str = ""
    month: int = 0

    @classmethod
    async def load(cls, kv: KV) -> RefreshState:
        """What KV holds; nothing when it holds none."""
        text = await kv.get(APPLIED)
        if text is None:
            return cls()
        values: dict[str, Any] = json.loads(text)
        domains = {(account, domain): mark for account, domain, mark in values.pop("domains")}
        return cls(**values, domains=domains)

    async def save(self, kv: KV) -> None:
        """Keep it."""
        values = {
            "systems": dict(self.systems),
            "accounts": dict(self.accounts),
            "domains": [[*key, mark] for key, mark in self.domains.items()],
            "begun": self.begun,
            "month": self.month,
        }
        await kv.put(APPLIED, json.dumps(values))

    @property
    def applied(self) -> float | None:
        """When knowledge was last applied to all rows, in unix seconds."""
        return max(self.systems.values(), default=None)

    def due(self, known: Knowledge) -> list[RefreshScope]:
        """The rows whose knowledge changed: all, or those of accounts and domains."""
        if self._system_due(known.system):
            return [RefreshScope(known.system)]
        accounts = [RefreshScope(mark, account) for account, mark in _changed(self.accounts, known.accounts)]
        domains = [RefreshScope(mark, *key) for key, mark in _changed(self.domains, known.domains)]
        return accounts + domains

    def _system_due(self, mark: str) -> bool:
        if not self.systems or mark not in self.systems:
            return True
        last = max(self.systems, key=lambda one: self.systems[one])
        return mark != last and clock() - self.systems[mark] > _DAY

    def with_begun(self, known: Knowledge) -> RefreshState:
        """The state when a run over all rows begins: it applies what accounts know now, too."""
        return replace(self, accounts=known.accounts, domains=known.domains, begun=known.system, month=0)

    def with_applied(self, scope: RefreshScope) -> RefreshState:
        """The state after the scope's rows were written."""
        if scope.domain_id:
            return replace(self, domains=_with(self.domains, (scope.account_id, scope.domain_id), scope.fingerprint))
        if scope.account_id:
            return replace(self, accounts=_with(self.accounts, scope.account_id, scope.fingerprint))
        systems = sorted(({**self.systems, scope.fingerprint: clock()}).items(), key=lambda one: one[1])
        return RefreshState(dict(systems[-_REMEMBERED:]), self.accounts, self.domains)


def system_fingerprint(sender_file: str, ip_files: Iterable[str]) -> str:
    """Of the catalogue, the file of base domains and the names of the IP data files."""
    digest = hashlib.sha256(_catalogue())
    if sender_file:
        digest.update(hashlib.sha256(Path(sender_file).read_bytes()).digest())
    digest.update(repr(sorted(ip_files)).encode())
    return digest.hexdigest()[:32]


@functools.cache
def _catalogue() -> bytes:
    return hashlib.sha256(repr(list(sources())).encode()).digest()


def _changed(before: Mapping[Any, str], now: Mapping[Any, str]) -> list[tuple[Any, str]]:
    """The keys whose value is another one, or is gone."""
    return [(key, now.get(key, "")) for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]


def _with(marks: Mapping[Any, str], key: Any, mark: str) -> dict[Any, str]:
    return {name: one for name, one in {**marks, key: mark}.items() if one}
