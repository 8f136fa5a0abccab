"""The SMTP conversation (RFC 5321), bounded: connections, recipients, sizes, lines and silence.

In: connections. Out: one `Delivery` call per accepted recipient of a mail; its outcome is the reply after DATA. 250 is
said only when every recipient's delivery said so. Refused: unknown recipients (550 5.1.1), mails over the SIZE bound
(552 5.3.4), lines over their bound (500 5.5.2), anything while a store is away (451 4.3.0). Only CRLF.CRLF ends DATA.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

log = structlog.get_logger("dmarcworks.smtp")

STORE_AWAY = "451 4.3.0 Cannot keep the mail now, try again later"
TOO_MANY_CONNECTIONS = "421 4.7.0 Too many connections, try again later"
CLOSING = "421 4.3.2 Shutting down, try again later"

# aiosmtpd's own replies carry no enhanced status code (RFC 3463); the client's log is where people look.
_ENHANCED = {
    "552 Error: message size exceeds fixed maximum message size": "552 5.3.4 Message larger than {size} bytes",
    "552 Error: Too much mail data": "552 5.3.4 Message larger than {size} bytes",
    "500 Line too long (see RFC5321 4.5.3.1.6)": "500 5.5.2 Line longer than {line} bytes",
    "500 Command line too long": "500 5.5.2 Command line too long",
    "500 Error: bad syntax": "500 5.5.2 Bad syntax",
    "503 Error: nested MAIL command": "503 5.5.1 MAIL was given already",
    "503 Error: need MAIL command": "503 5.5.1 MAIL comes first",
    "503 Error: need RCPT command": "503 5.5.1 RCPT comes first",
    "503 Error: send HELO first": "503 5.5.1 HELO or EHLO comes first",
    "503 Error: send EHLO first": "503 5.5.1 HELO or EHLO comes first",
    "250 OK": "250 2.0.0 OK",
    "221 Bye": "221 2.0.0 Bye",
}


@dataclass(frozen=True, slots=True)
class SmtpBounds:
    """What one listener allows; sizes in bytes, times in seconds."""

    mail_bytes: int
    connections: int
    connections_per_address: int
    recipients: int
    idle_seconds: float
    line_bytes: int = 1_048_576


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: address and the name it gave in HELO."""

    address: str
    helo: str


Recipient = Callable[[str], Awaitable[str | None]]
"""Asked at RCPT: None to accept, else the whole SMTP reply."""
Delivery = Callable[[str, str, bytes, Peer], Awaitable[str]]
"""Called after DATA with (sender, recipient, raw, peer): the whole SMTP reply."""


class SmtpServer:
    """Listens, counts connections and ends them. `start`, then `stop`."""

    def __init__(
        self, *, host: str, port: int, hostname: str, bounds: SmtpBounds, recipient: Recipient, deliver: Delivery
    ) -> None:
        self._host = host
        self._port = port
        self.hostname = hostname
        self.bounds = bounds
        self.recipient = recipient
        self.deliver = deliver
        self.conversations: set[_Conversation] = set()
        self.per_address: Counter[str] = Counter()
        self.closing = False
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()

    def settled(self) -> None:
        """Asked whenever a conversation ends: is nobody left while we close?"""
        if self.closing and not self.conversations:
            self._empty.set()

    @property
    def port(self) -> int:
        """The port that it listens on (the real one when 0 was asked for)."""
        if self._server is None or not self._server.sockets:
            return self._port
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen. `OSError` when the address cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Conversation(self, loop), host=self._host, port=self._port, family=socket.AF_UNSPEC, backlog=512
        )

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, let mails in transfer finish for `grace` seconds, say 421 to the rest."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        for conversation in list(self.conversations):
            if not conversation.busy:
                conversation.dismiss()
        self.settled()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), grace)
        for conversation in list(self.conversations):
            conversation.dismiss()


class _Handler:
    """aiosmtpd's hooks: what the commands mean here."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        last = responses.pop()
        return [*responses, "250-PIPELINING", "250-ENHANCEDSTATUSCODES", last]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._server.closing:
            return CLOSING
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= self._server.bounds.recipients:
            return f"452 4.5.3 More than {self._server.bounds.recipients} recipients"
        refusal = await self._server.recipient(address)
        if refusal is not None:
            log.info("recipient refused", recipient=address, peer=_address(session), reply=refusal)
            return refusal
        if address not in envelope.rcpt_tos:
            envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        sender = "" if envelope.mail_from in (None, "<>") else _text(str(envelope.mail_from))
        peer = Peer(_address(session), _text(str(session.host_name or "")))
        raw = envelope.original_content or b""
        assert isinstance(server, _Conversation)
        server.delivering = True
        try:
            replies = [await self._server.deliver(sender, recipient, raw, peer) for recipient in envelope.rcpt_tos]
        finally:
            server.delivering = False
        # One reply for all recipients: if one could not be kept the sender tries all again, and the others are
        # found to be duplicates then.
        refusals = [reply for reply in replies if not reply.startswith("2")]
        temporary = [reply for reply in refusals if reply.startswith("4")]
        return (temporary or refusals or replies)[0]

    async def handle_exception(self, error: Exception) -> str:
        log.error("smtp failure", error=repr(error))
        return STORE_AWAY


class _Conversation(SMTP):
    """One connection: the library's parser inside our bounds."""

    def __init__(self, server: SmtpServer, loop: asyncio.AbstractEventLoop) -> None:
        # Read by the library's constructor. Commands have a bound of their own, 512 bytes and what extensions add.
        self.line_length_limit = server.bounds.line_bytes + 1
        super().__init__(
            _Handler(server),
            data_size_limit=server.bounds.mail_bytes,
            enable_SMTPUTF8=True,
            hostname=server.hostname,
            ident="ESMTP",
            timeout=server.bounds.idle_seconds,
            loop=loop,
        )
        self._of = server
        self._peer = ""
        self._counted = False
        self._heard = loop.time()
        self.busy = False
        self.delivering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peername = transport.get_extra_info("peername")
        self._peer = str(peername[0]) if peername else "local"
        bounds = self._of.bounds
        over = (
            len(self._of.conversations) >= bounds.connections
            or self._of.per_address[self._peer] >= bounds.connections_per_address
        )
        if over or self._of.closing:
            assert isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "write")
            transport.write(((TOO_MANY_CONNECTIONS if over else CLOSING) + "\r\n").encode())
            transport.close()
            log.warning("connection refused", peer=self._peer)
            return
        self._counted = True
        self._of.conversations.add(self)
        self._of.per_address[self._peer] += 1
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._counted:
            return
        self._counted = False
        self._of.conversations.discard(self)
        self._of.per_address[self._peer] -= 1
        if not self._of.per_address[self._peer]:
            del self._of.per_address[self._peer]
        self._of.settled()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if not self._counted:
            return
        self._heard = self.loop.time()
        super().data_received(data)

    def eof_received(self) -> bool | None:
        return super().eof_received() if self._counted else False

    def _timeout_cb(self) -> None:
        """Silence ends a connection; a slow but steady transfer does not, nor does our own work on a mail."""
        rest = self._timeout_duration - (self.loop.time() - self._heard)
        if rest > 0.05 or self.delivering:
            self._reset_timeout(max(rest, 1.0))
            return
        if self.transport is not None:
            self._say("421 4.4.2 Idle for too long")
        super()._timeout_cb()  # type: ignore[no-untyped-call]  # the library leaves it bare

    def dismiss(self) -> None:
        """End the conversation: the other side keeps the mail and tries again."""
        if self.transport is not None:
            self._say(CLOSING)
            self.transport.close()

    def _say(self, reply: str) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._writer.write((reply + "\r\n").encode())

    async def push(self, status: Any) -> None:
        text = status.decode("utf-8", "replace") if isinstance(status, bytes) else str(status)
        text = (
            _ENHANCED.get(text, text).format(size=self.data_size_limit, line=self._of.bounds.line_bytes)
            if text in _ENHANCED
            else text
        )
        await super().push(text)

    async def smtp_DATA(self, arg: str) -> None:
        self.busy = True
        try:
            await super().smtp_DATA(arg)
        finally:
            self.busy = False
            self._heard = self.loop.time()
            if self._of.closing:
                self.dismiss()

    async def smtp_VRFY(self, arg: str) -> None:
        # Who has an address here is nobody's business (RFC 5321 §7.3).
        await self.push("252 2.1.5 Cannot verify, send some mail")

    async def smtp_HELP(self, arg: str) -> None:
        await self.push("214 2.0.0 This host takes DMARC and TLS reports")


def _text(envelope: str) -> str:
    """Bytes that are no UTF-8 arrive as lone surrogates, which no store can hold."""
    return envelope.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _address(session: Session) -> str:
    return str(session.peer[0]) if isinstance(session.peer, tuple) else str(session.peer or "")
