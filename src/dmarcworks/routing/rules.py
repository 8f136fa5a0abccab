"""Where a mail goes: recipient and rules → action. Pure.

Order: the DMARC worker, when the address is one of our rua addresses, before any rule; an enabled rule on exactly this
address; with subaddressing (RFC 5233) an enabled rule on the address without its `+detail`; the catch-all. Of two
enabled rules on one address the one with the lower priority wins, then the newest. Nothing found is 550 5.1.1, so this
host relays for nobody (RFC 5321 §3.6.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dmarcworks.catalogue.routes import CATCH_ALL, DROP, FORWARD, REJECT, WORKER, RoutingRule
from dmarcworks.reports.a_labels import a_labels

DMARC_WORKER = "dmarc"
_LONGEST, _LONGEST_DOMAIN = 320, 253
_RUA = re.compile(r"[0-9a-f]{32}@[^@]+")
_DOMAIN = re.compile(r"[a-z0-9._-]+")
# A quoted local part that needs no quotes is the same address without them (RFC 5321 §4.1.2).
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


@dataclass(frozen=True, slots=True)
class ToWorker:
    """Hand the mail to the worker of that name."""

    worker: str


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the mail on to a verified destination."""

    destination: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Reply 250 and keep nothing."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the recipient; `status` is the whole SMTP reply."""

    status: str


@dataclass(frozen=True, slots=True)
class Return:
    """A bounce for a sender that was rewritten when its mail was forwarded: send it back to who that is."""

    original: str


Action = ToWorker | Forward | Drop | Reject | Return

UNKNOWN_RECIPIENT = Reject("550 5.1.1 No such recipient here")
UNTOLD_REASON = "Mail to this address is not taken"


@dataclass(frozen=True, slots=True)
class Match:
    """What happens to a mail and the rule that decides it; no rule for rua addresses and for unknown addresses."""

    action: Action
    rule: RoutingRule | None = None


def normal_address(address: str) -> str:
    """The address as it is looked up: without angle brackets and needless quotes, in lower case, its domain in A-labels
    (RFC 5890) without a trailing dot."""
    bare = address.strip().removeprefix("<").removesuffix(">").lower()
    local, at, domain = bare.rpartition("@")
    if not at:
        return bare
    if quoted := _QUOTED.fullmatch(local):
        content = re.sub(r"\\(.)", r"\1", quoted[1])
        local = content if _DOT_ATOM.fullmatch(content) else local
    domain = domain.removesuffix(".")
    if domain.isascii():
        return f"{local}@{domain}"
    # What IDNA refuses, and what becomes an @ or worse on the way, stays what it was, which is no address of ours.
    ascii_domain = (a_labels(domain) or "").removesuffix(".")
    return f"{local}@{ascii_domain if _DOMAIN.fullmatch(ascii_domain) else domain}"


def looks_like_rua(address: str) -> bool:
    """Whether a normal address has the form of a rua address: 32 hexadecimal digits before the @, on whatever host."""
    return _RUA.fullmatch(address) is not None


def mail_domain(address: str) -> str:
    """What stands after the last @ of a normal address; "" when it is no address."""
    local, at, domain = address.rpartition("@")
    return domain if at and local and len(domain) <= _LONGEST_DOMAIN else ""


def route(address: str, rules: Sequence[RoutingRule], *, rua: bool, subaddressing: bool) -> Match:
    """The action for a normal address, given the rules in effect at its domain and whether it is our rua address."""
    if not mail_domain(address) or not address.isascii() or len(address) > _LONGEST:
        return Match(UNKNOWN_RECIPIENT)
    if rua:
        return Match(ToWorker(DMARC_WORKER))
    exact = _best(address, rules)
    if exact is not None:
        return Match(_action(exact), exact)
    rule = _best(_without_detail(address), rules) if subaddressing else None
    rule = rule or _best(CATCH_ALL, rules)
    return Match(UNKNOWN_RECIPIENT) if rule is None else Match(_action(rule), rule)


def _best(address: str, rules: Sequence[RoutingRule]) -> RoutingRule | None:
    mine = [rule for rule in rules if rule.enabled and rule.address == address]
    return min(mine, key=lambda rule: (rule.priority, -rule.created, rule.id), default=None)


def _without_detail(address: str) -> str:
    local, _, domain = address.rpartition("@")
    base = local.partition("+")[0]
    return f"{base}@{domain}" if base and base != local else address


def _action(rule: RoutingRule) -> Action:
    if rule.action == WORKER:
        return ToWorker(rule.value)
    if rule.action == FORWARD:
        return Forward(rule.value)
    if rule.action == DROP:
        return Drop()
    assert rule.action == REJECT, rule.action
    return Reject(f"550 5.7.1 {rule.value or UNTOLD_REASON}")
