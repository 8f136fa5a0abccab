"""The DMARC policy that applies to mail from a domain: discovery by the tree walk of RFC 9989 section 4.10."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from dmarcworks.enrich.dmarc_policy import organizational_domain, tree_walk
from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.dmarc_record import DmarcRecord, dmarc_record
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["NO_POLICY", "EffectivePolicy", "PolicyDiscovery", "discover", "organization_of"]


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """The policy that applies to mail from a domain; all None when receivers apply no DMARC.

    `policy` is what tag `tag` of the record at `record_domain` requests; with `testing` it is applied one step weaker.
    """

    record_domain: str | None = None
    organizational_domain: str | None = None
    policy: str | None = None
    tag: str | None = None
    adkim: str | None = None
    aspf: str | None = None
    testing: bool | None = None


NO_POLICY = EffectivePolicy()


@dataclass(frozen=True, slots=True)
class PolicyDiscovery:
    """What the walk found: the texts at the domain itself, its organizational domain, the record that applies."""

    organizational: str
    own_texts: tuple[str, ...] = ()
    record: DmarcRecord | None = None
    record_domain: str = ""
    effective: EffectivePolicy = NO_POLICY
    unanswered: tuple[str, ...] = ()


@dataclass(slots=True)
class _WalkAnswers:
    """The records of the names of a walk. A name without an answer is an error only where its answer is needed."""

    answers: dict[str, list[str] | NoAnswerError]
    tolerant: bool = False
    unanswered: list[str] = field(default_factory=list)

    def record(self, name: str) -> DmarcRecord | None:
        """The one record of a name; several are discarded."""
        answer = self.answers.get(name, [])
        if isinstance(answer, NoAnswerError):
            if not self.tolerant:
                raise answer
            self.unanswered.append(name)
            return None
        records = [record for text in answer if (record := dmarc_record(text)) is not None]
        return records[0] if len(records) == 1 else None

    def psd(self, name: str) -> str | None:
        """The value of psd at a name."""
        record = self.record(name)
        return None if record is None else record.choice("psd")


async def discover(lookup: RecordLookup, domain: str) -> PolicyDiscovery:
    """Find the policy of a domain. `NoAnswerError` when a name that decides about it had no answer."""
    walk = await _walked(lookup, domain)
    own_texts = walk.answers[domain]
    own = walk.record(domain)  # raises when the domain itself had no answer
    # The policy of a domain with a record is known, whatever happens to the names above it.
    walk.tolerant = own is not None
    organizational = organizational_domain(domain, walk.psd)
    assert not isinstance(own_texts, NoAnswerError)
    unanswered = tuple(dict.fromkeys(walk.unanswered))
    if own is not None:
        effective = _effective(own, domain, organizational, ("p",))
        return PolicyDiscovery(organizational, tuple(own_texts), own, domain, effective, unanswered)
    record_domain = _record_domain(walk, organizational)
    record = walk.record(record_domain) if record_domain else None
    if record is None:
        return PolicyDiscovery(organizational, tuple(own_texts), unanswered=unanswered)
    level = ("sp", "p") if await lookup.exists(domain) else ("np", "sp", "p")
    effective = _effective(record, record_domain, organizational, level)
    return PolicyDiscovery(organizational, tuple(own_texts), record, record_domain, effective, unanswered)


async def organization_of(lookup: RecordLookup, domain: str) -> str:
    """The organizational domain of a domain."""
    return organizational_domain(domain, (await _walked(lookup, domain)).psd)


async def _walked(lookup: RecordLookup, domain: str) -> _WalkAnswers:
    names = tree_walk(domain)
    answers = await asyncio.gather(*(lookup.texts_or_error(f"_dmarc.{name}") for name in names))
    return _WalkAnswers(dict(zip(names, answers, strict=True)))


def _record_domain(walk: _WalkAnswers, organizational: str) -> str:
    """Where the record of a domain without one is: at its organizational domain, or else at the public suffix."""
    if walk.record(organizational) is not None:
        return organizational
    suffix = organizational.partition(".")[2]
    return suffix if suffix and walk.psd(suffix) == "y" else ""


def _effective(record: DmarcRecord, record_domain: str, organizational: str, level: tuple[str, ...]) -> EffectivePolicy:
    requested = record.requested(level)
    if requested is None:
        return NO_POLICY
    return EffectivePolicy(
        record_domain=record_domain,
        organizational_domain=organizational,
        policy=requested.policy,
        tag=requested.tag,
        adkim=record.choice("adkim"),
        aspf=record.choice("aspf"),
        testing=record.testing,
    )
