"""Why a sender has its name: the evidence of its rows, as sentences. Pure.

A name is stored with a row without its reasons. They are found again by identifying what the sender's rows show now:
the keys that the rows have without the name, and for one sender its signatures and the hosts of its addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dmarcworks.analytics.questions.all import OwnRule, SenderAddress, SenderSelector
from dmarcworks.analytics.sender_key import SenderBasis, SenderKey
from dmarcworks.enrich.senders.identify import AGREEMENT, CONFIDENCE, EvidenceKind, SenderIdentifier
from dmarcworks.enrich.senders.model import Evidence, Signature
from dmarcworks.enrich.senders.reasons import shown

__all__ = [
    "NO_REASON",
    "evidence_of",
    "evidence_of_rows",
    "own_reasons",
    "own_signature",
    "reasons_for",
    "rests_on_selector",
]

NO_REASON = "Stored with its records: named by the file of base domains, or by evidence that is no longer known."
_OWN = {
    "block": "addresses in {value}",
    "dkim": "messages with a DKIM signature of {value}",
    "envelope": "return paths of {value}",
    "ptr": "hosts of {value}",
}


def own_reasons(rules: Iterable[OwnRule], name: str) -> tuple[str, ...]:
    """The evidence to which the account gave a name of its own."""
    sentences = []
    for rule in rules:
        if rule.name == name:
            what = _OWN[rule.evidence].format(value=shown(rule.value))
            selector = f" and the selector {shown(rule.selector)}" if rule.selector else ""
            sentences.append(f"You gave this name to {what}{selector}.")
    return tuple(sentences)


def own_signature(key: SenderKey) -> str:
    """The domain's own signature that a group without a name is made by."""
    selector, _, domain = key.value.partition("._domainkey.")
    return f"DKIM d={shown(domain)} passed" + (f" with the selector {shown(selector)}" if selector else "")


def rests_on_selector(confidence: float) -> bool:
    """Whether a stored name has the confidence of a selector, which the sender chose; the column rounds."""
    return CONFIDENCE[EvidenceKind.selector] <= confidence < CONFIDENCE[EvidenceKind.ptr] - AGREEMENT


def reasons_for(name: str, pieces: Iterable[Evidence], identifier: SenderIdentifier) -> tuple[str, ...]:
    """What of the evidence leads to the name."""
    reasons: dict[str, None] = {}
    for evidence in pieces:
        answer = identifier.identify(evidence)
        if answer.sender == name:
            reasons |= dict.fromkeys(answer.because)
    return tuple(reasons)


def evidence_of(keys: Iterable[SenderKey], domain: str) -> Iterator[Evidence]:
    """The evidence that keys without a name stand for."""
    for key in keys:
        if key.basis is SenderBasis.dkim:
            yield Evidence(dkim=(Signature(key.value),), header_from=domain)
        elif key.basis is SenderBasis.own:
            selector, _, signer = key.value.partition("._domainkey.")
            yield Evidence(dkim=(Signature(signer, selector),), header_from=domain)
        elif key.basis is SenderBasis.envelope:
            yield Evidence(spf_domain=key.value, header_from=domain)
        elif key.basis is SenderBasis.ptr:
            yield Evidence(ptr=key.value, ptr_confirmed=True, header_from=domain)


def evidence_of_rows(
    selectors: Sequence[SenderSelector], addresses: Sequence[SenderAddress], domain: str
) -> Iterator[Evidence]:
    """The evidence of one sender's signatures that passed, and of its addresses and their hosts."""
    for one in selectors:
        if one.valid:
            yield Evidence(dkim=(Signature(one.domain, one.selector),), header_from=domain)
    for host in addresses:
        yield Evidence(ip=host.source_ip, ptr=host.ptr or None, ptr_confirmed=host.ptr_confirmed, header_from=domain)
