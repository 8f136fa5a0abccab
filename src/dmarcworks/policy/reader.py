"""Reads what the policy of a domain is, was and would do, from stored rows and the owner's decisions."""

from __future__ import annotations

from datetime import date

from dmarcworks.analytics.questions.all import PolicySums, Questions
from dmarcworks.analytics.sender_directory import SenderDirectory
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import BusyError
from dmarcworks.policy.replay import PolicyReplay, decide, replay
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["PolicyReader"]

# Senders that are classified for a replay; those beyond are counted together.
MOST = 20_000
_TRIES = 5


class PolicyReader:
    """Replays policies and prepares the next step."""

    def __init__(self, questions: Questions, directory: SenderDirectory) -> None:
        self._questions = questions
        self._directory = directory

    async def replay(self, domain: Domain, first: date, last: date, policy: DomainPolicy) -> PolicyReplay:
        """What the policy would have done to the mail of these days."""
        senders = await self._directory.of_domain(domain, first, last, most=MOST)
        sums = await self._sums(domain, first, last, policy)
        return replay(domain.name, (first, last), policy, sums, senders.rows)

    async def _sums(self, domain: Domain, first: date, last: date, policy: DomainPolicy) -> PolicySums:
        rows = await self._directory.rows(domain, first, last)
        adkim, aspf = policy.adkim or "", policy.aspf or ""
        for _ in range(_TRIES):
            cases = await self._questions.policy_cases(rows, adkim=adkim, aspf=aspf)
            levels = {case.key: decide(case, policy) for case in cases}
            sums = await self._questions.policy_sums(rows, levels, adkim=adkim, aspf=aspf)
            # A report that came in between may have brought a case that was not decided: never guess it.
            if not sums.undecided:
                return sums
        raise BusyError("reports about this domain are being added at this moment; try again")
