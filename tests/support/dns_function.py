"""A DNS server on loopback whose answers come from a function: for many domains, and for records that change."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

__all__ = ["SERVFAIL", "Answer", "answering"]

SERVFAIL = "SERVFAIL"
# The values of a name and type; None when there is no such name, `SERVFAIL` for no answer.
Answer = Callable[[str, str], Sequence[str] | str | None]


@contextmanager
def answering(answer: Answer) -> Iterator[int]:
    """The port of the server; one query after the other, in a thread of its own."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
            response.flags |= dns.flags.AA | dns.flags.RA
            question = query.question[0]
            kind = dns.rdatatype.to_text(question.rdtype)
            values = answer(question.name.to_text(omit_final_dot=True).lower(), kind)
            if values == SERVFAIL:
                response.set_rcode(dns.rcode.SERVFAIL)
            elif values is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
            elif values:
                response.answer.append(dns.rrset.from_text_list(question.name, 0, "IN", kind, list(values)))
            socket.sendto(response.to_wire(max_size=65_000), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
