"""`/domains/{name}/builder`: build DMARC, TLS-RPT and MTA-STS records and those of a parked domain from choices.

A plain form; the record is shown before and after, with the difference marked.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.domain import OwnDomain
from dmarcworks.dashboard.record_form import KINDS, RecordForm, build, defaults, dropped_tags, record_changes
from dmarcworks.dashboard.renderer import Html
from dmarcworks.dashboard.visit import UserVisit
from dmarcworks.errors import UsageError

_CHARACTERS = 2_000

routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/domains/{name}/builder")
async def builder(domain: OwnDomain, visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The form with the records that it builds."""
    default = "parked" if domain.parked else "dmarc"
    kind = visit.query("kind") if visit.query("kind") in KINDS else default
    published = await deps.setups.published(domain)
    fields = defaults(kind, domain, published)
    query = visit.request.query_params
    # A form that was sent has all of its fields, empty ones too.
    fields |= {name: query[name][:_CHARACTERS] for name in fields if name in query}
    form = RecordForm(kind, fields)
    wrong, changes = "", []
    try:
        changes = record_changes(form, build(form, domain, deps.now()), published)
    except UsageError as error:
        wrong = str(error)
    return await html.page(
        visit,
        "builder.html",
        400 if wrong and len(query) > 1 else 200,
        domain=domain,
        kinds=KINDS,
        form=form,
        changes=changes,
        wrong=wrong,
        dropped=dropped_tags(form, published),
        published=published,
    )
