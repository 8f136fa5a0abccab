"""At the start: rules that can have no effect are named in the log and disabled, each with its line in the audit log.

Such rules come from versions that did not check them, from a restored backup, or from a host name that was changed
since. A rule whose own account has the nearer domain moves to that domain. Domains that an account may not have are
named too; they keep their address for reports, so no report is lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy import update

from dmarcworks.bindings.contracts import Database
from dmarcworks.catalogue import addresses, audit, mail_tables
from dmarcworks.catalogue.route_store import Routes
from dmarcworks.catalogue.routes import RoutingRule
from dmarcworks.catalogue.zones import View

__all__ = ["IneffectiveRule", "findings", "review"]

log = structlog.get_logger("dmarcworks.catalogue")


@dataclass(frozen=True, slots=True)
class IneffectiveRule:
    """A rule, why it has no effect, and the id of the domain that it moves to ("": it is disabled)."""

    rule: RoutingRule
    reason: str
    moves: str = ""


def findings(rules: Iterable[RoutingRule], view: View, report_addresses: frozenset[str]) -> Iterator[IneffectiveRule]:
    """What is wrong with rules that are enabled."""
    for rule in rules:
        if not rule.enabled:
            continue
        if rule.address in report_addresses:
            yield IneffectiveRule(rule, f"{rule.address} is an address for reports, which no rule applies to")
            continue
        reason = view.objection(rule.account_id, rule.domain_id, rule.domain)
        if not reason:
            continue
        nearest = view.nearest(rule.domain)
        mine = view.zone(rule.account_id, rule.domain_id, rule.domain)
        own = rule.address and nearest is not None and mine is not None and nearest.account_id == rule.account_id
        yield IneffectiveRule(rule, reason, nearest.domain_id if own and nearest is not None else "")


async def review(database: Database, routes: Routes, *, clock: Callable[[], float] = time.time) -> int:
    """Disable what has no effect; how many rules were disabled or moved."""
    view = await routes.zones.whole()
    rules = await routes.rules()
    async with database.read() as connection:
        named = {rule.address for rule in rules if rule.address}
        report_addresses = frozenset([one for one in named if await addresses.owner(connection, one) is not None])
    # The list of public suffixes is read here, so that no mail waits for it.
    ineffective = await asyncio.to_thread(lambda: list(findings(rules, view, report_addresses)))
    barred = await asyncio.to_thread(lambda: [(held, view.barred(held)) for held in view.held.values()])
    for held, reason in barred:
        if reason:
            log.warning("a domain is reserved for the operator", domain=held.name, account=held.account, reason=reason)
    for finding in ineffective:
        await _apply(database, finding, clock())
    if ineffective:
        routes.forget()
    return len(ineffective)


async def _apply(database: Database, finding: IneffectiveRule, now: float) -> None:
    rule, table = finding.rule, mail_tables.routing_rules
    target = rule.address or f"*@{rule.domain}"
    changes = {"domain_id": finding.moves} if finding.moves else {"enabled": False}
    detail = {"rule": rule.id, "action": rule.action, "value": rule.value, "because": finding.reason}
    async with database.write() as connection:
        await connection.execute(update(table).where(table.c.id == rule.id).values(**changes, modified=now))
        action = "route.move" if finding.moves else "route.disable"
        await audit.note(connection, now, action, target, account_id=rule.account_id, detail=detail)
    event = "a routing rule moved to the nearer domain" if finding.moves else "a routing rule was disabled"
    log.warning(event, rule=rule.id, address=target, account=rule.account_id, reason=finding.reason)
