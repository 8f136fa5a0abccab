"""`/mailboxes`: mailboxes that reports are fetched from, their state, and the domains that their reports are about."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import RedirectResponse, Response

from dmarcworks.api.deps import Dependencies, Deps
from dmarcworks.catalogue.mailboxes import BY_FILE, MailboxRow
from dmarcworks.dashboard.links import url
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.renderer import Html, Renderer
from dmarcworks.dashboard.visit import UserVisit, Visit
from dmarcworks.errors import DmarcworksError, NotFoundError, UsageError
from dmarcworks.sources.contract import MailboxError, MailboxLook
from dmarcworks.sources.mailbox_url import MailboxUrl
from dmarcworks.sources.presets import presets

routes = APIRouter(route_class=PageRoute, include_in_schema=False)

LEFT = 50
# Of an access token the file must be named, which only the operator may.
PRESETS = tuple(one for one in presets() if "auth=xoauth2" not in one.url)
SCHEMES = {"imaps": "TLS (993)", "imap+starttls": "STARTTLS (143)"}


async def _mailbox(visit: UserVisit, deps: Dependencies, mailbox_id: Annotated[str, Path(alias="id")]) -> MailboxRow:
    try:
        return await deps.mailboxes.get(visit.account_id, mailbox_id)
    except NotFoundError:
        raise NotFoundError("There is no such mailbox, or it belongs to another account.") from None


OwnMailbox = Annotated[MailboxRow, Depends(_mailbox)]


@routes.get("/mailboxes")
async def index(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The mailboxes with their state, unknown domains, and the form that adds one."""
    return await _list(html, deps, visit)


@routes.post("/mailboxes")
async def add(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Add a mailbox, paused, so that a person sees what is in it before anything is fetched."""
    form = visit.form
    try:
        settle = form.get("settle", "leave")
        if settle == "move":
            if not form.get("target", "").strip():
                raise UsageError("Name the folder that accepted mail is moved to.")
            settle = f"move:{form['target'].strip()}"
        scheme = form.get("scheme", "imaps")
        host, user = form.get("host", "").strip(), form.get("user", "").strip()
        address = MailboxUrl.text(scheme if scheme in SCHEMES else "imaps", user, host, form.get("folders", "INBOX"))
        made = await deps.mailboxes.add(
            visit.account_id,
            form.get("name", "").strip(),
            address,
            form.get("password", ""),
            settle=settle,
            paused=True,
        )
    except DmarcworksError as error:
        return await _list(html, deps, visit, wrong=_sentence(str(error)), status=400)
    return RedirectResponse(url(f"/mailboxes/{made.id}", added=1), 303)


@routes.post("/mailboxes/domains")
async def add_domain(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Add an unknown domain and count the reports about it."""
    try:
        domain, reports = await deps.mailboxes.add_domain(visit.account_id, visit.form.get("name", ""), visit.email)
    except DmarcworksError as error:
        return await _list(html, deps, visit, wrong=_sentence(str(error)), status=400)
    return RedirectResponse(url("/mailboxes", domain=domain.name, reports=reports), 303)


@routes.get("/mailboxes/{id}")
async def show(mailbox: OwnMailbox, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """A mailbox: state, folders, and mail that was left alone."""
    return await _page(html, deps, visit, mailbox)


@routes.post("/mailboxes/{id}/test")
async def test(mailbox: OwnMailbox, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Connect and count what is there."""
    look, wrong = None, ""
    try:
        look = await deps.mailboxes.look(mailbox)
    except MailboxError as error:
        wrong = _sentence(str(error))
    return await _page(html, deps, visit, mailbox, look=look, wrong=wrong)


@routes.post("/mailboxes/{id}")
async def change(mailbox: OwnMailbox, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Pause, resume, fetch now, or replace the password."""
    do = visit.form.get("do")
    try:
        if do in ("pause", "resume"):
            await deps.mailboxes.pause(mailbox, do == "pause")
        elif do == "run":
            await deps.mailboxes.request_run(mailbox)
        elif do == "password":
            await deps.mailboxes.set_password(mailbox, visit.form.get("password", ""))
    except DmarcworksError as error:
        return await _page(html, deps, visit, mailbox, wrong=_sentence(str(error)), status=400)
    return RedirectResponse(url(f"/mailboxes/{mailbox.id}", done=do), 303)


@routes.get("/mailboxes/{id}/remove")
async def confirm(mailbox: OwnMailbox, visit: UserVisit, html: Html) -> Response:
    """Confirm that it is to be removed."""
    return await html.page(visit, "mailbox_remove.html", mailbox=mailbox)


@routes.post("/mailboxes/{id}/remove")
async def remove(mailbox: OwnMailbox, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Remove it with its password."""
    try:
        await deps.mailboxes.remove(mailbox)
    except DmarcworksError as error:
        return await _page(html, deps, visit, mailbox, wrong=_sentence(str(error)), status=409)
    return RedirectResponse(url("/mailboxes", removed=mailbox.name), 303)


async def _list(html: Renderer, deps: Deps, visit: Visit, wrong: str = "", status: int = 200) -> Response:
    typed = {name: value for name, value in visit.form.items() if name != "password"}
    return await html.page(
        visit,
        "mailboxes.html",
        status,
        mailboxes=await deps.mailboxes.mailboxes(visit.account_id),
        unknown=await deps.mailboxes.unknown_domains(visit.account_id),
        presets=PRESETS,
        schemes=SCHEMES,
        typed=typed,
        wrong=wrong,
        removed=visit.query("removed"),
        domain=visit.query("domain"),
        reports=visit.number("reports", 0, 0, 999_999_999),
    )


async def _page(
    html: Renderer,
    deps: Deps,
    visit: Visit,
    mailbox: MailboxRow,
    *,
    look: MailboxLook | None = None,
    wrong: str = "",
    status: int = 200,
) -> Response:
    return await html.page(
        visit,
        "mailbox.html",
        status,
        mailbox=mailbox,
        folders=await deps.mailboxes.folders(mailbox),
        left=[one for _, one in await deps.mailboxes.left(mailbox, LEFT)],
        of_file=mailbox.origin == BY_FILE,
        look=look,
        wrong=wrong,
        added=visit.number("added", 0, 0, 1),
        done=visit.query("done"),
    )


def _sentence(text: str) -> str:
    """An error's text as a sentence."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
