"""`POST /cdn-cgi/handler/email?from=…&to=…[&format=json]`: a raw mail in by HTTP, on the same way as by SMTP.

For programs on this machine, and for tokens with the scope write from elsewhere: these only to addresses of their own
account and domains (403), since the answer shows what became of the mail; the operator's account to all addresses.
Refused with 400: no from, to, body or Message-ID, a mail over the size bound, and what a worker or a rule rejects (with
the reason). It is real: what a worker forwards does leave. Shapes and texts are the original's (PLATFORM §1.2).
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from dmarcworks.api import auth
from dmarcworks.api.client import is_local
from dmarcworks.catalogue.accounts import Accounts, Token
from dmarcworks.errors import DeniedError

_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*\S", re.IGNORECASE | re.MULTILINE)
_HEAD = 1 << 20


class Injected(Protocol):
    """What became of the mail: the whole SMTP reply, the reason when it is none of 250, and what left."""

    @property
    def reply(self) -> str:
        """The whole SMTP reply."""

    @property
    def error(self) -> str:
        """Why not, "" for 250."""

    @property
    def sent(self) -> Sequence[Any]:
        """What left, as `workers.message.Sent`."""


Inject = Callable[[str, str, bytes, str], Awaitable[Injected]]
"""Called with sender, recipient, raw mail and the peer's address."""


Owns = Callable[[Token, str], Awaitable[bool]]
"""Whether a token may put in a mail to an address."""


Address = Callable[[str], str | None]
"""An envelope address by SMTP's grammar, "" for <>; None for what is none."""


def router(inject: Inject, accounts: Accounts, owns: Owns, mail_bytes: int, address: Address) -> APIRouter:
    """The route; `mail_bytes` is the largest mail."""
    routes = APIRouter()

    @routes.post("/cdn-cgi/handler/email", include_in_schema=False)
    async def email(request: Request) -> Response:
        token = None if _local(request) else await auth.token(request, accounts, "write")
        sender, to = request.query_params.get("from", ""), request.query_params.get("to", "")
        if not sender or not to:
            return _wrong("Missing required parameters: from and to")
        envelope_from, envelope_to = address(sender), address(to)
        if envelope_from is None:
            return _wrong("Invalid parameter from: write an address like name@example.com, or <> for the null sender")
        if not envelope_to:
            return _wrong("Invalid parameter to: write an address like name@example.com")
        if token is not None and not await owns(token, envelope_to):
            raise DeniedError("not authorized for that address: it is of no domain within the token's reach")
        raw = bytearray()
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > mail_bytes:
                return _wrong(f"Email message size is bigger than the production size limit of {mail_bytes} bytes")
        mail = re.sub(rb"\r?\n", b"\r\n", bytes(raw))
        if not mail:
            return _wrong("Missing body")
        if not _MESSAGE_ID.search(mail[:_HEAD].partition(b"\r\n\r\n")[0]):
            return _wrong("could not parse email: no Message-ID header")
        done = await inject(envelope_from, envelope_to, mail, auth.address(request))
        if request.query_params.get("format") == "json":
            return _told(done)
        if done.reply.startswith("2"):
            return PlainTextResponse("Worker successfully processed email")
        if done.reply.startswith("5"):
            return _wrong(f"Worker rejected email with the following reason: {_reason(done)}")
        return PlainTextResponse(f"Worker failed: {done.error or done.reply}", 500)

    return routes


def _told(done: Injected) -> JSONResponse:
    """Everything that became of it, in the original's JSON."""
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


def _reason(done: Injected) -> str:
    return done.error or done.reply


def _wrong(text: str) -> PlainTextResponse:
    return PlainTextResponse(text, 400)


def _local(request: Request) -> bool:
    """Whether a program on this machine asks, and no web page in a browser on it."""
    browser = "origin" in request.headers or "sec-fetch-site" in request.headers
    return not browser and is_local(request)
