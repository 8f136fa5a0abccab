"""A stored file as a download: always an attachment of bytes, never something that a browser would show or run."""

from __future__ import annotations

import hashlib
import re

from fastapi import Request, Response

from dmarcworks.bindings.contracts import Objects
from dmarcworks.errors import NotFoundError

__all__ = ["HEADERS", "download", "plain_name"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._!@+=-]+")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-cache",
}


def plain_name(name: str) -> str:
    """The last part of a stranger's file name in plain ASCII, without leading dots, at most 120 characters."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return _UNSAFE.sub("_", last).lstrip("._")[-120:] or "report"


async def download(request: Request, objects: Objects, key: str, name: str) -> Response:
    """The bytes under the key, or 304; `NotFoundError` when the archive no longer has them."""
    body = await objects.get(key)
    if body is None:
        raise NotFoundError("the archive no longer has this file; its figures stay")
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**HEADERS, "ETag": tag, "Content-Disposition": f'attachment; filename="{plain_name(name)}"'}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/octet-stream")
