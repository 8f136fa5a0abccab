"""The responses that a connection ends with: whole, as bytes, for a client whose request no application sees."""

from __future__ import annotations

import http

__all__ = ["closing_response"]

_TEXTS = {
    400: "this is no HTTP request",
    408: "the request did not arrive in time; send it again",
    431: "the request line and headers are too long",
    503: "the server has as many connections as it may; try again",
}


def closing_response(status: int, retry_after: int = 0) -> bytes:
    """A whole response after which the connection ends."""
    text = f"{_TEXTS[status]}\n".encode()
    retry = f"retry-after: {retry_after}\r\n" if retry_after else ""
    head = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(text)}\r\n{retry}connection: close\r\n\r\n"
    )
    return head.encode() + text
