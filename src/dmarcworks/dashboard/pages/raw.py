"""A stored file as a download: always an attachment of bytes, never something that a browser would show or run."""

from __future__ import annotations

import re

from starlette.responses import Response

from dmarcworks.bindings.contracts import Objects
from dmarcworks.errors import NotFoundError

_UNSAFE = re.compile(r"[^A-Za-z0-9._!@+=-]+")


def plain_name(name: str) -> str:
    """The last part of a stranger's file name in plain ASCII, without leading dots, at most 120 characters."""
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return _UNSAFE.sub("_", last).lstrip("._")[-120:] or "report"


async def download(objects: Objects, key: str, name: str) -> Response:
    """The bytes under the key; `NotFoundError` when the archive no longer has them."""
    body = await objects.get(key)
    if body is None:
        raise NotFoundError("The archive no longer contains this file; its figures are kept.")
    headers = {
        "Content-Disposition": f'attachment; filename="{plain_name(name)}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(body, headers=headers, media_type="application/octet-stream")
