"""The names that an account gives to its own systems: look-ups, which come before every other evidence. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from dmarcworks.enrich.senders.index import BlockIndex, SuffixIndex, selector_pattern
from dmarcworks.enrich.senders.model import Evidence, OwnSender
from dmarcworks.enrich.senders.names import ip_address, name_of, selector_of
from dmarcworks.enrich.senders.reasons import passed, shown

__all__ = ["OwnIndex", "OwnMatch"]

_SIGNATURES = 50


class OwnMatch(NamedTuple):
    """One of the account's own names, and why it applies."""

    sender: OwnSender
    reason: str


class OwnIndex:
    """Look-ups over one account's own names; of two that apply, the one with the stronger evidence is found."""

    __slots__ = ("_blocks", "_envelope", "_ptr", "_selectors", "_signers")

    def __init__(self, own: Sequence[OwnSender]) -> None:
        self._signers = SuffixIndex(
            (signer.domain, sender) for sender in own for signer in sender.dkim if signer.selector is None
        )
        chosen: dict[str, list[tuple[re.Pattern[str], OwnSender]]] = {}
        for sender in own:
            for signer in sender.dkim:
                if signer.selector is not None:
                    chosen.setdefault(signer.domain, []).append((selector_pattern(signer.selector), sender))
        self._selectors = chosen
        self._envelope = SuffixIndex((name, sender) for sender in own for name in sender.envelope)
        self._ptr = SuffixIndex((name, sender) for sender in own for name in sender.ptr)
        self._blocks = BlockIndex((block, sender) for sender in own for block in sender.blocks)

    def find(self, evidence: Evidence) -> OwnMatch | None:
        """By a signature with a chosen selector, any signature, envelope domain, address block or confirmed PTR."""
        return self._signed(evidence) or self._sent(evidence)

    def _signed(self, evidence: Evidence) -> OwnMatch | None:
        signatures = []
        for signature in evidence.dkim[:_SIGNATURES]:
            if passed(signature.result) and (domain := name_of(signature.domain)):
                signatures.append((domain, selector_of(signature.selector)))
        for domain, selector in signatures:
            if selector is not None and (sender := self._by_selector(domain, selector)) is not None:
                return _match(sender, f"DKIM d={shown(domain)} with the selector {shown(selector)} passed")
        for domain, _ in signatures:
            if (sender := self._signers.find(domain)) is not None:
                return _match(sender, f"DKIM d={shown(domain)} passed")
        return None

    def _by_selector(self, domain: str, selector: str) -> OwnSender | None:
        while domain and self._selectors:
            for pattern, sender in self._selectors.get(domain, ()):
                if pattern.fullmatch(selector):
                    return sender
            domain = domain.partition(".")[2]
        return None

    def _sent(self, evidence: Evidence) -> OwnMatch | None:
        domain = name_of(evidence.spf_domain) if passed(evidence.spf_result) else None
        if domain is not None and (sender := self._envelope.find(domain)) is not None:
            return _match(sender, f"SPF of envelope domain {shown(domain)} passed")
        address = ip_address(evidence.ip)
        if address is not None and (sender := self._blocks.find(address)) is not None:
            return _match(sender, f"address {address} is in one of your address blocks")
        host = name_of(evidence.ptr) if evidence.ptr_confirmed else None
        if host is not None and (sender := self._ptr.find(host)) is not None:
            return _match(sender, f"PTR {shown(host)} is confirmed")
        return None


def _match(sender: OwnSender, reason: str) -> OwnMatch:
    return OwnMatch(sender, f"{reason}: {shown(sender.name)} is one of your own names")
