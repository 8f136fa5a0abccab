"""What another policy would have done to the mail that reports cover: exact, from stored rows. Pure.

`levels_of` applies the policy to the kinds of rows; `replay` puts the sums of all of them together. Every figure is a
count
of messages. Only `pct` makes fractions: each figure is rounded by itself, half a message upwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from dmarcworks.analytics.questions.all import PolicyCase, PolicyLevels, PolicySum, PolicySums
from dmarcworks.analytics.sender_directory import DomainSender
from dmarcworks.analytics.sender_key import SenderKey
from dmarcworks.catalogue.senders import OwnerDecision
from dmarcworks.enrich.senders.classify import SenderClass
from dmarcworks.policy.alignment import is_aligned
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["Effect", "PolicyReplay", "ReplayedSender", "ReplayedSource", "decide", "is_yours", "levels_of", "replay"]


@dataclass(frozen=True, slots=True)
class Effect:
    """Messages, and what the policy does to them; `pct` is applied to the parts that are subject to it."""

    messages: int
    reject: int = 0
    quarantine: int = 0
    pct: int = 100

    @property
    def rejected(self) -> int:
        """Messages that would have been rejected."""
        return _share(self.reject, self.pct)

    @property
    def quarantined(self) -> int:
        """Those quarantined; of those subject to reject, the ones outside pct are quarantined (RFC 7489 §6.6.4)."""
        return self.reject - self.rejected + _share(self.quarantine, self.pct)

    @property
    def affected(self) -> int:
        """Both together."""
        return self.rejected + self.quarantined

    @property
    def disposition(self) -> str:
        """The strictest that the policy requests for any of them."""
        return "reject" if self.rejected else "quarantine" if self.quarantined else "none"

    def plus(self, other: Effect) -> Effect:
        """The two together, rounded once."""
        return Effect(
            self.messages + other.messages, self.reject + other.reject, self.quarantine + other.quarantine, self.pct
        )


@dataclass(frozen=True, slots=True)
class ReplayedSender:
    """A sender with what the policy does to its mail; `row` is None when it is not among the classified senders.

    `overrides` are the reasons for which reporters did not apply the policy to such mail before, by messages.
    """

    key: SenderKey
    name: str
    sender_class: SenderClass
    yours: bool
    effect: Effect
    overrides: Mapping[str, int]
    row: DomainSender | None = None


@dataclass(frozen=True, slots=True)
class ReplayedSource:
    """A source address of a sender with affected messages."""

    source_ip: str
    sender: ReplayedSender | None
    effect: Effect


@dataclass(frozen=True, slots=True)
class PolicyReplay:
    """The whole answer. `rest` are the messages of senders beyond those listed.

    `yours` sums the senders that are yours. `subdomains` are messages of subdomains without a record of their own, and
    `candidates` those of them that fail and whose name no report shows to be in use: np is applied to them.
    `other_record`: messages of subdomains with a DMARC record of their own; `outside`: messages whose header_from is
    not below the domain. The policy applies to neither.
    """

    domain: str
    first: date
    last: date
    policy: DomainPolicy
    total: Effect
    yours: Effect
    candidates: Effect
    subdomains: int
    other_record: int
    outside: int
    senders: tuple[ReplayedSender, ...]
    rest: Effect
    classes: Mapping[SenderClass, Effect]
    days: Mapping[date, Effect]
    sources: tuple[ReplayedSource, ...]
    sources_total: int
    overrides: Mapping[str, int]
    dispositions: Mapping[str, int]
    senders_total: int

    @property
    def by_class(self) -> tuple[tuple[SenderClass, Effect], ...]:
        """The classes that have messages, best first."""
        return tuple((name, self.classes[name]) for name in SenderClass if name in self.classes)


def decide(case: PolicyCase, policy: DomainPolicy) -> str:
    """What the policy does to a case: pass, none, quarantine or reject."""
    for domains, mode in ((case.dkim_domains, policy.adkim), (case.spf_domains, policy.aspf)):
        if any(is_aligned(case.author, domain, mode == "s") for domain in domains):
            return "pass"
    if case.place == "domain":
        return policy.applied(policy.p)
    return policy.applied(policy.subdomains if case.existing else policy.nonexistent)


def levels_of(policy: DomainPolicy, cases: Iterable[PolicyCase]) -> PolicyLevels:
    """What the policy does to failing mail of each kind of author, and to each case."""
    return PolicyLevels(
        domain=policy.applied(policy.p),
        existing=policy.applied(policy.subdomains),
        nonexistent=policy.applied(policy.nonexistent),
        adkim=policy.adkim or "",
        aspf=policy.aspf or "",
        cases={case.key: decide(case, policy) for case in cases},
    )


def replay(
    domain: str, period: tuple[date, date], policy: DomainPolicy, sums: PolicySums, known: Iterable[DomainSender]
) -> PolicyReplay:
    """The sums of the decided cases, with what the owner knows about each sender."""
    rows = {row.group.key: row for row in known}
    senders = tuple(
        _sender(one, rows.get(one.key), policy, sums.sender_overrides.get(one.key, {}))
        for one in sums.senders
        if one.key is not None
    )
    by_key = {one.key: one for one in senders}
    nothing = Effect(0, pct=policy.pct)
    total, yours, listed = _effect(sums.total, policy), nothing, nothing
    classes: dict[SenderClass, Effect] = {}
    for one in senders:
        listed = listed.plus(one.effect)
        classes[one.sender_class] = classes.get(one.sender_class, nothing).plus(one.effect)
        yours = yours.plus(one.effect) if one.yours else yours
    return PolicyReplay(
        domain=domain,
        first=period[0],
        last=period[1],
        policy=policy,
        total=total,
        yours=yours,
        candidates=_effect(sums.candidates, policy),
        subdomains=sums.subdomains,
        other_record=sums.other_record,
        outside=sums.outside,
        senders=tuple(sorted(senders, key=lambda one: (-one.effect.affected, -one.effect.messages, one.key.id))),
        rest=Effect(
            total.messages - listed.messages,
            total.reject - listed.reject,
            total.quarantine - listed.quarantine,
            policy.pct,
        ),
        classes=classes,
        days={one.day: _effect(one, policy) for one in sums.days if one.day is not None},
        sources=tuple(
            ReplayedSource(one.source_ip, by_key.get(one.key) if one.key else None, _effect(one, policy))
            for one in sums.sources
        ),
        sources_total=sums.sources_total,
        overrides=sums.overrides,
        dispositions=sums.dispositions,
        senders_total=sums.senders_total,
    )


def is_yours(row: DomainSender) -> bool:
    """Whether a sender is yours: by your decision or your own name for it, else because its mail is aligned."""
    decision = row.decision.decision if row.decision else None
    if decision is not None:
        return decision is OwnerDecision.mine
    return row.kind == "own" or row.sender_class is SenderClass.aligned


def _sender(
    one: PolicySum, row: DomainSender | None, policy: DomainPolicy, overrides: Mapping[str, int]
) -> ReplayedSender:
    assert one.key is not None
    return ReplayedSender(
        key=one.key,
        name=row.name if row else one.key.label,
        sender_class=row.sender_class if row else SenderClass.unknown,
        yours=row is not None and is_yours(row),
        effect=_effect(one, policy),
        overrides=overrides,
        row=row,
    )


def _effect(one: PolicySum, policy: DomainPolicy) -> Effect:
    return Effect(one.messages, one.reject, one.quarantine, policy.pct)


def _share(messages: int, pct: int) -> int:
    """The share of the messages, half a message rounded upwards."""
    return (messages * pct + 50) // 100
