"""`/domains/{name}/evidence`: the document for auditors about a domain, on the page and as a file."""

from __future__ import annotations

from fastapi import APIRouter
from markupsafe import Markup
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.api.evidence.document import evidence_body, evidence_html
from dmarcworks.api.evidence.pdf import PdfUnavailableError, is_installed, pdf_of
from dmarcworks.api.rest.download import HEADERS
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain, requested_period, scope_of
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.errors import UsageError

routes = APIRouter(route_class=PageRoute, include_in_schema=False)

_TYPES = {"html": "text/html; charset=utf-8", "pdf": "application/pdf"}


@routes.get("/domains/{name}/evidence")
async def page(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The content of the document, with the period and the files."""
    days, _ = await requested_period(deps, visit, domain)
    read = await deps.evidence.read([domain], days.first, days.last, deps.now(), changes=True)
    return await html.page(
        visit,
        "evidence.html",
        domain=domain,
        period=days,
        scope=scope_of(days),
        pdf=is_installed(),
        body=Markup(evidence_body(read)),  # noqa: S704 - rendered with autoescape
    )


@routes.get("/domains/{name}/evidence/file")
async def file(domain: OwnDomain, visit: UserVisit, deps: Dependencies) -> Response:
    """The document as a file."""
    kind = visit.query("format", "html")
    if kind not in _TYPES:
        raise UsageError("the format must be html or pdf")
    days, _ = await requested_period(deps, visit, domain)
    read = await deps.evidence.read([domain], days.first, days.last, deps.now(), changes=True)
    content: bytes | str = evidence_html(read)
    if kind == "pdf":
        try:
            content = await pdf_of(str(content))
        except PdfUnavailableError as error:
            raise UsageError(str(error)) from error
    name = f"dmarc-{domain.name}-{days.first}-{days.last}.{kind}"
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type=_TYPES[kind])
