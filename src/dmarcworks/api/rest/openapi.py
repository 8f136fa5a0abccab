"""The application at /api/v1 and its OpenAPI document, with every error, header and media type that it answers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dmarcworks import __version__
from dmarcworks.api.deps import Deps
from dmarcworks.api.limits import Limits
from dmarcworks.api.rest import (
    accounts,
    activity,
    audit_log,
    change_plan,
    check,
    claims,
    domain_setup,
    domains,
    errors,
    evidence,
    exports,
    figures,
    history,
    mailboxes,
    people,
    policy,
    problems,
    reports,
    senders,
    sql_log,
    uploads,
    worker_queues,
)

__all__ = ["PREFIX", "api"]

PREFIX = "/api/v1"
_MODULES = (
    accounts,
    domains,
    domain_setup,
    claims,
    check,
    history,
    figures,
    senders,
    policy,
    change_plan,
    evidence,
    people,
    reports,
    uploads,
    problems,
    exports,
    activity,
    audit_log,
    sql_log,
    worker_queues,
    mailboxes,
)
_ABOUT = """\
Domains, reports, problems and figures of one account, for programs.

Send a token as `Authorization: Bearer <token>`. Lists come in pages: send `next` as `cursor`. Errors are
`application/problem+json`. What belongs to another account, or to a domain that the token is not for, is 404.
Responses have an `ETag`; `If-None-Match` saves downloading it again, `If-Match` saves a write from undoing another's.
A write with an `Idempotency-Key` is done once, however often it is sent within 24 hours."""
_TAGS = {
    "accounts": "The token's own account.",
    "domains": "Policy domains, their rua addresses and the DNS records to publish.",
    "figures": "Totals of a domain by day, source and reporter.",
    "senders": "Who sends as a domain, what the owner decided about it, and the names of an account's own systems.",
    "policy": "The next step of a domain's policy, and the replay of any policy over stored rows.",
    "evidence": "Documents about domains over a period, for auditors.",
    "users": "Who may log in.",
    "tokens": "API tokens.",
    "reports": "Reports received, with their records and raw files.",
    "uploads": "Uploads of reports and their outcome.",
    "problems": "Mail that could not be parsed or counted.",
    "exports": "All rows as CSV, JSON lines or Parquet.",
    "activity": "The outcome of each mail received.",
    "audit": "Who changed what.",
    "sql": "The log of SQL statements.",
    "mailboxes": "Mailboxes that reports are fetched from.",
    "worker queues": "Queues of workers and dead-lettered messages.",
}
_ALWAYS = {
    400: "The request is invalid, or has an unknown parameter",
    401: "No token, or none that is known",
    403: "The token's scope or reach is too small",
    422: "The request is not as described",
    429: "Too many requests, or too many unknown tokens; see Retry-After",
    503: "A store is unavailable; see Retry-After",
}
_WRITES = {
    409: "It cannot be done now",
    412: "If-Match names another state",
    413: "The body is too large",
}
_WORDS = {
    404: "There is no such thing, or it is not yours",
    501: "What this needs is not installed; see detail",
    **_ALWAYS,
    **_WRITES,
}


def api(deps: Deps, limits: Limits | None = None) -> FastAPI:
    """The application to mount at `PREFIX`."""
    app = FastAPI(
        title="dmarcworks",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json",
    )
    app.state.deps = deps
    app.state.limits = limits
    app.include_router(uploads.posting)
    for module in _MODULES:
        app.include_router(module.routes)
    errors.install(app)

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": PREFIX}],
        contact={"name": "The operator of this server"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    schema["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    schemas = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    error_schema = errors.ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(error_schema.pop("$defs", {}))
    schemas["ProblemDetails"] = error_schema
    for path in schema["paths"].values():
        for method, operation in path.items():
            _complete(method, operation)
    return schema


def _complete(method: str, operation: dict[str, Any]) -> None:
    responses: dict[str, Any] = operation["responses"]
    wanted = {int(code) for code in responses if code.isdigit() and int(code) >= 400} | set(_ALWAYS)
    parameters: list[dict[str, Any]] = operation.setdefault("parameters", [])
    if method == "get":
        parameters.append(_header("If-None-Match", "The ETag of what you have; 304 when it is the same."))
        responses["304"] = {"description": "What you have is still so"}
    else:
        wanted |= set(_WRITES)
        parameters.append(_header("Idempotency-Key", "1 to 255 characters; the write is done once in 24 hours."))
        if method in ("patch", "delete"):
            parameters.append(_header("If-Match", "The ETag of what you read; 412 when it has changed since."))
    for code in sorted(wanted):
        content = {errors.MEDIA: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
        responses[str(code)] = {"description": _WORDS[code], "content": content}
    operation["responses"] = dict(sorted(responses.items()))


def _header(name: str, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", "maxLength": 255},
    }
