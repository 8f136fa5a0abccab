"""POST /reports and /uploads: a report or a mail is accepted durably over HTTP, and its outcome can be queried.

202 is what 250 is over SMTP: the bytes and their queue item are on disk. They are processed after that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from dmarcworks.api.rest.deps import Caller, Reader, Writer
from dmarcworks.api.rest.examples import ID, WHEN
from dmarcworks.api.rest.models import ProblemOut, ReportOut
from dmarcworks.api.rest.paging import Cursor, Limit, Page, after, mark
from dmarcworks.api.rest.params import DomainFilter, Id
from dmarcworks.api.rest.route import Route, UploadRoute
from dmarcworks.api.rest.tags import answer
from dmarcworks.catalogue.uploads import UploadRow
from dmarcworks.errors import NotFoundError, UsageError

routes = APIRouter(tags=["uploads"], route_class=Route)
posting = APIRouter(tags=["uploads"], route_class=UploadRoute)

_BODY = {
    "requestBody": {
        "required": True,
        "description": (
            "A report (XML, JSON, gzip, zip) or a whole mail (message/rfc822), as bytes. Its type is detected from the"
            " content; the request's Content-Type does not matter."
        ),
        # One media type: generators of clients leave out an operation or a body whose media type they do not know.
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
Name = Annotated[str, Query(max_length=255, description="The file's name, when the bytes are no mail.")]
DomainWanted = Annotated[
    str, Query(pattern=r"^[A-Za-z0-9._-]{1,253}$", description="The domain that it is for, by name (A-labels) or id.")
]


class UploadOut(BaseModel):
    """An accepted upload."""

    mail_id: str = Field(description="The id of the mail that it became.", examples=[ID])
    status_url: str = Field(description="Where its fate stands.", examples=[f"/api/v1/uploads/{ID}"])
    domain_id: str = Field(description="The domain that it is for.", examples=[ID])
    name: str = Field(description="The file's name, as sent.", examples=["report.xml.gz"])
    size: int = Field(description="Bytes that were sent.", examples=[1234])
    created: datetime = Field(description="When it was accepted.", examples=[WHEN])

    @classmethod
    def of(cls, row: UploadRow) -> UploadOut:
        """From the catalogue."""
        return cls(
            mail_id=row.id,
            status_url=f"/api/v1/uploads/{row.id}",
            domain_id=row.domain_id,
            name=row.name,
            size=row.size,
            created=row.created,
        )


class FoundOut(BaseModel):
    """A report that was in an upload."""

    new: bool = Field(description="false: it was known already and is counted once.")
    report: ReportOut = Field(description="The report.")


class UploadStatus(UploadOut):
    """An upload and its outcome."""

    state: Literal["queued", "read", "not read"] = Field(description="queued until it was read.", examples=["read"])
    reports: list[FoundOut] = Field(description="The reports in it; at most 1000.")
    problems: list[ProblemOut] = Field(description="What could not be read or counted; at most 1000.")


@posting.post(
    "/reports",
    operation_id="upload_report",
    status_code=202,
    response_model=UploadOut,
    responses={400: {}, 404: {}},
    openapi_extra=_BODY,
    summary="Upload a report or a mail",
)
async def upload(request: Request, caller: Writer, domain: DomainWanted, name: Name = "") -> Response:
    """Accept a report or a mail durably, as mail is; it is read soon after. The response has the address to poll."""
    for_domain = await caller.domain(domain)
    body = await request.body()
    if not body:
        raise UsageError("the body is empty; send a report or a mail")
    mail_id = await caller.deps.accept_upload(for_domain, body, name, caller.peer)
    row = await caller.deps.uploads.add(mail_id, caller.account_id, for_domain.id, name, len(body))
    await caller.deps.audit.add(
        "report.upload", for_domain.name, account_id=caller.account_id, detail={"mail_id": mail_id, "size": len(body)}
    )
    out = UploadOut.of(row)
    return answer(request, out, 202, {"Location": out.status_url})


@routes.get(
    "/uploads",
    operation_id="list_uploads",
    response_model=Page[UploadOut],
    responses={400: {}, 404: {}},
    summary="List uploads",
)
async def index(
    request: Request, caller: Reader, domain: DomainFilter = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """Uploads within the token's reach, newest first."""
    rows = await caller.deps.uploads.list(
        caller.account_id,
        domain_ids=await caller.domain_ids(domain),
        limit=limit + 1,
        before=after("uploads", cursor, float, str),
    )
    last = rows[limit - 1] if len(rows) > limit else None
    next_ = None if last is None else mark("uploads", last.created.timestamp(), last.id)
    return answer(request, Page[UploadOut](items=[UploadOut.of(row) for row in rows[:limit]], next=next_))


@routes.get(
    "/uploads/{mail_id}",
    operation_id="get_upload",
    response_model=UploadStatus,
    responses={404: {}},
    summary="Show an upload",
)
async def show(request: Request, caller: Reader, mail_id: Id) -> Response:
    """The outcome of an upload: its reports and its problems."""
    return answer(request, await _status(caller, mail_id))


async def _status(caller: Caller, mail_id: str) -> UploadStatus:
    row = await caller.deps.uploads.get(caller.account_id, mail_id)
    if row is None or not caller.token.sees(row.domain_id):
        raise NotFoundError("there is no such upload")
    mail = await caller.deps.arrivals.mail(caller.account_id, mail_id)
    problems = await caller.deps.listing.problems(caller.account_id, mail_id=mail_id, limit=1000)
    # Until the mail is noted, what is there of it may be half of it.
    reports = [] if mail is None else await caller.deps.listing.of_mail(caller.account_id, mail_id)
    gave_up = any(problem.reason in ("gave_up", "raw_missing") for problem in problems)
    state: Literal["queued", "read", "not read"] = "not read" if gave_up else "queued"
    if mail is not None:
        state = "read" if mail.reports else "not read"
    return UploadStatus(
        **dict(UploadOut.of(row)),
        state=state,
        reports=[FoundOut(new=recorded.new, report=ReportOut.of(recorded.report)) for recorded in reports],
        problems=[ProblemOut.of(problem) for problem in problems],
    )
