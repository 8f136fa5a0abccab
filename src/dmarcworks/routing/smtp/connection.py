"""One connection: the conversation, its time and TLS. What commands mean is `session`'s job, how bytes flow `flow`'s.

Silence ends a connection, and in between commands only a whole command counts as a sign of life; a mail that keeps
coming may take its transfer time. Nothing here waits deliberately.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any, Protocol, cast

import structlog

from dmarcworks.routing.smtp import replies
from dmarcworks.routing.smtp.flow import HIGH_WATER, FlowControl, GoneError
from dmarcworks.routing.smtp.limits import SmtpLimits, plain_address
from dmarcworks.routing.smtp.listeners import Listener
from dmarcworks.routing.smtp.session import Delivery, Next, Recipient, Session, SmtpBounds
from dmarcworks.routing.smtp.tls import Certificate
from dmarcworks.routing.smtp.wire import CommandReader, MailReader

log = structlog.get_logger("dmarcworks.smtp")

HANDSHAKE_SECONDS = 30.0


class ConnectionOwner(Protocol):
    """What a connection needs of its server."""

    hostname: str
    bounds: SmtpBounds
    recipient: Recipient
    deliver: Delivery
    certificate: Certificate | None
    limits: SmtpLimits
    closing: bool
    transfer: int
    connections: set[SmtpConnection]

    def settled(self) -> None:
        """A connection has ended."""


class SmtpConnection(FlowControl):
    """A conversation with one client; `admitted` is its address when it was counted in already."""

    def __init__(self, owner: ConnectionOwner, listener: Listener, admitted: str | None = None) -> None:
        super().__init__()
        self._owner = owner
        self._listener = listener
        self._address = admitted
        self._session: Session | None = None
        self._commands = CommandReader()
        self._mail: MailReader | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._began = self._loop.time()
        self._held = 0
        self._eof = self._working = False
        self.busy = False

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._address is None:
            name: Any = transport.get_extra_info("peername")
            self._address = plain_address(str(name[0])) if isinstance(name, tuple) and name else ""
            refusal = replies.CLOSING if self._owner.closing else self._owner.limits.enter(self._address)
            if refusal is not None:
                self._transport.write(refusal.encode() + b"\r\n")
                self._transport.close()
                log.warning("connection refused", peer=self._address, reply=refusal)
                return
        self._owner.connections.add(self)
        owner, address = self._owner, self._address
        self._session = Session(
            hostname=owner.hostname,
            bounds=owner.bounds,
            recipient=lambda recipient: owner.recipient(recipient),
            deliver=lambda *mail: owner.deliver(*mail),
            allowed=lambda: owner.limits.mail(address),
            address=address,
            lmtp=self._listener.lmtp,
            tls_offered=owner.certificate is not None,
        )
        if self._listener.tls:
            self._secured(self._session)
        bounds = self._owner.bounds
        self._timer = self._loop.call_later(min(bounds.idle_seconds, bounds.transfer_seconds), self._tick)
        self._task = self._loop.create_task(self._run(self._session), name="smtp")

    def data_received(self, data: bytes) -> None:
        if self._session is None or self._gone:
            return
        mail = self._mail
        if mail is None:
            self._commands.buffer += data
            if self._reading and len(self._commands.buffer) > HIGH_WATER:
                self._read(False)
        else:
            self._heard = self._loop.time()
            self._feed(mail, data)
            if not mail.done:
                return
        self._wake()

    def eof_received(self) -> bool:
        self._eof = True
        self._wake()
        # What was sent before is still answered.
        return self._session is not None and not self._secure and not self._gone

    def connection_lost(self, error: Exception | None) -> None:
        self._gone = True
        self._wake()

    # The conversation.

    async def _run(self, session: Session) -> None:
        try:
            self._send_reply(session.begin())
            then = Next.COMMAND
            while then is not Next.CLOSE:
                line = await self._line()
                session.closing = self._owner.closing
                self._working = True
                reply, then = await session.command(line)
                self._working = False
                if then is Next.TLS and self._commands.buffer:
                    # Commands that arrived in clear text must not count as sent under TLS (CVE-2011-0411).
                    reply, then = replies.TLS_ALONE, Next.CLOSE
                self._send_reply(reply)
                self._polite = reply == replies.BYE
                if then is Next.DATA:
                    then = await self._take_mail(session)
                elif then is Next.TLS:
                    await self._flush()
                    await self._handshake(session)
                elif len(self._out) > HIGH_WATER:
                    await self._flush()
        except (GoneError, ConnectionError):
            pass
        except (ssl.SSLError, TimeoutError) as error:
            log.info("tls failed", peer=session.address, error=str(error) or type(error).__name__)
        # One connection's failure, whatever it is, ends this connection and nothing else.
        except Exception as error:
            log.exception("smtp failure", error=repr(error))
            self._send_reply(replies.STORE_UNAVAILABLE)
        finally:
            self._end()

    async def _line(self) -> bytes | None:
        while True:
            with contextlib.suppress(LookupError):
                line = self._commands.next()
                self._heard = self._loop.time()
                return line
            if self._eof:
                raise GoneError
            await self._flush()
            if not self._commands.has_line:
                self._read(True)
                await self._wait()

    async def _take_mail(self, session: Session) -> Next:
        bounds = self._owner.bounds
        mail = MailReader(mail_bytes=bounds.mail_bytes, line_bytes=bounds.line_bytes)
        self._heard = self._began = self._loop.time()
        self._mail, self.busy = mail, True
        early, self._commands.buffer = self._commands.buffer, bytearray()
        self._commands = CommandReader()
        self._feed(mail, early)
        await self._flush()
        while not mail.done:
            if self._eof:
                raise GoneError
            self._read(True)
            await self._wait()
        self._mail, self._working = None, True
        for reply in await session.mail(mail):
            self._send_reply(reply)
        self._working = self.busy = False
        self._charge(0)
        self._heard = self._loop.time()
        if self._owner.closing:
            self._send_reply(replies.CLOSING)
            return Next.CLOSE
        return Next.COMMAND

    def _feed(self, mail: MailReader, data: bytes | bytearray) -> None:
        if mail.done:
            self._commands.buffer += data
            return
        self._commands.buffer += mail.feed(data)
        self._charge(len(mail.raw) if mail.done else mail.held)
        if self._owner.transfer > self._owner.bounds.transfer_bytes and not mail.done and not mail.discarding:
            mail.discard()
            self._charge(mail.held)

    def _charge(self, held: int) -> None:
        self._owner.transfer += held - self._held
        self._held = held

    async def _handshake(self, session: Session) -> None:
        certificate, transport = self._owner.certificate, self._transport
        assert certificate is not None
        assert transport is not None
        self._working = self._secure = True
        secured = await self._loop.start_tls(
            transport, self, certificate.context, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
        self._working = False
        if secured is None or secured.is_closing():
            raise GoneError
        self._transport = secured
        self._heard = self._loop.time()
        self._secured(session)

    def _secured(self, session: Session) -> None:
        assert self._transport is not None
        self._secure = True
        connection = self._transport.get_extra_info("ssl_object")
        session.secured(str(connection.version()), str((connection.cipher() or ("",))[0]))

    # Time and the end.

    def _tick(self) -> None:
        bounds, now = self._owner.bounds, self._loop.time()
        rest = self._heard + bounds.idle_seconds - now
        if self._working:
            rest = bounds.idle_seconds  # the client waits for us, and rightly
        elif self._mail is not None and rest > 0:
            whole = self._began + bounds.transfer_seconds - now
            if whole <= 0:
                self.dismiss(replies.TOO_SLOW)
                return
            rest = min(rest, whole)
        if rest <= 0:
            self.dismiss(replies.IDLE)
            return
        self._timer = self._loop.call_later(min(max(rest, 0.01), bounds.transfer_seconds), self._tick)

    def dismiss(self, reply: str = replies.CLOSING) -> None:
        """End the conversation: the other side keeps the mail and tries again."""
        if self._gone:
            return
        log.info("connection dismissed", peer=self._address, reply=reply)
        self._send_reply(reply)
        self._write()
        self._close()
        self._gone = True
        self._wake()

    def _end(self) -> None:
        self._write()
        self._close()
        self._gone = True
        if self._timer is not None:
            self._timer.cancel()
        self._charge(0)
        if self in self._owner.connections:
            self._owner.connections.discard(self)
            self._owner.limits.leave(self._address or "")
            self._owner.settled()
