"""The collaborators of every HTTP handler, in one container: REST, SQL, GraphQL, the original's paths, the dashboard.

`wiring` builds it once and puts it into `app.state.deps`. A handler names `Dependencies` among its parameters, and a
`ReadToken` or `WriteToken` where a program needs a token with that scope.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.analytics.sender_directory import SenderDirectory
from dmarcworks.api import auth
from dmarcworks.api.compat.injection import MailInjection
from dmarcworks.api.graphql.service import GraphqlService
from dmarcworks.api.sql.service import QueryService
from dmarcworks.bindings.contracts import Analytics, Objects
from dmarcworks.catalogue.accounts import Accounts, Domain, Token
from dmarcworks.catalogue.arrivals import Arrivals
from dmarcworks.catalogue.audit import Audit
from dmarcworks.catalogue.dead_letters import DeadLetterActions
from dmarcworks.catalogue.destinations import Destination
from dmarcworks.catalogue.dns_history import DnsHistory
from dmarcworks.catalogue.dns_schedule import DnsSchedule
from dmarcworks.catalogue.domain_claims import DomainClaims
from dmarcworks.catalogue.idempotency import Idempotency
from dmarcworks.catalogue.listing import Listing
from dmarcworks.catalogue.notices import Notices
from dmarcworks.catalogue.problems import ProblemRow, Problems, Retried
from dmarcworks.catalogue.queries import QueryLog, SavedQueries
from dmarcworks.catalogue.routing import RoutingCatalogue
from dmarcworks.catalogue.senders import Senders
from dmarcworks.catalogue.uploads import Uploads
from dmarcworks.policy.dns_records.report_card import CardRequest, ReportCard
from dmarcworks.policy.evidence import EvidenceReader
from dmarcworks.policy.planner import Planner
from dmarcworks.policy.reader import PolicyReader
from dmarcworks.policy.record_reader import RecordReader
from dmarcworks.policy.setup.reader import SetupReader
from dmarcworks.sources.mailbox_actions import MailboxActions

__all__ = ["Dependencies", "Deps", "ProblemActions", "ReadToken", "SendLink", "WriteToken", "deps_of"]

SendLink = Callable[[Destination, str], Awaitable[None]]
"""Mail a destination's verification link; called with the destination and the link's secret."""


class ProblemActions(Protocol):
    """What a person or a program does about a problem; `by` is who. An error's text explains what cannot be done."""

    async def retry(self, problem: ProblemRow, by: str) -> None:
        """Reprocess its mail."""

    async def retry_all(self, account_id: str, reason: str, by: str) -> Retried:
        """Reprocess the mail of every open problem of the account (with that reason)."""

    async def discard(self, problem: ProblemRow, by: str) -> None:
        """Discard it."""

    async def right_domain(self, problem: ProblemRow) -> Domain | None:
        """The domain that its report is about, when the account has it."""

    async def adopt(self, problem: ProblemRow, by: str) -> None:
        """Count its report for that domain."""


@dataclass(frozen=True, slots=True)
class Deps:
    """The handlers' collaborators, and the settings that they show or obey."""

    # The catalogue.
    accounts: Accounts
    arrivals: Arrivals
    listing: Listing
    problems: Problems
    problem_actions: ProblemActions
    routing: RoutingCatalogue
    dead_letters: DeadLetterActions
    audit: Audit
    query_log: QueryLog
    saved_queries: SavedQueries
    uploads: Uploads
    mailboxes: MailboxActions
    # What owners know about senders, and the senders of a domain with it.
    senders: Senders
    sender_directory: SenderDirectory
    # Policies over the stored rows, and the next step.
    policies: PolicyReader
    # The changes of records that are proposed.
    planner: Planner
    # Documents for auditors.
    evidence: EvidenceReader
    # What is published of each domain's records, claims to domains, and notices to accounts.
    setups: SetupReader
    claims: DomainClaims
    notices: Notices
    # The stored DNS records, when they are checked next, and both put together with the figures.
    dns_history: DnsHistory
    dns_schedule: DnsSchedule
    records: RecordReader
    idempotency: Idempotency
    # The archive, the figures and the two query languages.
    objects: Objects
    analytics: Analytics
    questions: Questions
    sql: QueryService
    graphql: GraphqlService
    # Store bytes for a domain durably: domain, bytes, file name, client's address → the mail's id.
    accept_upload: Callable[[Domain, bytes, str, str], Awaitable[str]]
    # Whether an account's users and admin tokens may administer the whole system.
    is_operator: Callable[[str], Awaitable[bool]]
    hostname: str
    # Decides whether cookies are Secure.
    public_url: str
    mail_bytes: int
    # Look up and check the DNS records of a domain.
    check_records: Callable[[CardRequest], Awaitable[ReportCard]]
    # Unix seconds.
    clock: Callable[[], float] = time.time
    # The workers that a rule may name, and how a destination's link is mailed (None when no mail can leave).
    workers: Sequence[str] = ("dmarc",)
    # Whether a server checks the set-up of domains in the background.
    setup_checks: bool = True
    send_link: SendLink | None = None
    # None in a process without a mail router.
    injection: MailInjection | None = None
    # Failed logins per minute over all visitors, and what to call after a login link was used.
    login_failures: int = 100
    link_used: Callable[[str], None] = lambda _: None

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)


async def deps_of(request: Request) -> Deps:
    """The container of the application that handles the request."""
    deps: Deps = request.app.state.deps
    return deps


Dependencies = Annotated[Deps, Depends(deps_of)]


def _token_for(scope: str) -> Callable[..., Awaitable[Token]]:
    async def dependency(request: Request, deps: Dependencies) -> Token:
        return await auth.token(request, deps.accounts, scope)

    return dependency


ReadToken = Annotated[Token, Depends(_token_for("read"))]
WriteToken = Annotated[Token, Depends(_token_for("write"))]
