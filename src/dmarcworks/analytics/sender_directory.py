"""The senders of a domain as its owner sees them: figures, name, the owner's decision, class, and what to do.

Figures come from Analytics, decisions and own names from the catalogue of accounts, names and fixes from the catalogue
of services. All of it is put together when it is read, so that a decision takes effect at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from dmarcworks.analytics.questions.all import OwnRule, Questions, SenderGroup, SenderRows
from dmarcworks.analytics.questions.sender_groups import SenderDay
from dmarcworks.analytics.sender_key import OWN_KIND, SenderBasis, SenderKey
from dmarcworks.analytics.sender_reasons import (
    NO_REASON,
    evidence_of,
    evidence_of_rows,
    own_reasons,
    own_signature,
    reasons_for,
    rests_on_selector,
)
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.senders import OwnerDecision, SenderDecision, Senders
from dmarcworks.enrich.senders.classify import (
    SenderClass,
    SenderClassification,
    SenderSums,
    classify,
)
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.load import sender_index
from dmarcworks.enrich.senders.model import Identification, SenderKind, SendingService
from dmarcworks.errors import NotFoundError

__all__ = ["MOST", "DomainSender", "DomainSenders", "SenderDirectory"]

# Senders of a domain that are classified, the largest by messages; the rest is counted.
MOST = 2000
# A fix is shown by the newest days with messages after the decision, at most so many.
NEWEST_DAYS = 7
# Signatures and addresses of one sender in which the reasons for its name are looked for.
_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class DomainSender:
    """A sender of a domain. `name` is the owner's, the service's, or else its evidence; `because` is why."""

    group: SenderGroup
    name: str
    kind: str
    confidence: float
    claimed: bool
    because: tuple[str, ...]
    # The service's or the system's name, "" when it is unknown.
    service_name: str
    service: SendingService | None
    decision: SenderDecision | None
    classification: SenderClassification

    @property
    def id(self) -> str:
        """The sender's id in addresses and commands."""
        return self.group.key.id

    @property
    def named(self) -> bool:
        """Whether a service, or the owner, gives it a name; else the name is its evidence."""
        return bool(self.service or (self.decision and self.decision.name) or self.group.key.basis is SenderBasis.name)

    @property
    def needs_decision(self) -> bool:
        """Whether it waits for its owner to decide what it is."""
        return self.decision is None and self.classification.open

    @property
    def sender_class(self) -> SenderClass:
        """What it is to the owner."""
        return self.classification.sender_class


@dataclass(frozen=True, slots=True)
class DomainSenders:
    """The senders of a period: those that need a decision first, each part by messages; `total` of all there are."""

    rows: tuple[DomainSender, ...]
    total: int

    def count(self, sender_class: str) -> int:
        """How many senders have the class."""
        return sum(row.sender_class == sender_class for row in self.rows)

    @property
    def failing(self) -> tuple[DomainSender, ...]:
        """Those with messages that failed DMARC, by these messages, most first."""
        failed = [row for row in self.rows if row.group.failed]
        return tuple(sorted(failed, key=lambda row: (-row.group.failed, row.id)))

    @property
    def undecided(self) -> int:
        """How many wait for a decision."""
        return sum(row.needs_decision for row in self.rows)


class SenderDirectory:
    """Reads the senders of domains."""

    def __init__(self, questions: Questions, senders: Senders) -> None:
        self._questions = questions
        self._senders = senders
        self._identifier = SenderIdentifier()

    async def rules(self, account_id: str) -> tuple[OwnRule, ...]:
        """The account's own names as rules of the questions."""
        names = await self._senders.own_names(account_id)
        return tuple(OwnRule(one.name, one.evidence, one.value, one.selector) for one in names)

    async def rows(self, domain: Domain, first: date | None, last: date | None) -> SenderRows:
        """The rows of a domain for the questions about one sender."""
        own = await self.rules(domain.account_id)
        return SenderRows.of(domain.account_id, domain.id, first, last, own)

    async def of_domain(self, domain: Domain, first: date, last: date, *, most: int = MOST) -> DomainSenders:
        """The senders of a period, the largest classified; those that need a decision come first."""
        own = await self.rules(domain.account_id)
        page = await self._questions.sender_groups(domain.account_id, domain.id, first, last, own=own, limit=most)
        rows = await self._joined(domain, first, last, page.rows, own)
        return DomainSenders(tuple(sorted(rows, key=_urgency)), page.total)

    async def one(self, domain: Domain, first: date, last: date, key: SenderKey) -> DomainSender | None:
        """One sender; None when no report of the period is about it."""
        own = await self.rules(domain.account_id)
        group = await self._questions.sender_group(domain.account_id, domain.id, first, last, key, own=own)
        if group is None:
            return None
        (row,) = await self._joined(domain, first, last, [group], own)
        if row.because != (NO_REASON,):
            return row
        rows = SenderRows.of(domain.account_id, domain.id, first, last, own)
        return replace(row, because=await self._reasons_in(rows, domain, key) or row.because)

    async def find(self, domain: Domain, first: date, last: date, text: str) -> DomainSender:
        """The sender with this id, or else the largest one of this name; `NotFoundError` when there is none."""
        try:
            chosen = await self.one(domain, first, last, SenderKey.parse(text))
        except NotFoundError:
            chosen = None
        if chosen is None:
            wanted = text.strip().casefold()
            senders = await self.of_domain(domain, first, last)
            named = [row for row in senders.rows if row.name.casefold() == wanted]
            chosen = max(named, key=lambda row: row.group.messages, default=None)
        if chosen is None:
            raise NotFoundError("there is no such sender in this period")
        return chosen

    async def days(
        self, domain: Domain, first: date, last: date, keys: Sequence[SenderKey]
    ) -> Mapping[SenderKey, tuple[SenderDay, ...]]:
        """The series of some senders by day."""
        own = await self.rules(domain.account_id)
        return await self._questions.sender_days(domain.account_id, domain.id, first, last, keys, own=own)

    async def _joined(
        self, domain: Domain, first: date, last: date, groups: Sequence[SenderGroup], own: Sequence[OwnRule]
    ) -> list[DomainSender]:
        decisions = await self._senders.decisions(domain.account_id, domain.id)
        decided = {group.key: _decision(group, decisions) for group in groups}
        newest = await self._newest(domain, first, last, decided, own)
        return [self._sender(domain, group, decided[group.key], newest.get(group.key), own) for group in groups]

    async def _newest(
        self,
        domain: Domain,
        first: date,
        last: date,
        decided: Mapping[SenderKey, SenderDecision | None],
        own: Sequence[OwnRule],
    ) -> dict[SenderKey, SenderSums]:
        """The sums of the newest days after a decision "mine": they show a fix before the whole period does."""
        mine = {key: one for key, one in decided.items() if one and one.decision is OwnerDecision.mine}
        series = await self._questions.sender_days(domain.account_id, domain.id, first, last, list(mine), own=own)
        sums: dict[SenderKey, SenderSums] = {}
        for key, days in series.items():
            later = [one for one in days if one.day > mine[key].decided.date() and one.messages][-NEWEST_DAYS:]
            if later:
                sums[key] = SenderSums(sum(one.messages for one in later), sum(one.passed for one in later))
        return sums

    def _sender(
        self,
        domain: Domain,
        group: SenderGroup,
        decision: SenderDecision | None,
        newest: SenderSums | None,
        rules: Sequence[OwnRule],
    ) -> DomainSender:
        identified = self._identified(domain, group, rules)
        service = sender_index().by_name.get(identified.sender) if identified.sender else None
        own = group.kind == OWN_KIND
        verdict = decision.decision if decision else None
        kind = None if own or not identified.kind else _kind(identified.kind)
        sums = _sums(group)
        classification = classify(
            sums, service=service, kind=kind, confidence=identified.confidence, decision=verdict, own=own
        )
        if verdict is OwnerDecision.mine and classification.open and newest is not None:
            later = classify(newest, service=service, kind=kind, confidence=identified.confidence, decision=verdict)
            classification = later if not later.open else classification
        return DomainSender(
            group=group,
            name=(decision.name if decision else "") or identified.sender or group.key.label,
            kind=identified.kind or "",
            confidence=identified.confidence,
            claimed=identified.claimed,
            because=identified.because,
            service_name=identified.sender or "",
            service=service,
            decision=decision,
            classification=classification,
        )

    def _identified(self, domain: Domain, group: SenderGroup, rules: Sequence[OwnRule]) -> Identification:
        """The stored name; else what the key itself, being evidence that passed, shows."""
        key = group.key
        if key.basis is SenderBasis.name:
            own = group.kind == OWN_KIND
            pieces = evidence_of(group.earlier, domain.name)
            because = own_reasons(rules, key.value) if own else reasons_for(key.value, pieces, self._identifier)
            claimed = not own and rests_on_selector(group.confidence)
            return Identification(key.value, group.kind, group.confidence, claimed, because or (NO_REASON,))
        for evidence in evidence_of((key,), domain.name):
            answer = self._identifier.identify(evidence)
            if key.basis is SenderBasis.own and answer.sender is None:
                return answer._replace(because=(own_signature(key),))
            return answer
        return Identification(None, None, 0.0, False, ())

    async def _reasons_in(self, rows: SenderRows, domain: Domain, key: SenderKey) -> tuple[str, ...]:
        """The evidence for a stored name in the signatures and addresses of its rows."""
        selectors = await self._questions.sender_selectors(rows, key, limit=_LOOKED_AT)
        addresses = await self._questions.sender_addresses(rows, key, limit=_LOOKED_AT)
        return reasons_for(key.value, evidence_of_rows(selectors, addresses.rows, domain.name), self._identifier)


def _decision(group: SenderGroup, decisions: Mapping[str, SenderDecision]) -> SenderDecision | None:
    """The decision on the sender; else one on what it was called before its rows had a name."""
    for key in (group.key, *group.earlier):
        if (decision := decisions.get(key.id)) is not None:
            return decision
    return None


def _kind(text: str) -> SenderKind | None:
    try:
        return SenderKind(text)
    except ValueError:
        return None


def _sums(group: SenderGroup) -> SenderSums:
    return SenderSums(
        messages=group.messages,
        aligned=group.passed,
        dkim_aligned=group.dkim_aligned,
        spf_aligned=group.spf_aligned,
        overrides=group.overrides,
        arc=group.arc,
        srs=group.srs,
        survived=group.survived,
        countries=len(group.countries),
        networks=group.networks,
        with_ptr=group.with_ptr,
        first_day=group.first_day,
        last_day=group.last_day,
    )


def _urgency(row: DomainSender) -> tuple[bool, bool, int, str]:
    """Those that need a decision, then those whose fix is open, each by messages."""
    return not row.needs_decision, not row.classification.open, -row.group.messages, row.id
