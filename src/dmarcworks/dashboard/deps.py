"""What the pages ask and nothing more: the catalogue, the questions, the archive, and who we are."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.api.graphql.router import GraphqlService as Graphs
from dmarcworks.api.sql.service import QueryService
from dmarcworks.bindings.contracts import Objects
from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.audit import Audit
from dmarcworks.catalogue.dead_letters import Letters
from dmarcworks.catalogue.destinations import Destination
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.problems import ProblemRow, Problems, Retried
from dmarcworks.catalogue.queries import QueryLog, SavedQueries
from dmarcworks.catalogue.routing import RoutingCatalogue


class Mending(Protocol):
    """What a person does about a problem; `by` is who. Raises in words for people what cannot be done."""

    async def retry(self, problem: ProblemRow, by: str) -> None:
        """Read its mail again."""

    async def retry_all(self, account_id: str, reason: str, by: str) -> Retried:
        """Read the mail of every open problem of the account (of the reason) again."""

    async def discard(self, problem: ProblemRow, by: str) -> None:
        """Let it go."""

    async def right_domain(self, problem: ProblemRow) -> Domain | None:
        """The domain that its report is about, when the account has it."""

    async def adopt(self, problem: ProblemRow, by: str) -> None:
        """Count its report for that domain."""


@dataclass(frozen=True, slots=True)
class Deps:
    """The pages' collaborators. `public_url` decides whether cookies are Secure; `clock` is unix seconds."""

    accounts: Accounts
    arrivals: Arrivals
    problems: Problems
    mending: Mending
    listing: Listing
    questions: Questions
    objects: Objects
    audit: Audit
    desk: QueryService
    graphs: Graphs
    saved: SavedQueries
    queries: QueryLog
    mailroom: RoutingCatalogue
    letters: Letters
    # Whether an account's users may see to what concerns the whole system.
    operates: Callable[[str], Awaitable[bool]]
    hostname: str
    public_url: str
    clock: Callable[[], float] = time.time
    # The workers that a rule may name, and how a destination's link is mailed (None when no mail can leave).
    workers: Sequence[str] = ("dmarc",)
    send_link: Callable[[Destination, str], Awaitable[None]] | None = None
    # Failed log-ins a minute of all visitors together, and what is to be done once a log-in link was used.
    login_failures: int = 100
    link_used: Callable[[str], None] = lambda _: None

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)
