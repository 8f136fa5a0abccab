"""Responses with an ETag: a model as JSON, 304 when the client has it already, 412 for a write on an older state.

The tag is strong: the hash of the very bytes (RFC 9110 §8.8.3). If-None-Match compares weakly, If-Match strongly.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from fastapi import Request, Response
from pydantic import BaseModel

from dmarcworks.api.rest.errors import RestError

__all__ = ["SecretResponse", "answer", "etag", "require_match", "secret"]

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_JSON = "application/json"


class SecretResponse(Response):
    """An answer that holds a secret: `kept` is what an idempotency record may hold of it."""

    kept: bytes = b""


def etag(model: BaseModel) -> str:
    """The tag of a model's JSON."""
    return _tag(_bytes(model))


def answer(request: Request, model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The model as JSON; 304 when the request names its tag."""
    body = _bytes(model)
    tag = _tag(body)
    out = {"ETag": tag, "Cache-Control": "private, no-cache", **(headers or {})}
    wanted = request.headers.get("if-none-match")
    if request.method == "GET" and wanted is not None and (wanted.strip() == "*" or tag[1:-1] in _opaque(wanted)):
        return Response(status_code=304, headers=out)
    return Response(body, status, out, media_type=_JSON)


def secret(model: BaseModel, kept: BaseModel, headers: Mapping[str, str]) -> Response:
    """201 with a secret that is returned once; the record of it holds `kept` instead."""
    response = SecretResponse(_bytes(model), 201, {"Cache-Control": "no-store", **headers}, media_type=_JSON)
    response.kept = _bytes(kept)
    return response


def require_match(request: Request, model: BaseModel) -> None:
    """`RestError` 412 when If-Match does not name the current state."""
    wanted = request.headers.get("if-match")
    if wanted is None or wanted.strip() == "*":
        return
    strong = {match[2] for match in _TAG.finditer(wanted) if match[1] is None}
    if etag(model)[1:-1] not in strong:
        raise RestError(412, "it has changed since you read it; fetch it and try again")


def _bytes(model: BaseModel) -> bytes:
    return model.model_dump_json().encode()


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _opaque(text: str) -> set[str]:
    return {match[2] for match in _TAG.finditer(text)}
