"""`/graphql`: run a GraphQL query as the user who is logged in, see the response, look up the fields.

The form works without scripts; with them the response comes as JSON into the same place. A query needs the form's
CSRF token like every form. The query service is that of the API: the same tenant isolation, bounds and budget.
"""

from __future__ import annotations

import json

from fastapi import APIRouter
from starlette.responses import Response

from dmarcworks.api.deps import Dependencies
from dmarcworks.api.disconnect import while_connected
from dmarcworks.api.graphql.filters import operators
from dmarcworks.api.graphql.model import Node
from dmarcworks.api.graphql.refusal import Refusal
from dmarcworks.api.graphql.schema import NODES
from dmarcworks.api.graphql.service import decoded
from dmarcworks.dashboard.page_route import PageRoute
from dmarcworks.dashboard.pages.graphql_examples import EXAMPLES, GraphqlExample
from dmarcworks.dashboard.renderer import Html, Renderer
from dmarcworks.dashboard.visit import UserVisit, Visit

_INDENT = 2


def like(node: Node) -> str:
    """The name of a `_like` filter of the node, as an example; ids are no good one."""
    names = [field.name for field in node.filterable.values() if "_like" in operators(field)]
    return next((name for name in reversed(names) if not name.endswith(("Tag", "Id", "Key"))), names[0]) + "_like"


routes = APIRouter(route_class=PageRoute, include_in_schema=False)


@routes.get("/graphql")
async def show(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """The page with an example query."""
    example = next((one for one in EXAMPLES if one.key == visit.query("example")), EXAMPLES[0])
    own = await deps.accounts.domains(visit.account_id)
    variables = example.variables(visit.account_id, own[0].id if own else "", deps.now().date())
    return await _page(html, visit, example, example.query, json.dumps(variables, indent=_INDENT), "", 200)


@routes.post("/graphql")
async def ask(visit: UserVisit, deps: Dependencies, html: Html) -> Response:
    """Run the form's query; JSON for a script, else the page with the response."""
    query, text = visit.form.get("query", ""), visit.form.get("variables", "").strip()
    key = f"user {visit.user.id}" if visit.user else ""
    try:
        variables = decoded(text) if text else {}
        running = deps.graphql.query({"query": query, "variables": variables}, visit.account_id, key=key)
        response = await while_connected(visit.request, running)
    except Refusal as refusal:
        message = str(refusal).replace("parsing body", "parsing variables")
        response = deps.graphql.refused(message, refusal.path, refusal.status)
    if "application/json" in visit.request.headers.get("accept", ""):
        return response
    answer = json.dumps(json.loads(bytes(response.body)), indent=_INDENT, ensure_ascii=False)
    return await _page(html, visit, EXAMPLES[0], query, text, answer, response.status_code)


async def _page(
    html: Renderer, visit: Visit, example: GraphqlExample, query: str, variables: str, answer: str, status: int
) -> Response:
    return await html.page(
        visit,
        "graphql.html",
        status if answer else 200,
        examples=EXAMPLES,
        chosen=example,
        query=query,
        variables=variables,
        answer=answer,
        nodes=NODES.values(),
        like=like,
    )
