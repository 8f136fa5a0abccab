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
import dns.name
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
    which it says so, or nothing, or the truth too late, or that it does not serve them (lame).

    Aliases (CNAME records) come with what they lead to, as a resolver gives it; with `bare_aliases` alone, as a server
    of one zone gives them. With `truncates` an answer over 512 bytes is sent over TCP only.
    """

    records: dict[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    slow_seconds: float = 4.0
    asked: list[tuple[str, str]] = field(default_factory=list)
    lame: set[str] = field(default_factory=set)
    bare_aliases: bool = False
    truncates: bool = False
    ttl: int = 60
    # The time to live of what does not exist, in the zone's SOA; None: answers without one.
    negative_ttl: int | None = None
    # Queries that were received and not answered yet, and the most that there were at once.
    waiting: int = 0
    most_waiting: int = 0
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

    def answer(self, query: bytes, *, tcp: bool = False) -> bytes:
        question = dns.message.from_wire(query)
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.AA | dns.flags.RA
        name = question.question[0].name
        kind = dns.rdatatype.to_text(question.question[0].rdtype)
        plain = name.to_text(True).lower()
        self.asked.append((plain, kind))
        if plain in self.failing or _below(plain, self.broken):
            reply.set_rcode(dns.rcode.SERVFAIL)
        elif _below(plain, self.lame):
            reply.set_rcode(dns.rcode.REFUSED)
        else:
            self._fill(reply, name, kind)
        wire = reply.to_wire(max_size=65_000)
        if self.truncates and not tcp and len(wire) > 512:
            short = dns.message.make_response(question)
            short.flags |= dns.flags.AA | dns.flags.RA | dns.flags.TC
            return short.to_wire()
        return wire

    def _fill(self, reply: dns.message.Message, name: dns.name.Name, kind: str) -> None:
        for _ in range(20):
            alias = self.records.get((name.to_text(True).lower(), "CNAME"))
            if not alias or kind == "CNAME":
                break
            reply.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", f"{alias[0].rstrip('.')}."))
            if self.bare_aliases:
                return
            name = dns.name.from_text(alias[0])
        plain = name.to_text(True).lower()
        if values := self.records.get((plain, kind)):
            texts = map(_quoted if kind == "TXT" else str, values)
            reply.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, *texts))
            return
        if not any(known == plain for known, _ in self.records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if self.negative_ttl is not None:
            soa = f"ns.invalid. root.invalid. 1 2 3 4 {self.negative_ttl}"
            reply.authority.append(dns.rrset.from_text(dns.name.root, 86_400, "IN", "SOA", soa))


def _below(name: str, zones: set[str]) -> bool:
    return any(name == zone or name.endswith("." + zone) for zone in zones) or "" in zones


def _quoted(text: str) -> str:
    """A TXT value in strings of at most 255 bytes."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))


@contextmanager
def answering(names: Names) -> Iterator[Names]:
    """The name server while it is there, over UDP and TCP."""
    server, stream = _bound()
    names.port = server.getsockname()[1]
    ending = threading.Event()

    def send(reply: bytes, peer: tuple[str, int]) -> None:
        names.waiting -= 1
        with contextlib.suppress(OSError):  # closed since
            server.sendto(reply, peer)

    def serve() -> None:
        while not ending.is_set():
            try:
                query, peer = server.recvfrom(4096)
            except TimeoutError:
                continue
            delay, reply = names.delay(query), names.answer(query)
            names.waiting += 1
            names.most_waiting = max(names.most_waiting, names.waiting)
            if delay:
                later = threading.Timer(delay, send, (reply, peer))
                later.daemon = True
                later.start()
            elif delay is not None:
                send(reply, peer)

    def serve_streams() -> None:
        while not ending.is_set():
            try:
                connection, _ = stream.accept()
            except TimeoutError:
                continue
            with contextlib.suppress(OSError), connection, connection.makefile("rwb") as file:
                connection.settimeout(2)
                while size := file.read(2):
                    reply = names.answer(file.read(int.from_bytes(size, "big")), tcp=True)
                    file.write(len(reply).to_bytes(2, "big") + reply)
                    file.flush()

    threads = [threading.Thread(target=work, daemon=True) for work in (serve, serve_streams)]
    for thread in threads:
        thread.start()
    try:
        yield names
    finally:
        ending.set()
        for thread in threads:
            thread.join(3)
        server.close()
        stream.close()


def _bound() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on the same port of loopback."""
    while True:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            stream.bind(server.getsockname())
        except OSError:  # the TCP port of this number is taken
            server.close()
            stream.close()
            continue
        stream.listen(64)
        server.settimeout(0.1)
        stream.settimeout(0.1)
        return server, stream
