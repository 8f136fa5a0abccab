"""What a person does about a problem: reprocess its mail, adopt its report, or discard it.

The mail goes back into the queue with its own id, as if it had just been accepted, so that what was counted from it
before is found and not counted twice, and what is still wrong opens the same problem again. A report that was kept
apart because its address was for another domain is adopted in the same way, once the domain that it is about was added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.problems import ProblemRow, Retried
from dmarcworks.catalogue.stores import Stores
from dmarcworks.errors import ConflictError, DmarcworksError, NotFoundError
from dmarcworks.ingest.accept import accept
from dmarcworks.ingest.item import NO_DOMAIN, MailItem
from dmarcworks.ingest.report_rows import covers

__all__ = ["ProblemResolver", "adopt", "adopt_all", "adoptable", "discard", "retry", "retry_all", "right_domain"]

OTHER_DOMAIN = "other_domain"


async def retry(stores: Stores, problem: ProblemRow, by: str = "") -> None:
    """Queue the problem's mail; its problems are closed when it has been read, but for those that are found again.

    `by` is the actor, for the catalogue. `NotFoundError` when the mail or its domain is gone.
    """
    await _queue(stores, problem, by, {}, "problem.retry")


async def retry_all(stores: Stores, account_id: str | None = None, reason: str = "", by: str = "") -> Retried:
    """Queue the mail of every open problem (of the account, of the reason), each mail once."""
    mails: set[str] = set()
    skipped: list[str] = []
    before: int | None = None
    while page := await stores.problems.list(account_id, limit=1000, before=before, reason=reason):
        before = page[-1].id
        for problem in page:
            if problem.mail_id in mails:
                continue
            try:
                await retry(stores, problem, by)
            except NotFoundError as error:
                skipped.append(f"{problem.id}: {error}")
                continue
            mails.add(problem.mail_id)
    return Retried(len(mails), tuple(skipped))


async def discard(stores: Stores, problem: ProblemRow, by: str) -> None:
    """Discard the problem: its row stays as "discarded" with who and when, its raw mail stays, its dead letter is
    removed."""
    await stores.problems.discard(problem, by)
    if problem.letter is not None:
        await stores.dead_letters.discard(SYSTEM_QUEUE, problem.letter)


async def right_domain(stores: Stores, problem: ProblemRow, domains: Sequence[Domain] | None = None) -> Domain | None:
    """The account's domain that a report which was kept apart is about; None while there is none.

    `domains` are the account's, where the caller knows them.
    """
    if problem.reason != OTHER_DOMAIN or problem.report_key is None:
        return None
    report = await stores.arrivals.report(problem.account_id, problem.report_key)
    if report is None or report.state != "foreign":
        return None
    if domains is None:
        domains = await stores.accounts.domains(problem.account_id)
    fitting = [domain for domain in domains if covers(domain.name, report.policy_domain)]
    return max(fitting, key=lambda domain: len(domain.name), default=None)


async def adopt(stores: Stores, problem: ProblemRow, by: str = "") -> Domain:
    """Count the report for the domain that it is about, and return that; `ConflictError` if the account does not have
    it."""
    if problem.reason != OTHER_DOMAIN or problem.report_key is None:
        raise ConflictError(f"problem {problem.id} is not about a report of another domain")
    domain = await right_domain(stores, problem)
    if domain is None:
        raise ConflictError(
            f"the domain that the report of problem {problem.id} is about is none of this account's; add it first:"
            " dmarcworks domain add NAME"
        )
    await _queue(stores, problem, by, {problem.report_key: domain.id}, "problem.adopt")
    return domain


async def adoptable(stores: Stores, account_id: str | None = None) -> list[tuple[ProblemRow, dict[str, str]]]:
    """The reports that could be adopted now: for each mail one of its problems, and report key → domain id."""
    mails: dict[str, tuple[ProblemRow, dict[str, str]]] = {}
    before: int | None = None
    domains: dict[str, list[Domain]] = {}
    while page := await stores.problems.list(account_id, limit=1000, before=before, reason=OTHER_DOMAIN):
        before = page[-1].id
        for problem in page:
            if problem.account_id not in domains:
                domains[problem.account_id] = await stores.accounts.domains(problem.account_id)
            domain = await right_domain(stores, problem, domains[problem.account_id])
            if domain is not None and problem.report_key is not None:
                mails.setdefault(problem.mail_id, (problem, {}))[1][problem.report_key] = domain.id
    return list(mails.values())


async def adopt_all(stores: Stores, account_id: str | None = None, by: str = "") -> Retried:
    """Adopt every report that was kept apart and whose domain has been added since."""
    skipped: list[str] = []
    adopted = 0
    for problem, reports in await adoptable(stores, account_id):
        try:
            await _queue(stores, problem, by, reports, "problem.adopt")
        except DmarcworksError as error:
            if error.temporary:
                raise
            skipped.append(f"{problem.id}: {error}")
            continue
        adopted += len(reports)
    return Retried(adopted, tuple(skipped))


async def _queue(stores: Stores, problem: ProblemRow, by: str, adopted: Mapping[str, str], action: str) -> None:
    domain = await stores.accounts.domain(problem.account_id, problem.domain_id)
    if domain is None and problem.domain_id != NO_DOMAIN:
        raise NotFoundError(f"the domain of problem {problem.id} was removed; its mail is {problem.object_key}")
    raw = await stores.objects.head(problem.object_key)
    if raw is None:
        raise NotFoundError(f"the raw mail {problem.object_key} is gone from the object store")
    mail = await stores.arrivals.mail(problem.account_id, problem.mail_id)
    item = MailItem(
        mail_id=problem.mail_id,
        object_key=problem.object_key,
        account_id=problem.account_id,
        domain_id=problem.domain_id,
        domain=domain.name if domain else "",
        recipient=mail.recipient if mail else domain.rua if domain else "mailbox",
        received=(mail.received if mail else problem.created).timestamp(),
        size=raw.size,
        sha256=mail.sha256 if mail else None,
        sender=mail.sender if mail else "",
        peer=mail.peer if mail else "",
        again=True,
        adopt=dict(adopted),
    )
    # Noted before it is sent: the reader may be done with it before this continues.
    await stores.problems.retrying(problem, by, action)
    try:
        await accept(item, None, objects=stores.objects, queue=stores.queue)
    except DmarcworksError:
        await stores.problems.reopen_mail(problem.mail_id)
        raise
    if problem.letter is not None:
        await stores.dead_letters.discard(SYSTEM_QUEUE, problem.letter)


class ProblemResolver:
    """The same for the pages, which know nothing of the stores."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def retry(self, problem: ProblemRow, by: str) -> None:
        """Read its mail again."""
        await retry(self._stores, problem, by)

    async def retry_all(self, account_id: str, reason: str, by: str) -> Retried:
        """Read the mail of every open problem of the account again."""
        return await retry_all(self._stores, account_id, reason, by)

    async def discard(self, problem: ProblemRow, by: str) -> None:
        """Discard it."""
        await discard(self._stores, problem, by)

    async def right_domain(self, problem: ProblemRow) -> Domain | None:
        """The domain that its report is about, when the account has it."""
        return await right_domain(self._stores, problem)

    async def adopt(self, problem: ProblemRow, by: str) -> None:
        """Count its report for that domain."""
        await adopt(self._stores, problem, by)
