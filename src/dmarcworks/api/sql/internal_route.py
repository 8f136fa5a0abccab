"""SQL for the operator's command on the same machine: any account by its name, under /internal/.

The body is JSON: `{"statement", "account", "format", "values"}`; an empty account stands for what belongs to none. The
answer is the result, its format in the header `X-Format`; what is refused is refused in the words of the SQL API (422).
The router that holds this lets only the operator in.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from dmarcworks.analytics.tables import NOBODY
from dmarcworks.api.leaving import while_connected
from dmarcworks.api.sql.service import QueryService
from dmarcworks.catalogue.accounts import Accounts

FORMAT_HEADER = "X-Format"
WHO, SOURCE = "operator", "command"


class InternalQuery(BaseModel):
    """What the command sends."""

    model_config = ConfigDict(extra="forbid")

    statement: str
    account: str = "default"
    format: str = "JSON"
    values: dict[str, str] = {}


async def owner(accounts: Accounts, name: str) -> str:
    """The id of the account with that name; "" is nobody, whose data points only the operator may see."""
    return (await accounts.account_by_name(name)).id if name else NOBODY


def routes(desk: QueryService, accounts: Accounts) -> APIRouter:
    """`POST /sql`, to be put behind the operator's door."""
    router = APIRouter()

    async def sql(request: Request, question: InternalQuery) -> Response:
        own = await owner(accounts, question.account)
        asked = desk.ask(
            question.statement, own, who=WHO, source=SOURCE, values=question.values, format=question.format
        )
        found = await while_connected(request, asked)
        return Response(found.body, media_type=found.media, headers={FORMAT_HEADER: found.format})

    router.add_api_route("/sql", sql, methods=["POST"])
    return router
