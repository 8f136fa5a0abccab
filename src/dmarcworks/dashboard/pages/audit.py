"""`/audit`: who changed what in the account, when and from where."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.catalogue.audit import AuditRow
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit

PAGE = 100
ACTIONS = {
    "account.add": "Account created",
    "domain.add": "Domain added",
    "domain.remove": "Domain removed",
    "domain.enable": "Domain enabled: mail is accepted",
    "domain.disable": "Domain disabled: mail is rejected",
    "domain.remove-address": "Former address for reports removed",
    "user.add": "User added",
    "user.remove": "User removed",
    "user.enable": "User enabled",
    "user.disable": "User disabled",
    "user.reset": "Password deleted, login link created",
    "user.login-link": "Login link created",
    "user.password": "Password changed",
    "user.log-in": "Logged in",
    "user.log-out": "Logged out",
    "user.log-in-failed": "Login failed",
    "token.create": "Token created",
    "token.revoke": "Token revoked",
    "token.rotate": "Token replaced",
    "route.add": "Rule added",
    "route.change": "Rule changed",
    "route.remove": "Rule removed",
    "route.disable": "Rule disabled",
    "route.move": "Rule moved",
    "route.catch-all": "Rule for all other addresses changed",
    "destination.add": "Destination added",
    "destination.verify": "Destination verified",
    "destination.remove": "Destination removed",
    "problem.retry": "Problem reprocessed",
    "problem.adopt": "Report adopted",
    "problem.discard": "Problem discarded",
    "other_mail.discard": "Other mail discarded",
    "worker_queue.retry": "Worker queue message requeued",
    "worker_queue.discard": "Worker queue message deleted",
    "report.upload": "Report or mail uploaded",
    "report.import": "Files imported",
    "mailbox.add": "Mailbox added",
    "mailbox.remove": "Mailbox removed",
    "mailbox.pause": "Mailbox paused",
    "mailbox.resume": "Mailbox resumed",
    "mailbox.password": "Password of a mailbox replaced",
    "mailbox.rotate-key": "Key of stored passwords replaced",
    "sender.decide": "Decision on a sender",
    "sender.withdraw": "Decision on a sender withdrawn",
    "sender.name": "Own name of a sender added",
    "sender.unname": "Own name of a sender removed",
}


def action_words(action: str) -> str:
    """The action for a person; the code itself when nobody has explained it."""
    return ACTIONS.get(action) or action.replace(".", " ").replace("-", " ").capitalize()


routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/audit")
async def index(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The newest changes, page by page."""
    before = visit.number("before", 0, 0, 999_999_999) or None
    rows = await deps.audit.list(visit.account_id, limit=PAGE + 1, before=before)
    # A token that was revoked has its name in its own entries only.
    tokens = {row.target: str(row.detail.get("name") or "") for row in rows if row.action.startswith("token.")}
    tokens |= {token.id: token.name for token in await deps.accounts.tokens(visit.account_id) if token.name}

    def who(row: AuditRow) -> str:
        return (tokens.get(row.name) or row.name) if row.actor == "token" else row.name

    def what(row: AuditRow) -> str:
        return (tokens.get(row.target) or row.target) if row.action.startswith("token.") else row.target

    return await html.page(
        visit,
        "audit.html",
        rows=rows[:PAGE],
        after=rows[PAGE - 1].id if len(rows) > PAGE else None,
        words=action_words,
        who=who,
        what=what,
    )
