"""Compressed pages: gzip where the client accepts it (RFC 9110 §12.5.3).

A page contains text that its visitor's address chose, so its length must not reveal a secret on the same page: the one
secret there, the token of forms, is different in every response (`form_token`).
"""

from __future__ import annotations

from isal import igzip
from starlette.requests import Request
from starlette.responses import Response

__all__ = ["accepts_gzip", "compressed"]

# Below this the header that compression adds is as long as what it saves.
LEAST_BYTES = 600
_TYPES = ("text/html", "text/css", "text/javascript", "image/svg+xml", "application/json")


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip: named or by `*`, and not with the weight 0."""
    weights: dict[str, bool] = {}
    for item in header.split(",")[:100]:
        coding, _, parameters = item.partition(";")
        weights[coding.strip().lower()] = _weight(parameters) > 0
    for name in ("gzip", "x-gzip", "*"):
        if name in weights:
            return weights[name]
    return False


def _weight(parameters: str) -> float:
    name, _, value = parameters.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def compressed(request: Request, response: Response) -> Response:
    """The response, its body compressed if it is text, long enough, and the client accepts it."""
    body = getattr(response, "body", b"")  # a stream has none
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if len(body) < LEAST_BYTES or media_type not in _TYPES or "content-encoding" in response.headers:
        return response
    response.headers.add_vary_header("Accept-Encoding")
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        response.body = igzip.compress(bytes(body), 2, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response
