"""What the commands of one connection mean (RFC 5321, LMTP: RFC 2033): a line → a reply and what comes next.

No sockets and no time here. Recipients are checked at RCPT; a mail's outcome per recipient is the reply after DATA:
one for all in SMTP, one for each in LMTP. The reply is 250 only when the delivery returned 250.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

import structlog

from dmarcworks.routing.smtp import replies
from dmarcworks.routing.smtp.grammar import Path, parse_path
from dmarcworks.routing.smtp.wire import MailReader

log = structlog.get_logger("dmarcworks.smtp")

_HTTP = frozenset(("GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH"))


@dataclass(frozen=True, slots=True)
class SmtpBounds:
    """What the listeners allow; sizes in bytes, times in seconds. 0 means no limit where noted."""

    mail_bytes: int
    connections: int
    connections_per_address: int
    recipients: int
    idle_seconds: float
    line_bytes: int = 1_048_576
    transfer_seconds: float = 1800.0
    """For one whole mail, however steadily it comes."""
    transfer_bytes: int = 536_870_912
    """Of all mails that are on their way in, together."""
    errors: int = 100
    """Commands between two mails that were refused or lead to no mail."""
    connections_per_minute: int = 0
    """New ones per address; 0: no limit."""
    mails_per_minute: int = 0
    """Per address; 0: no limit."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end: address ("" on a Unix socket), name in EHLO, TLS ("TLSv1.3" or "") and its cipher, and
    the protocol as RFC 3848 names it (SMTP, ESMTP, ESMTPS, LMTP, LMTPS)."""

    address: str
    helo: str
    tls: str = ""
    cipher: str = ""
    protocol: str = "ESMTP"


Recipient = Callable[[str], Awaitable[str | None]]
"""Called at RCPT: None to accept, else the whole SMTP reply."""
Delivery = Callable[[str, str, bytes, Peer], Awaitable[str]]
"""Called after DATA with (sender, recipient, raw, peer): the whole SMTP reply."""


class Next(Enum):
    """What the connection does after a reply."""

    COMMAND = 1
    DATA = 2
    TLS = 3
    CLOSE = 4


@dataclass(slots=True)
class Session:
    """The state of one connection's conversation. Its owner sets the fields above `extended`."""

    hostname: str
    bounds: SmtpBounds
    recipient: Recipient
    deliver: Delivery
    allowed: Callable[[], bool]
    """Called at MAIL: may this address send another mail now?"""
    address: str = ""
    lmtp: bool = False
    tls_offered: bool = False
    tls: str = ""
    cipher: str = ""
    closing: bool = False
    extended: bool = False
    helo: str = ""
    sender: str | None = None
    recipients: list[str] = field(default_factory=list)
    errors: int = 0

    def begin(self) -> str:
        """The banner: a name and no version."""
        return f"220 {self.hostname} {'LMTP' if self.lmtp else 'ESMTP'}"

    def secured(self, version: str, cipher: str) -> None:
        """TLS is on: everything sent before is discarded (RFC 3207 §4.2)."""
        self.tls, self.cipher = version, cipher
        self.helo, self.extended = "", False
        self._reset()

    def _reset(self) -> None:
        self.sender = None
        self.recipients = []

    async def command(self, line: bytes | None) -> tuple[str, Next]:
        """The reply to a command line (None: it was too long) and what comes after it."""
        reply, then = replies.COMMAND_TOO_LONG, Next.COMMAND
        if line is not None:
            verb, _, rest = line.partition(b" ")
            word = verb.decode("latin-1").upper()
            if word in _HTTP:
                return replies.NOT_HTTP, Next.CLOSE
            reply, then = await self._meaning(word, rest.strip(b" \t").decode("utf-8", "surrogateescape"))
            if word in ("MAIL", "RCPT", "DATA", "QUIT", "STARTTLS") and reply[:1] in "23":
                return reply, then
            if reply[:2] in ("42", "45"):  # our trouble, or a bound that the sender may not know
                return reply, then
        self.errors += 1
        if self.errors > self.bounds.errors:
            log.warning("connection ended", peer=self.address, reply=replies.TOO_MANY_ERRORS)
            return replies.TOO_MANY_ERRORS, Next.CLOSE
        return reply, then

    async def _meaning(self, word: str, argument: str) -> tuple[str, Next]:
        match word:
            case "EHLO" | "HELO" | "LHLO":
                return self._hello(word, argument), Next.COMMAND
            case "MAIL":
                return self._mail(argument), Next.COMMAND
            case "RCPT":
                return await self._rcpt(argument), Next.COMMAND
            case "DATA":
                return self._data(argument)
            case "STARTTLS":
                return self._starttls(argument)
            case "QUIT":
                return replies.BYE, Next.CLOSE
            case "RSET":
                if argument:
                    return replies.NO_ARGUMENT, Next.COMMAND
                self._reset()
                return replies.OK, Next.COMMAND
            case "NOOP":
                return replies.OK, Next.COMMAND
            case "VRFY":  # addresses are not disclosed (RFC 5321 §7.3)
                return replies.NO_VRFY, Next.COMMAND
            case "EXPN":
                return replies.NO_EXPN, Next.COMMAND
            case "HELP":
                return replies.HELP, Next.COMMAND
            case "":
                return replies.BAD_SYNTAX, Next.COMMAND
        return replies.UNKNOWN, Next.COMMAND

    def _hello(self, word: str, argument: str) -> str:
        if (word == "LHLO") is not self.lmtp:
            return replies.WRONG_HELLO_LMTP if self.lmtp else replies.WRONG_HELLO_SMTP
        if not argument:
            return replies.NAME_YOURSELF
        self._reset()
        self.helo = argument
        self.extended = word != "HELO"
        if not self.extended:
            return f"250 {self.hostname}"
        lines = [self.hostname, f"SIZE {self.bounds.mail_bytes}", "8BITMIME", "SMTPUTF8", "PIPELINING"]
        if self.tls_offered and not self.tls:
            lines.append("STARTTLS")
        lines += ["ENHANCEDSTATUSCODES", "HELP"]
        return "\r\n".join([f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"])

    def _mail(self, argument: str) -> str:
        if not self.helo:
            return replies.LHLO_FIRST if self.lmtp else replies.HELLO_FIRST
        if self.closing:
            return replies.CLOSING
        path = parse_path(argument, "FROM:")
        if isinstance(path, str):
            return replies.BAD_SENDER
        if path is None:
            return replies.MAIL_SYNTAX
        if self.sender is not None:
            return replies.NESTED_MAIL
        if (refusal := self._parameters(path)) is not None:
            return refusal
        if not self.allowed():
            return replies.TOO_MANY_MAILS
        self.sender = _text(path.address)
        return replies.SENDER_OK

    def _parameters(self, path: Path) -> str | None:
        for name, value in path.parameters.items():
            if name == "SIZE":
                if value is None or not (value.isascii() and value.isdigit()):
                    return replies.SIZE_VALUE
                # RFC 1870 allows twenty digits; a longer number is too large, whatever its value.
                if len(value) > 20 or int(value) > self.bounds.mail_bytes:
                    return replies.too_large(self.bounds.mail_bytes)
            elif name == "BODY":
                if (value or "").upper() not in ("7BIT", "8BITMIME"):
                    return replies.BODY_VALUE
            elif name != "SMTPUTF8" or value is not None:
                return replies.MAIL_PARAMETER
        return None

    async def _rcpt(self, argument: str) -> str:
        if self.sender is None:
            return replies.MAIL_FIRST
        path = parse_path(argument, "TO:")
        if isinstance(path, str) or (path is not None and not path.address):
            return replies.BAD_RECIPIENT
        if path is None:
            return replies.RCPT_SYNTAX
        if path.parameters:
            return replies.RCPT_PARAMETER
        again = path.address in self.recipients
        if again and not self.lmtp:
            return replies.RECIPIENT_OK  # named twice it gets the mail once; in LMTP each RCPT has a reply of its own
        if len(self.recipients) >= self.bounds.recipients:
            return replies.too_many_recipients(self.bounds.recipients)
        if not again:
            try:
                refusal = await self.recipient(path.address)
            # Whatever went wrong inside is a temporary failure for the sender, and a line in our log.
            except Exception as error:
                log.error("smtp failure", error=repr(error))
                return replies.STORE_UNAVAILABLE
            if refusal is not None:
                log.info("recipient refused", recipient=_text(path.address), peer=self.address, reply=refusal)
                return refusal
        self.recipients.append(path.address)
        return replies.RECIPIENT_OK

    def _data(self, argument: str) -> tuple[str, Next]:
        if self.sender is None or not self.recipients:
            return (replies.MAIL_FIRST if self.sender is None else replies.RCPT_FIRST), Next.COMMAND
        if argument:
            return replies.NO_ARGUMENT, Next.COMMAND
        return replies.GO_AHEAD, Next.DATA

    def _starttls(self, argument: str) -> tuple[str, Next]:
        if self.tls or not self.tls_offered:
            return (replies.TLS_ALREADY if self.tls else replies.UNKNOWN), Next.COMMAND
        if argument:
            return replies.NO_ARGUMENT, Next.COMMAND
        return replies.TLS_READY, Next.TLS

    async def mail(self, reader: MailReader) -> list[str]:
        """The replies after a mail's end: one, or in LMTP one for each recipient that was accepted."""
        recipients, sender = self.recipients, self.sender or ""
        self._reset()
        refusal = self._refusal(reader)
        if refusal is not None:
            return [refusal] * (len(recipients) if self.lmtp else 1)
        self.errors = 0
        peer = Peer(self.address, _text(self.helo), self.tls, self.cipher, self._protocol())
        replies: dict[str, str] = {}
        for recipient in recipients:
            if recipient not in replies:
                replies[recipient] = await self._deliver(sender, recipient, reader.raw, peer)
        if self.lmtp:
            return [replies[recipient] for recipient in recipients]
        # One reply for all recipients: if one could not be kept the sender tries all again, and the others are found
        # to be duplicates then.
        refusals = [reply for reply in replies.values() if not reply.startswith("2")]
        temporary = [reply for reply in refusals if reply.startswith("4")]
        return [(temporary or refusals or list(replies.values()))[0]]

    def _refusal(self, reader: MailReader) -> str | None:
        if reader.too_large:
            return replies.too_large(self.bounds.mail_bytes)
        if reader.too_long:
            return replies.line_too_long(self.bounds.line_bytes)
        return replies.NO_MEMORY if reader.discarding else None

    async def _deliver(self, sender: str, recipient: str, raw: bytes, peer: Peer) -> str:
        try:
            return await self.deliver(sender, recipient, raw, peer)
        # As at RCPT: never a success, never a traceback for the sender.
        except Exception as error:
            log.error("smtp failure", error=repr(error))
            return replies.STORE_UNAVAILABLE

    def _protocol(self) -> str:
        name = "LMTP" if self.lmtp else "ESMTP" if self.extended else "SMTP"
        return f"{name}S" if self.tls else name


def _text(envelope: str) -> str:
    """Bytes that are no UTF-8 arrive as lone surrogates, which no store can hold."""
    return envelope.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
