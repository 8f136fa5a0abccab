"""SQL for the operator's command on the same machine: any account by its name, under /internal/.

The body is JSON: `{"statement", "account", "format", "values"}`; an empty account means the rows of no account. The
response is the result, its format in the header `X-Format`; errors are those of the SQL API (422). The router that
includes this one requires the operator's secret.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from dmarcworks.analytics.tables import NOBODY
from dmarcworks.api.deps import Dependencies
from dmarcworks.api.disconnect import while_connected
from dmarcworks.catalogue.accounts import Accounts

FORMAT_HEADER = "X-Format"
WHO, SOURCE = "operator", "command"
# To be included behind the operator's secret.
routes = APIRouter()


class InternalQuery(BaseModel):
    """What the command sends."""

    model_config = ConfigDict(extra="forbid")

    statement: str
    account: str = "default"
    format: str = "JSON"
    values: dict[str, str] = {}


async def owner(accounts: Accounts, name: str) -> str:
    """The id of the account with that name; "" is no account, whose data points only the operator may see."""
    return (await accounts.account_by_name(name)).id if name else NOBODY


@routes.post("/sql")
async def query(request: Request, question: InternalQuery, deps: Dependencies) -> Response:
    """Run a statement over the account with that name."""
    own = await owner(deps.accounts, question.account)
    answer = deps.sql.query(
        question.statement, own, who=WHO, source=SOURCE, values=question.values, format=question.format
    )
    result = await while_connected(request, answer)
    return Response(result.body, media_type=result.media, headers={FORMAT_HEADER: result.format})
