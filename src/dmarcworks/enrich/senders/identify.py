"""Evidence → who sent it: name, kind, confidence, and the reasons as sentences. Pure; never raises for any text.

The order of evidence (docs/senders.md): the account's own names, a DKIM signature of the service that passed, an
envelope domain of the service that passed SPF, a confirmed PTR or a published address block, a distinctive selector
under the customer's domain, the table of base domains. The strongest kind that names somebody decides. What failed,
what is not confirmed and a network's number never name anybody. Unknown is better than wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from dmarcworks.enrich.senders.base_domains import NO_BASE_DOMAINS, BaseDomains
from dmarcworks.enrich.senders.index import SenderIndex
from dmarcworks.enrich.senders.load import sender_index
from dmarcworks.enrich.senders.model import Evidence, Identification, OwnSender, SendingService
from dmarcworks.enrich.senders.names import ip_address, is_for_visitors, name_of, selector_of
from dmarcworks.enrich.senders.own import OwnIndex
from dmarcworks.enrich.senders.reasons import passed, shown, unused

__all__ = ["AGREEMENT", "CONFIDENCE", "EvidenceKind", "SenderIdentifier", "identify"]


class EvidenceKind(IntEnum):
    """What a name rests on, strongest first."""

    own = 0
    dkim = 1
    envelope = 2
    ptr = 3
    block = 4
    selector = 5
    table = 6


# What each kind is worth alone. Each further kind that names the same sender adds AGREEMENT, twice at most: the steps
# are wide enough that weaker evidence together never reaches the next stronger kind.
CONFIDENCE = {
    EvidenceKind.own: 1.0,
    EvidenceKind.dkim: 0.9,
    EvidenceKind.envelope: 0.8,
    EvidenceKind.ptr: 0.7,
    EvidenceKind.block: 0.7,
    EvidenceKind.selector: 0.5,
    EvidenceKind.table: 0.4,
}
AGREEMENT = 0.04
_AGREEMENTS = 2
# Kinds on the same level are equally strong.
_LEVELS = (
    (EvidenceKind.dkim,),
    (EvidenceKind.envelope,),
    (EvidenceKind.ptr, EvidenceKind.block),
    (EvidenceKind.selector,),
    (EvidenceKind.table,),
)
_ADDRESS_LEVEL = (EvidenceKind.ptr, EvidenceKind.block)
# A message with more signatures is no usual one; the others are not looked at.
_SIGNATURES = 50
_REASONS = 12
_REMEMBERED = 8192


class Clue(NamedTuple):
    """One piece of evidence that names a sender."""

    by: EvidenceKind
    name: str
    kind: str
    infrastructure: bool
    reason: str


class SenderIdentifier:
    """Identifies senders for one account, and remembers the answers: rows of a report repeat their evidence."""

    def __init__(
        self,
        own: Sequence[OwnSender] = (),
        base_domains: BaseDomains = NO_BASE_DOMAINS,
        index: SenderIndex | None = None,
    ) -> None:
        self._own = OwnIndex(own) if own else None
        self._base_domains = base_domains
        self._index = sender_index() if index is None else index
        self.identify = functools.lru_cache(_REMEMBERED)(self.identify_afresh)

    def identify_afresh(self, evidence: Evidence) -> Identification:
        """The answer, computed."""
        if self._own is not None and (match := self._own.find(evidence)) is not None:
            return Identification(match.sender.name, match.sender.kind.value, 1.0, False, (match.reason,))
        return _decided(list(self._clues(evidence)), evidence)

    def _clues(self, evidence: Evidence) -> Iterator[Clue]:
        index = self._index
        yield from self._signers(evidence)
        domain = name_of(evidence.spf_domain) if passed(evidence.spf_result) else None
        if domain is not None and (service := index.envelope.find(domain)) is not None:
            yield _clue(EvidenceKind.envelope, service, f"SPF of envelope domain {shown(domain)} passed")
        address = ip_address(evidence.ip)
        if address is not None and (block := index.blocks.find(address)) is not None:
            yield _clue(EvidenceKind.block, block, f"address {address} is in a block that {block.name} publishes")
        if evidence.ptr_confirmed and (host := name_of(evidence.ptr)) and not is_for_visitors(host):
            if (service := index.ptr.find(host)) is not None:
                yield _clue(EvidenceKind.ptr, service, f"PTR {shown(host)} is confirmed")
            if (base := self._base_domains.find(host)) is not None:
                reason = f"PTR {shown(host)} is confirmed, and named by the file of base domains"
                yield Clue(EvidenceKind.table, base.name, base.kind.value, False, reason)

    def _signers(self, evidence: Evidence) -> Iterator[Clue]:
        index = self._index
        author = name_of(evidence.header_from)
        for signature in evidence.dkim[:_SIGNATURES]:
            domain = name_of(signature.domain) if passed(signature.result) else None
            if domain is None:
                continue
            if (service := index.dkim.find(domain)) is not None:
                yield _clue(EvidenceKind.dkim, service, f"DKIM d={shown(domain)} passed")
                continue
            selector = selector_of(signature.selector)
            # Anybody can choose this selector in a domain of their own, which is not the author's.
            if selector is None or (author is not None and not _related(author, domain)):
                continue
            if (service := index.selectors.find(selector)) is not None:
                reason = f"DKIM d={shown(domain)} passed with the selector {shown(selector)}, which {service.name} uses"
                yield _clue(EvidenceKind.selector, service, reason)


def identify(
    evidence: Evidence,
    own: Sequence[OwnSender] = (),
    base_domains: BaseDomains = NO_BASE_DOMAINS,
    index: SenderIndex | None = None,
) -> Identification:
    """Who sent it. For many rows make an `SenderIdentifier` once, which also remembers."""
    return SenderIdentifier(own, base_domains, index).identify_afresh(evidence)


def _decided(clues: list[Clue], evidence: Evidence) -> Identification:
    for place, level in enumerate(_LEVELS):
        here = _specific([clue for clue in clues if clue.by in level])
        if not here:
            continue
        if level == _ADDRESS_LEVEL and here[0].infrastructure:
            # The hosts of an infrastructure carry the mail of other services; the selector names which one.
            chosen = [clue for clue in clues if clue.by is EvidenceKind.selector and not clue.infrastructure]
            here = chosen if len({clue.name for clue in chosen}) == 1 else here
        name = _one(here, clues, _LEVELS[place + 1 :])
        return _ambiguous(here) if name is None else _named(name, clues)
    return Identification(None, None, 0.0, False, unused(evidence)[:_REASONS])


def _specific(clues: list[Clue]) -> list[Clue]:
    """Without the infrastructures, if something more specific is among them."""
    return [clue for clue in clues if not clue.infrastructure] or clues


def _one(here: list[Clue], clues: list[Clue], weaker: Sequence[tuple[EvidenceKind, ...]]) -> str | None:
    """The only name of this level, otherwise the one that the next weaker level confirms; None if none does."""
    names = {clue.name for clue in here}
    for level in weaker:
        if len(names) == 1:
            break
        agreeing = names & {clue.name for clue in clues if clue.by in level}
        if len(agreeing) == 1:
            return agreeing.pop()
    return names.pop() if len(names) == 1 else None


def _named(name: str, clues: list[Clue]) -> Identification:
    agreeing = [clue for clue in clues if clue.name == name]
    best = min(agreeing, key=lambda clue: clue.by)
    more = min(len({clue.by for clue in agreeing}) - 1, _AGREEMENTS)
    reasons = [clue.reason for clue in sorted(agreeing, key=lambda clue: clue.by)]
    others = (clue for clue in clues if clue.name != name)
    reasons += [f"{clue.reason}: {clue.name}, but this is weaker or less specific" for clue in others]
    return Identification(
        name,
        best.kind,
        round(CONFIDENCE[best.by] + AGREEMENT * more, 2),
        best.by is EvidenceKind.selector,
        tuple(dict.fromkeys(reasons))[:_REASONS],
    )


def _ambiguous(here: list[Clue]) -> Identification:
    reasons = dict.fromkeys(f"{clue.reason}: {clue.name}" for clue in here)
    sentence = "equally strong evidence names different senders, and nothing decides between them"
    return Identification(None, None, 0.0, False, (*list(reasons)[: _REASONS - 1], sentence))


def _clue(by: EvidenceKind, service: SendingService, reason: str) -> Clue:
    return Clue(by, service.name, service.kind.value, service.infrastructure, reason)


def _related(one: str, other: str) -> bool:
    return one == other or one.endswith("." + other) or other.endswith("." + one)
