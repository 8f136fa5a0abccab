"""The outside world on loopback: a mail server that takes what leaves, and a name server with the records of a test."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from aiosmtpd.controller import Controller


@dataclass
class Sink:
    """A mail server: what it took as (sender, recipient, raw), and what it says instead of 250."""

    taken: list[tuple[str, str, bytes]] = field(default_factory=list)
    rcpt_reply: str = ""
    data_reply: str = ""
    port: int = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.rcpt_reply:
            return self.rcpt_reply
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_reply:
            return self.data_reply
        for recipient in envelope.rcpt_tos:
            self.taken.append(((envelope.mail_from or "").strip("<>"), recipient, bytes(envelope.original_content)))
        return "250 2.0.0 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def listening(sink: Sink) -> Iterator[Sink]:
    """The mail server while it is there; on its old port when it had one."""
    sink.port = sink.port or free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@dataclass
class Names:
    """Records by (name, type), the names for which the server says that it failed, and zones (with all names below) of
    which it says so, or nothing, or the truth too late."""

    records: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    slow_seconds: float = 4.0
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0

    def add(self, records: Mapping[tuple[str, str], Sequence[str] | str]) -> None:
        for (name, kind), values in records.items():
            self.records[name.lower(), kind] = [values] if isinstance(values, str) else values

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.port}"

    def delay(self, query: bytes) -> float | None:
        """Seconds before the answer; None for no answer at all."""
        name = dns.message.from_wire(query).question[0].name.to_text(True).lower()
        return None if _below(name, self.silent) else self.slow_seconds if _below(name, self.slow) else 0.0

    def answer(self, query: bytes) -> bytes:
        question = dns.message.from_wire(query)
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.AA | dns.flags.RA
        name = question.question[0].name
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        plain = name.to_text(True).lower()
        self.asked.append((plain, kind))
        if plain in self.failing or _below(plain, self.broken):
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif values := self.records.get((plain, kind)):
            reply.answer.append(
                dns.rrset.from_text(name, 60, "IN", kind, *map(_quoted if kind == "TXT" else str, values))
            )
        elif not any(known == plain for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire(max_size=65_000)


def _below(name: str, zones: set[str]) -> bool:
    return any(name == zone or name.endswith("." + zone) for zone in zones) or "" in zones


def _quoted(text: str) -> str:
    """A TXT value in strings of at most 255 bytes."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


@contextmanager
def answering(names: Names) -> Iterator[Names]:
    """The name server while it is there (UDP; answers are small)."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.settimeout(0.1)
    names.port = server.getsockname()[1]
    ending = threading.Event()

    def send(reply: bytes, peer: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # closed since
            server.sendto(reply, peer)

    def serve() -> None:
        while not ending.is_set():
            try:
                query, peer = server.recvfrom(4096)
            except TimeoutError:
                continue
            delay, reply = names.delay(query), names.answer(query)
            if delay:
                later = threading.Timer(delay, send, (reply, peer))
                later.daemon = True
                later.start()
            elif delay is not None:
                send(reply, peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield names
    finally:
        ending.set()
        thread.join(2)
        server.close()
