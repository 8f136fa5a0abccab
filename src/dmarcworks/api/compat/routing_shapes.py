"""Routing rules, destinations and a zone's settings in the original's shapes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.destinations import Destination
from dmarcworks.catalogue.route_store import RoutingSwitch
from dmarcworks.catalogue.routes import ACTIONS, CATCH_ALL, DROP, FORWARD, REJECT, WORKER, RoutingRule
from dmarcworks.errors import UsageError

__all__ = ["address_shape", "no_catch_all", "rule_shape", "rule_values", "settings_shape"]


def settings_shape(domain: Domain, switch: RoutingSwitch) -> dict[str, Any]:
    """A zone's settings; until routing was switched for the first time they are as old as the domain."""
    return {
        "id": domain.id,
        "tag": domain.id,
        "name": domain.name,
        "enabled": switch.enabled,
        "status": "ready",
        "skip_wizard": True,
        "created": time_text(switch.created or domain.created),
        "modified": time_text(switch.modified or domain.created),
    }


def rule_values(body: dict[str, Any], workers: Collection[str], everything: bool) -> dict[str, Any]:
    """A rule's body as the catalogue takes it."""
    actions, matchers = body.get("actions"), body.get("matchers")
    action = actions[0] if isinstance(actions, list) and len(actions) == 1 else None
    matcher = matchers[0] if isinstance(matchers, list) and len(matchers) == 1 else None
    if not isinstance(action, dict) or action.get("type") not in ACTIONS:
        raise UsageError(f"actions holds one action, its type one of {', '.join(ACTIONS)}")
    if not isinstance(matcher, dict) or matcher.get("type") != ("all" if everything else "literal"):
        raise UsageError('matchers holds one matcher: {"type": "literal", "field": "to", "value": address}, or "all"')
    values = action.get("value") or []
    values = values if isinstance(values, list) else [values]
    if action["type"] in (WORKER, FORWARD) and len(values) != 1:
        raise UsageError(f"the action {action['type']} has one value")
    if action["type"] == WORKER and values[0] not in workers:
        raise UsageError(f"there is no worker {values[0]!r}")
    if not everything and matcher.get("field", "to") != "to":
        raise UsageError('a matcher\'s field is "to"')
    priority = body.get("priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool):
        raise UsageError("priority is a whole number")
    return {
        "address": CATCH_ALL if everything else str(matcher.get("value", "")) or "?",
        "action": action["type"],
        "value": str(values[0]) if values else "",
        "name": str(body.get("name", "")),
        "enabled": bool(body.get("enabled", True)),
        "priority": priority,
    }


def rule_shape(rule: RoutingRule, objection: str | None = None) -> dict[str, Any]:
    """In the original's shape; `objection`, why the rule has no effect, is ours and present only when there is one."""
    action: dict[str, Any] = {"type": rule.action}
    if rule.action != DROP and not (rule.action == REJECT and not rule.value):
        action["value"] = [rule.value]
    literal = {"type": "literal", "field": "to", "value": rule.address}
    return {
        "id": rule.id,
        "tag": rule.id,
        "name": rule.name,
        "enabled": rule.enabled,
        "priority": rule.priority,
        "matchers": [literal if rule.address else {"type": "all"}],
        "actions": [action],
        **({} if objection is None else {"objection": objection}),
    }


def no_catch_all() -> dict[str, Any]:
    """What a zone without a catch-all has: one that is off."""
    shape = {"id": "", "tag": "", "name": "", "enabled": False}
    return {**shape, "matchers": [{"type": "all"}], "actions": [{"type": DROP}]}


def address_shape(destination: Destination) -> dict[str, Any]:
    return {
        "id": destination.id,
        "tag": destination.id,
        "email": destination.email,
        "verified": None if destination.verified is None else time_text(destination.verified),
        "created": time_text(destination.created),
        "modified": time_text(destination.modified),
    }


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
