"""Reading again: a problem's mail back into the queue, as if it had just been accepted.

The mail keeps its id, so that what was counted from it before is found and not counted twice, and what is still wrong
opens the same problem again.
"""

from __future__ import annotations

from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.errors import NotFoundError
from dmarcworks.stores import Stores


async def retry_mail(stores: Stores, problem: ProblemRow) -> None:
    """Queue the problem's mail; its problems are closed when it has been read, but for those that are found again."""
    domain = await stores.accounts.domain(problem.account_id, problem.domain_id)
    if domain is None:
        raise NotFoundError(f"the domain of problem {problem.id} was removed; its mail is {problem.object_key}")
    raw = await stores.objects.head(problem.object_key)
    if raw is None:
        raise NotFoundError(f"the raw mail {problem.object_key} is gone from the object store")
    mail = await stores.arrivals.mail(problem.account_id, problem.mail_id)
    await stores.queue.send(
        {
            "mail_id": problem.mail_id,
            "object_key": problem.object_key,
            "account_id": problem.account_id,
            "domain_id": problem.domain_id,
            "domain": domain.name,
            "recipient": mail.recipient if mail else domain.rua,
            "sender": mail.sender if mail else "",
            "peer": mail.peer if mail else "",
            "received": (mail.received if mail else problem.created).timestamp(),
            "size": raw.size,
            "sha256": mail.sha256 if mail else None,
            "again": True,
        }
    )


async def retry_all(stores: Stores) -> int:
    """Queue the mail of every open problem, each mail once; how many mails."""
    mails: set[str] = set()
    before: int | None = None
    while page := await stores.problems.list(limit=1000, before=before):
        for problem in page:
            if problem.mail_id not in mails:
                mails.add(problem.mail_id)
                await retry_mail(stores, problem)
        before = page[-1].id
    return len(mails)
