"""`POST /cdn-cgi/handler/email?from=…&to=…[&format=json]`: a raw mail over HTTP, processed exactly like SMTP mail.

For programs on this machine, and for tokens with the scope write from elsewhere: these only to addresses of their own
account and domains (403), since the answer shows what became of the mail; the operator's account to all addresses.
Refused with 400: no from, to, body or Message-ID, a mail over the size bound, and what a worker or a rule rejects (with
the reason). Forwards of a worker are really sent. Shapes and texts are those of the original.
"""

from __future__ import annotations

import re
import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from dmarcworks.api import auth
from dmarcworks.api.client import is_local
from dmarcworks.api.compat.injection import InjectionResult
from dmarcworks.api.deps import Dependencies
from dmarcworks.catalogue.accounts import Token
from dmarcworks.errors import DeniedError

_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*\S", re.IGNORECASE | re.MULTILINE)
_HEAD = 1 << 20


async def _write_token(request: Request, deps: Dependencies) -> Token | None:
    """The token of a program elsewhere; None for a program on this machine, which needs none."""
    return None if _local(request) else await auth.token(request, deps.accounts, "write")


routes = APIRouter(include_in_schema=False)


@routes.post("/cdn-cgi/handler/email")
async def email(
    request: Request, token: Annotated[Token | None, Depends(_write_token)], deps: Dependencies
) -> Response:
    """Route a mail as if it had come by SMTP."""
    injection = deps.injection
    assert injection is not None, "this route is only for a process with a mail router"
    sender, to = request.query_params.get("from", ""), request.query_params.get("to", "")
    if not sender or not to:
        return _wrong("Missing required parameters: from and to")
    envelope_from, envelope_to = injection.parse_address(sender), injection.parse_address(to)
    if envelope_from is None:
        return _wrong("Invalid parameter from: write an address like name@example.com, or <> for the null sender")
    if not envelope_to:
        return _wrong("Invalid parameter to: write an address like name@example.com")
    if token is not None and not await injection.owns(token, envelope_to):
        raise DeniedError("not authorised for that address: it is of no domain within the token's reach")
    mail = await _mail(request, deps.mail_bytes)
    if isinstance(mail, Response):
        return mail
    done = await injection.inject(envelope_from, envelope_to, mail, auth.address(request))
    return _as_json(done) if request.query_params.get("format") == "json" else _as_text(done)


async def _mail(request: Request, most: int) -> bytes | Response:
    """The body as a mail with CRLF line ends, or the response that refuses it."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most:
            return _wrong(f"Email message size is bigger than the production size limit of {most} bytes")
    mail = re.sub(rb"\r?\n", b"\r\n", bytes(raw))
    if not mail:
        return _wrong("Missing body")
    if not _MESSAGE_ID.search(mail[:_HEAD].partition(b"\r\n\r\n")[0]):
        return _wrong("could not parse email: no Message-ID header")
    return mail


def _as_text(done: InjectionResult) -> Response:
    """The outcome as the original's text."""
    if done.reply.startswith("2"):
        return PlainTextResponse("Worker successfully processed email")
    if done.reply.startswith("5"):
        return _wrong(f"Worker rejected email with the following reason: {_reason(done)}")
    return PlainTextResponse(f"Worker failed: {done.error or done.reply}", 500)


def _as_json(done: InjectionResult) -> JSONResponse:
    """The outcome in detail, in the original's JSON."""
    now = int(time.time() * 1000)
    rejected = done.reply.startswith("5")
    failed = done.reply.startswith("4")
    forwards = [one for one in done.sent if one.kind == "forward"]
    replies = [one for one in done.sent if one.kind == "reply"]
    events: list[dict[str, Any]] = [
        {"type": one.kind, "timestamp": now, "messageId": one.message_id} for one in done.sent
    ]
    if rejected:
        events.append({"type": "reject", "timestamp": now})
    body = {
        "outcome": "exception" if failed else "ok",
        "rejectReason": _reason(done) if rejected else None,
        "forwards": [
            {"messageId": one.message_id, "recipient": one.recipient, "headers": [list(pair) for pair in one.headers]}
            for one in forwards
        ],
        "replies": [
            {"messageId": one.message_id, "sender": one.sender, "raw": one.raw.decode("utf-8", "replace")}
            for one in replies
        ],
        "events": events,
    }
    return JSONResponse(body, 500 if failed else 200)


def _reason(done: InjectionResult) -> str:
    return done.error or done.reply


def _wrong(text: str) -> PlainTextResponse:
    return PlainTextResponse(text, 400)


def _local(request: Request) -> bool:
    """Whether the request is from a program on this machine, and not from a web page in a browser on it."""
    browser = "origin" in request.headers or "sec-fetch-site" in request.headers
    return not browser and is_local(request)
