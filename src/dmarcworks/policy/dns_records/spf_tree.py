"""The tree of an SPF record: each term that costs a look-up, what it leads to, and what is wrong there. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dmarcworks.enrich.senders.index import SuffixIndex
from dmarcworks.enrich.senders.load import catalogue
from dmarcworks.enrich.spf.macros import MacroString, expand_name, macros_in
from dmarcworks.enrich.spf.record import SpfMechanism, SpfModifier, SpfRecord, SpfTerm

__all__ = ["SpfFaultKind", "SpfNode", "costly_terms", "known_name", "nodes_of", "sender_of"]

# Macros whose value is the same for all mail of the checked domain.
_FIXED = frozenset("do")


class SpfFaultKind(StrEnum):
    """What is wrong with a term of the tree."""

    none = ""
    no_record = "no-record"
    several_records = "several-records"
    syntax = "syntax"
    loop = "loop"
    no_answer = "no-answer"
    unresolved = "unresolved"
    mail_host = "mail-host"
    mx_hosts = "mx-hosts"
    invalid_name = "invalid-name"
    not_followed = "not-followed"


@dataclass(frozen=True, slots=True)
class SpfNode:
    """A term that costs a look-up; at the root the checked record.

    `name` is the queried name ("" when it depends on the message), `record` the SPF record found there, `lookups` the
    cost of the term and everything below it, `void_lookups` those of the term alone, `sender` the sending service by
    the catalogue. `problem` is a plain sentence without its full stop, of the kind `fault`. `parsed` is the record.
    """

    term: str
    name: str
    record: str = ""
    lookups: int = 0
    void_lookups: int = 0
    problem: str = ""
    sender: str = ""
    children: tuple[SpfNode, ...] = ()
    fault: SpfFaultKind = SpfFaultKind.none
    parsed: SpfRecord | None = None

    @property
    def kind(self) -> str:
        """The mechanism or modifier: include, redirect, a, mx, ptr, exists; "" at the root."""
        text = self.term.lstrip("+-~?").lower()
        return next((kind for kind in ("include", "redirect", "exists", "ptr", "mx", "a") if text.startswith(kind)), "")


def nodes_of(node: SpfNode) -> Iterator[SpfNode]:
    """The node and all below it, in the order in which they are evaluated."""
    yield node
    for child in node.children:
        yield from nodes_of(child)


def costly_terms(record: SpfRecord) -> tuple[SpfTerm, ...]:
    """The terms that cause queries when the record is evaluated to its end.

    What comes after `all` is never evaluated, and `redirect=` only without an `all` (RFC 7208 sections 5.1 and 6.1).
    """
    terms: list[SpfTerm] = []
    for mechanism in record.mechanisms:
        if mechanism.name == "all":
            return tuple(terms)
        if mechanism.queries:
            terms.append(mechanism)
    redirect = record.modifier("redirect")
    return (*terms, redirect) if redirect is not None else tuple(terms)


def known_name(term: SpfTerm, domain: str, checked: str) -> str | None:
    """The name that a term queries; None when it depends on the message."""
    target: MacroString = term.value if isinstance(term, SpfModifier) else term.target
    if isinstance(term, SpfMechanism) and not target:
        return domain
    if macros_in(target) - _FIXED:
        return None
    return expand_name(target, {"d": domain, "o": checked}).lower()


@functools.cache
def _includes() -> SuffixIndex[str]:
    return SuffixIndex((name, service.name) for service in catalogue() for name in service.spf)


def sender_of(name: str) -> str:
    """The sending service whose customers include the name; "" for none."""
    return _includes().find(name) or ""
