"""The two forms of a response: the original's with a null member, and `application/graphql-response+json` without."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from fastapi import Response

__all__ = ["MEDIA", "in_accepted_form"]

MEDIA = "application/graphql-response+json"
_NO_ERRORS = b',"errors":null}'
_REFUSED = re.compile(r"q=0(\.0{0,3})?")


def in_accepted_form(response: Response, accept: Iterable[str]) -> Response:
    """The response as it is, or in the standard's form when a client's `Accept` headers name its media type."""
    if not _names(accept):
        return response
    body = bytes(response.body)
    if body.endswith(_NO_ERRORS):
        body = body[: -len(_NO_ERRORS)] + b"}"
    else:
        # An error concerns the whole request: no `data`, and no `path` where the error has no place.
        errors = json.loads(body)["errors"]
        kept = [{name: value for name, value in error.items() if value is not None} for error in errors]
        body = json.dumps({"errors": kept}, ensure_ascii=False, separators=(",", ":")).encode()
    own = ("content-length", "content-type")
    headers = {name: value for name, value in response.headers.items() if name not in own}
    return Response(body, response.status_code, headers, f"{MEDIA}; charset=utf-8")


def _names(accept: Iterable[str]) -> bool:
    for entry in ",".join(accept).split(","):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media == MEDIA and not any(_REFUSED.fullmatch(part.replace(" ", "")) for part in parameters):
            return True
    return False
