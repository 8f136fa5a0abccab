"""Errors as `application/problem+json` (RFC 9457): a text for people, never the internals of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from dmarcworks.api import auth
from dmarcworks.errors import BusyError, DmarcworksError

__all__ = ["MEDIA", "FieldError", "ProblemDetails", "RestError", "install"]

log = structlog.get_logger("dmarcworks.rest")

MEDIA = "application/problem+json"


class FieldError(BaseModel):
    """One thing that is wrong with a request."""

    where: str = Field(description="Where it stands: `query.limit`, `body.name`.", examples=["query.limit"])
    message: str = Field(description="What is wrong.", examples=["Input should be less than or equal to 1000"])


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"description": "An error (RFC 9457)."})

    type: str = Field("about:blank", description="`about:blank`: the status is the kind of error.")
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="What went wrong, for a person.", examples=["there is no such domain"])
    errors: list[FieldError] = Field([], description="What is wrong with the request, thing by thing.")


class RestError(DmarcworksError):
    """A refusal that HTTP has a status of its own for (409, 412, 422 …)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def install(app: FastAPI) -> None:
    """Every error of the application becomes such an answer."""
    app.add_exception_handler(DmarcworksError, _known_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _unexpected_error)


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, DmarcworksError)
    if isinstance(error, RestError):
        return _answer(error.status, str(error))
    simple = auth.refusal(error)
    kept = {name: simple.headers[name] for name in ("www-authenticate", "retry-after") if name in simple.headers}
    if simple.status_code >= 500:
        log.warning("request failed", path=request.url.path, error=str(error))
    inside = simple.status_code in (500, 503) and not isinstance(error, BusyError)
    text = "the store is unavailable; try again" if inside else str(error)
    return _answer(simple.status_code, text, kept)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [
        FieldError(
            where=".".join(map(str, entry["loc"]))[:200], message=str(entry["msg"]).removeprefix("Value error, ")[:500]
        )
        for entry in error.errors()[:20]
    ]
    return _answer(422, "the request is not as described; see errors", errors=fields)


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "there is no such address", 405: "this address does not answer that method"}
    return _answer(error.status_code, words.get(error.status_code, str(error.detail)), error.headers)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    return _answer(500, "internal error; the server's log has the details")


def _answer(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: Sequence[FieldError] = ()
) -> JSONResponse:
    # A text may contain what a stranger wrote: a lone surrogate is no UTF-8.
    plain = detail.encode("utf-8", "replace").decode()
    details = ProblemDetails(
        type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=plain, errors=list(errors)
    )
    content: dict[str, Any] = details.model_dump(mode="json", exclude_defaults=False)
    return JSONResponse(content, status, {**(headers or {}), "Cache-Control": "no-store"}, media_type=MEDIA)
