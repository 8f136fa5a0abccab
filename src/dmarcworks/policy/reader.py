"""Reads what the policy of a domain is, was and would do, from stored rows and the owner's decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from dmarcworks.analytics.questions.all import PolicySums, Questions
from dmarcworks.analytics.sender_directory import DomainSender, SenderDirectory
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import BusyError
from dmarcworks.policy.advice import PolicyAdvice, PolicyEvidence, advise
from dmarcworks.policy.conditions import PolicyThresholds
from dmarcworks.policy.in_force import PolicyInForce, in_force
from dmarcworks.policy.replay import PolicyReplay, levels_of, replay
from dmarcworks.policy.steps import next_step, strictest
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["MOST", "PolicyReader", "PolicyStudy"]

# Senders that are classified for a replay; those beyond are counted together. Addresses that are listed by default.
MOST = 20_000
_TRIES = 5
# How far back the policy in force is looked for.
_YEAR = 366


@dataclass(frozen=True, slots=True)
class PolicyStudy:
    """The advice on a domain with the replay of its next step, and that of the policy that was requested."""

    advice: PolicyAdvice
    step: PolicyReplay | None
    replayed: PolicyReplay | None


class PolicyReader:
    """Replays policies and prepares the next step."""

    def __init__(
        self, questions: Questions, directory: SenderDirectory, thresholds: PolicyThresholds | None = None
    ) -> None:
        self._questions = questions
        self._directory = directory
        self.thresholds = thresholds or PolicyThresholds()

    async def replay(
        self, domain: Domain, first: date, last: date, policy: DomainPolicy, *, sources: int = MOST
    ) -> PolicyReplay:
        """What the policy would have done to the mail of these days; at most so many `sources` are listed."""
        senders = await self._directory.of_domain(domain, first, last, most=MOST)
        return await self._replay(domain, first, last, policy, senders.rows, sources=sources)

    async def _replay(
        self,
        domain: Domain,
        first: date,
        last: date,
        policy: DomainPolicy,
        senders: Sequence[DomainSender],
        *,
        sources: int = 0,
        totals_only: bool = False,
    ) -> PolicyReplay:
        sums = await self._sums(domain, first, last, policy, 0 if totals_only else MOST, sources)
        return replay(domain.name, (first, last), policy, sums, senders)

    async def in_force(self, domain: Domain, last: date, first: date | None = None) -> PolicyInForce | None:
        """The domain's own policy as reports found it published, by default of the year up to `last`; None for none."""
        first = first or last - timedelta(days=min(_YEAR, (last - date.min).days))
        return in_force(
            await self._questions.policy_days(domain.account_id, domain.id, first, last, policy_domain=domain.name)
        )

    async def advice(self, domain: Domain, first: date, last: date, today: date) -> PolicyAdvice:
        """The next step, checked on the mail of these days."""
        return (await self.study(domain, first, last, today)).advice

    async def study(
        self,
        domain: Domain,
        first: date,
        last: date,
        today: date,
        *,
        sources: int = 0,
        wanted: DomainPolicy | None = None,
    ) -> PolicyStudy:
        """The advice, and with `sources` the replay of `wanted`, by default of the next step or the policy in force."""
        force = await self.in_force(domain, last)
        senders = (await self._directory.of_domain(domain, first, last, most=MOST)).rows
        present = step = None
        subdomain_mail, reporters = False, 0
        if force is not None:
            # A policy that affects no mail is replayed for the figures of subdomains only.
            harmless = strictest(force.policy) == "none"
            present = await self._replay(domain, first, last, force.policy, senders, totals_only=harmless)
            # Subdomains of which nothing passes are not in use: holding their policy back would keep no mail.
            subdomain_mail = present.subdomains > present.candidates.messages
            figures = await self._questions.figures(domain.account_id, domain.id, first, last)
            reporters = figures.reporters
            following = next_step(force.policy, subdomain_mail=subdomain_mail)
            if following is not None:
                listed = sources if wanted in (None, following) else 0
                step = await self._replay(domain, first, last, following, senders, sources=listed)
        evidence = PolicyEvidence(domain.name, today, force, step, present, reporters, subdomain_mail)
        advice = advise(evidence, self.thresholds)
        replayed = None
        if sources:
            wanted = wanted or advice.next or (force.policy if force else DomainPolicy())
            same = step is not None and step.policy == wanted
            replayed = step if same else await self._replay(domain, first, last, wanted, senders, sources=sources)
        return PolicyStudy(advice, step, replayed)

    async def _sums(
        self, domain: Domain, first: date, last: date, policy: DomainPolicy, senders: int, sources: int
    ) -> PolicySums:
        rows = await self._directory.rows(domain, first, last)
        adkim, aspf = policy.adkim or "", policy.aspf or ""
        for _ in range(_TRIES):
            cases = await self._questions.policy_cases(rows, adkim=adkim, aspf=aspf)
            levels = levels_of(policy, cases)
            sums = await self._questions.policy_sums(rows, levels, senders=senders, sources=sources)
            # A report that came in between may have brought a case that was not decided: never guess it.
            if not sums.undecided:
                return sums
        raise BusyError("reports about this domain are being added at this moment; try again")
