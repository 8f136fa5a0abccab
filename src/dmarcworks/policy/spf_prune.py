"""The terms of an SPF record that carried no mail in a period, and the proof that it passes without them. Pure.

The stored reports name every address that passed SPF for the domain. A term that none of them needs is unused; the
trimmed record is proposed only when each of these addresses gets the same result from both records. Nothing is
replaced by addresses (flattened): what stays is written as before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dmarcworks.enrich.senders.names import ip_address
from dmarcworks.enrich.spf.macros import macros_in
from dmarcworks.enrich.spf.model import SpfEvaluation, SpfResultCode
from dmarcworks.enrich.spf.record import SpfMechanism, SpfModifier, SpfRecord, SpfTerm
from dmarcworks.policy.dns_records.spf_tree import SpfFaultKind, SpfNode, nodes_of

__all__ = [
    "KnownOwners",
    "PruneState",
    "PrunedTerm",
    "SpfPass",
    "SpfPrune",
    "proven",
    "prunable",
    "prune_spf",
    "trimmed_record",
]

# Days with a report that a period needs: what sends once a week or month must have had its chance to be seen.
REPORTED_DAYS = 28


@dataclass(frozen=True, slots=True)
class SpfPass:
    """An address that passed SPF for the domain: its messages, and those of them that were aligned."""

    source_ip: str
    messages: int
    aligned: int


@dataclass(frozen=True, slots=True)
class KnownOwners:
    """What the owner decided is theirs, or named as their own: services by name, blocks of addresses as CIDR."""

    services: frozenset[str] = frozenset()
    blocks: tuple[str, ...] = ()


class PruneState(StrEnum):
    """What becomes of a term."""

    used = "used"
    unused = "unused"
    kept = "kept"


@dataclass(frozen=True, slots=True)
class PrunedTerm:
    """A term of the record: whether it carried mail, or why it is kept. `lookups` is its cost with all below it."""

    text: str
    state: PruneState
    reason: str
    sender: str = ""
    messages: int = 0
    aligned: int = 0
    addresses: int = 0
    lookups: int = 0


@dataclass(frozen=True, slots=True)
class SpfPrune:
    """What can be removed. `trimmed` is "" when nothing is proposed; `summary` then states why."""

    domain: str
    record: str
    trimmed: str
    terms: tuple[PrunedTerm, ...]
    addresses: int
    messages: int
    lookups: int
    saved: int
    summary: str
    proof: str

    @property
    def unused(self) -> tuple[PrunedTerm, ...]:
        """The terms that are removed."""
        return tuple(term for term in self.terms if term.state is PruneState.unused)


def prunable(term: SpfTerm) -> str:
    """Why a term is never removed, in words; "" when it may be."""
    if isinstance(term, SpfModifier):
        return "A redirect decides about all other addresses." if term.name == "redirect" else "It is no mechanism."
    if term.name == "all":
        return "It decides about all other addresses."
    if term.result is not SpfResultCode.passed:
        return "It does not authorise an address: without it, others may pass."
    if term.name == "exists":
        return "What exists: matches depends on the message."
    if macros_in(term.target):
        return "It contains macros, so what it matches depends on the message."
    return ""


def trimmed_record(record: SpfRecord, removed: frozenset[str]) -> str:
    """The record without these terms; every other character stays."""
    return " ".join(word for word in record.text.split(" ") if word not in removed)


def prune_spf(
    domain: str,
    tree: SpfNode,
    passes: Sequence[SpfPass],
    needed: Mapping[str, str],
    owners: KnownOwners,
    *,
    reported_days: int,
    days: int,
) -> SpfPrune:
    """The terms with their mail; `needed` is the term of the record that each passing address needs.

    The result still lacks its proof: `proven` adds it.
    """
    assert tree.parsed is not None
    record = tree.parsed
    sums: dict[str, list[SpfPass]] = {}
    for one in passes:
        if (text := needed.get(one.source_ip)) is not None:
            sums.setdefault(text, []).append(one)
    nodes = {node.term: node for node in tree.children}
    evaluated, terms = True, []
    for term in record.terms:
        terms.append(_judged(term, nodes.get(term.text), sums.get(term.text, ()), owners, evaluated=evaluated))
        evaluated = evaluated and not (isinstance(term, SpfMechanism) and term.name == "all")
    refusal = _refusal(tree, passes, reported_days, days)
    unused = [term for term in terms if term.state is PruneState.unused]
    if not refusal and not unused:
        refusal = f"Every term of the record that may be removed carried mail in the last {days} days, or is kept."
    trimmed = "" if refusal else trimmed_record(record, frozenset(term.text for term in unused))
    words = ", ".join(term.text for term in unused)
    return SpfPrune(
        domain=domain,
        record=record.text,
        trimmed=trimmed,
        terms=tuple(terms),
        addresses=len(passes),
        messages=sum(one.messages for one in passes),
        lookups=tree.lookups,
        saved=sum(term.lookups for term in unused) if trimmed else 0,
        summary=refusal or f"No stored report of the last {days} days shows mail that needs {words}.",
        proof="",
    )


def proven(
    prune: SpfPrune,
    before: Mapping[str, SpfEvaluation],
    after: Mapping[str, SpfEvaluation],
    passes: Sequence[SpfPass],
) -> SpfPrune:
    """The same with its proof, or without a trimmed record when an address gets another result from it."""
    if not prune.trimmed:
        return prune
    same = better = 0
    for one in passes:
        old, new = before[one.source_ip].result, after[one.source_ip].result
        if SpfResultCode.temperror in (old, new):
            return _withdrawn(prune, f"DNS did not answer while {one.source_ip} was evaluated; nothing is proposed.")
        if old is new:
            same += 1
        # A record over the limits: fewer look-ups give the sender the result that it should have.
        elif old is SpfResultCode.permerror and new is SpfResultCode.passed:
            better += 1
        else:
            return _withdrawn(
                prune,
                f"{one.source_ip} gets {old} from the record and {new} without the unused terms; nothing is proposed.",
            )
    were = "was" if same + better == 1 else "were"
    proof = f"{_count(same + better)} that passed SPF in stored reports {were} evaluated against both records:"
    proof += f" {same:,} with the same result."
    if better:
        proof = f"{proof[:-1]}, {better:,} with pass instead of permerror, since fewer look-ups are needed."
    return replace(prune, proof=proof)


def _judged(
    term: SpfTerm, node: SpfNode | None, passes: Sequence[SpfPass], owners: KnownOwners, *, evaluated: bool
) -> PrunedTerm:
    sender = _sender_below(node)
    figures = (
        sum(one.messages for one in passes),
        sum(one.aligned for one in passes),
        len(passes),
        node.lookups if node is not None else 0,
    )
    if passes:
        return PrunedTerm(term.text, PruneState.used, "It carried mail.", sender, *figures)
    kept = prunable(term)
    if not kept and not evaluated:
        kept = "It follows all and is never evaluated; the check of the record reports it."
    kept = kept or _owned(term, node, owners)
    if kept:
        return PrunedTerm(term.text, PruneState.kept, kept, sender, *figures)
    return PrunedTerm(term.text, PruneState.unused, "No stored report shows mail that needs it.", sender, *figures)


def _owned(term: SpfTerm, node: SpfNode | None, owners: KnownOwners) -> str:
    """Why a term without mail is kept for its owner; "" when it belongs to no sender of theirs."""
    for below in nodes_of(node) if node is not None else ():
        if below.sender in owners.services:
            return f"You decided that {below.sender} is yours; it sent no mail in this period."
    for one in nodes_of(node) if node is not None else ():
        for mechanism in one.parsed.mechanisms if one.parsed is not None else ():
            if (block := _overlapping(mechanism, owners)) is not None:
                return f"It authorises {block}, which you decided is yours; it sent no mail in this period."
    if isinstance(term, SpfMechanism) and (block := _overlapping(term, owners)) is not None:
        return f"It authorises {block}, which you decided is yours; it sent no mail in this period."
    return ""


def _overlapping(mechanism: SpfMechanism, owners: KnownOwners) -> str | None:
    network = mechanism.network
    if network is None:
        return None
    for text in owners.blocks:
        address, _, prefix = text.partition("/")
        ip = ip_address(address)
        if ip is None or ip.version != network.version or not prefix.isdigit():
            continue
        shift = ip.max_prefixlen - min(int(prefix), network.prefixlen)
        if int(ip) >> shift == int(network.network_address) >> shift:
            return text
    return None


def _sender_below(node: SpfNode | None) -> str:
    return next((one.sender for one in nodes_of(node) if one.sender), "") if node is not None else ""


_UNANSWERED = (SpfFaultKind.no_answer, SpfFaultKind.not_followed)


def _refusal(tree: SpfNode, passes: Sequence[SpfPass], reported_days: int, days: int) -> str:
    """Why nothing is proposed at all; "" when something may be."""
    assert tree.parsed is not None
    if tree.parsed.faults:
        fault = tree.parsed.faults[0]
        return f"The record has a syntax error in {fault.text[:100]!r}: correct it first."
    for node in nodes_of(tree):
        if node.fault in _UNANSWERED:
            return f"The record could not be looked up whole: {node.problem}. Nothing is proposed."
    if not passes:
        return "No stored report of this period shows a message that passed SPF for this domain: nothing is known."
    wanted = min(REPORTED_DAYS, days)
    if reported_days < wanted:
        return (
            f"Reports cover {reported_days} of the last {days} days; {wanted} are required, so that what sends rarely"
            " is seen."
        )
    return ""


def _withdrawn(prune: SpfPrune, why: str) -> SpfPrune:
    return replace(prune, trimmed="", saved=0, summary=why)


def _count(number: int) -> str:
    return "1 address" if number == 1 else f"{number:,} addresses"
