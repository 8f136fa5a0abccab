"""The real SMTP server on a free port, and a client that says exactly the bytes it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from dmarcworks.routing.smtp import Peer, SmtpBounds, SmtpServer

RUA = "0123456789abcdef0123456789abcdef@reports.example.net"
BOUNDS = SmtpBounds(
    mail_bytes=26_214_400, connections=1000, connections_per_address=10, recipients=100, idle_seconds=60
)


@dataclass
class SmtpBackend:
    """What stands behind the door: addresses that exist, mails that were taken, and what is said to each."""

    addresses: set[str] = field(default_factory=lambda: {RUA})
    accepted: list[tuple[str, str, bytes, Peer]] = field(default_factory=list)
    reply: str = "250 2.0.0 Accepted"
    gate: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def recipient(self, address: str) -> str | None:
        return None if address in self.addresses else "550 5.1.1 No such recipient here"

    async def deliver(self, sender: str, to: str, raw: bytes, peer: Peer) -> str:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.reply.startswith("2"):
            self.accepted.append((sender, to, raw, peer))
        return self.reply


class Client:
    """A bare SMTP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes | str) -> None:
        self.writer.write(data.encode() if isinstance(data, str) else data)
        await self.writer.drain()

    async def reply(self) -> str:
        """One reply, its lines joined by newlines; "" at the end of the connection."""
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            if not line:
                return "\n".join(lines)
            lines.append(line.removesuffix("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, line: str) -> str:
        await self.send(line + "\r\n")
        return await self.reply()

    async def up_to_data(self, to: str = RUA, sender: str = "reporter@mail.example") -> None:
        """EHLO, MAIL, RCPT, DATA; all must be taken."""
        assert (await self.say("EHLO mail.example")).startswith("250")
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250")
        assert (await self.say(f"RCPT TO:<{to}>")).startswith("250")
        assert (await self.say("DATA")).startswith("354")

    async def closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 10) == b""


Start = Callable[..., Awaitable[SmtpServer]]
Connect = Callable[[SmtpServer], Awaitable[Client]]
