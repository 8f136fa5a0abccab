"""/problems: what could not be read or counted, the bytes as they came, and a person's decision about it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from dmarcworks.api.rest.deps import Caller, Reader, Writer
from dmarcworks.api.rest.download import download
from dmarcworks.api.rest.models import DiscardedOut, ProblemOut
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.params import DomainFilter
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer, require_match
from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.errors import ConflictError, NotFoundError

routes = APIRouter(prefix="/problems", tags=["problems"], route_class=Route)

Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The problem's number.")]
State = Annotated[
    Literal["open", "retrying", "closed", "discarded", "other"] | None,
    Query(description="Only in this state; other: mail that is no report."),
]
Reason = Annotated[str | None, Query(max_length=64, description="Only of this kind.")]


@routes.get(
    "",
    operation_id="list_problems",
    response_model=Page[ProblemOut],
    responses={400: {}, 404: {}},
    summary="List problems",
)
async def index(
    request: Request,
    caller: Reader,
    state: State = "open",
    reason: Reason = None,
    domain: DomainFilter = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Problems within the token's reach, newest first; by default the open ones."""
    place = after("problems", cursor, int)
    rows = await caller.deps.listing.problems(
        caller.account_id,
        domain_ids=await caller.domain_ids(domain),
        state=state or "",
        reason=reason or "",
        limit=limit + 1,
        before=None if place is None else place[0],
    )
    next_ = mark("problems", rows[limit - 1].id) if len(rows) > limit else None
    return answer(request, Page[ProblemOut](items=[ProblemOut.of(row) for row in rows[:limit]], next=next_))


@routes.post(
    "/discard-other",
    operation_id="discard_other_mail",
    response_model=DiscardedOut,
    responses={404: {}},
    summary="Discard other mail",
)
async def discard_other(
    request: Request, caller: Writer, reason: Reason = None, domain: DomainFilter = None
) -> Response:
    """Discard all mail that is no report within the token's reach; its entries and its raw mail stay."""
    domain_ids = await caller.domain_ids(domain)
    number = await caller.deps.problems.discard_other(caller.account_id, caller.name, reason or "", domain_ids)
    return answer(request, DiscardedOut(discarded=number))


async def _problem(caller: Caller, number: int) -> ProblemRow:
    problem = await caller.deps.problems.get(caller.account_id, number)
    if problem is None or not caller.token.sees(problem.domain_id):
        raise NotFoundError("there is no such problem")
    return problem


@routes.get(
    "/{problem}",
    operation_id="get_problem",
    response_model=ProblemOut,
    responses={404: {}},
    summary="Show a problem",
)
async def show(request: Request, caller: Reader, problem: Number) -> Response:
    """A problem by its number."""
    return answer(request, ProblemOut.of(await _problem(caller, problem)))


@routes.get(
    "/{problem}/raw",
    operation_id="get_problem_raw",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        404: {},
    },
    summary="Download a problem's mail",
)
async def raw(request: Request, caller: Reader, problem: Number) -> Response:
    """The raw mail, or the part that the problem is about, as it came."""
    row = await _problem(caller, problem)
    name = row.object_key if row.object_key.endswith(".eml") else row.file_name or row.object_key
    return await download(request, caller.deps.objects, row.object_key, name)


@routes.post(
    "/{problem}/retry",
    operation_id="retry_problem",
    status_code=202,
    response_model=ProblemOut,
    responses={404: {}},
    summary="Read a problem's mail again",
)
async def retry(request: Request, caller: Writer, problem: Number) -> Response:
    """Queue the mail to be reprocessed; what is still wrong then is open again."""
    row = await _matched(request, caller, problem)
    await caller.deps.problem_actions.retry(row, caller.name)
    return answer(request, ProblemOut.of(await _problem(caller, problem)), 202)


@routes.post(
    "/{problem}/discard",
    operation_id="discard_problem",
    response_model=ProblemOut,
    responses={404: {}},
    summary="Discard a problem",
)
async def discard(request: Request, caller: Writer, problem: Number) -> Response:
    """The problem is no longer open; its entry and its raw mail are kept."""
    row = await _matched(request, caller, problem)
    await caller.deps.problem_actions.discard(row, caller.name)
    return answer(request, ProblemOut.of(await _problem(caller, problem)))


@routes.post(
    "/{problem}/adopt",
    operation_id="adopt_problem",
    status_code=202,
    response_model=ProblemOut,
    responses={404: {}},
    summary="Count a report of another domain",
)
async def adopt(request: Request, caller: Writer, problem: Number) -> Response:
    """Count a report that came to another domain's address for the domain that it is about, once that was added."""
    row = await _matched(request, caller, problem)
    domain = await caller.deps.problem_actions.right_domain(row)
    if domain is None or not caller.token.sees(domain.id):
        raise ConflictError("it is no report of another domain, or that domain is not yours; add the domain first")
    await caller.deps.problem_actions.adopt(row, caller.name)
    return answer(request, ProblemOut.of(await _problem(caller, problem)), 202)


async def _matched(request: Request, caller: Caller, number: int) -> ProblemRow:
    row = await _problem(caller, number)
    require_match(request, ProblemOut.of(row))
    return row
