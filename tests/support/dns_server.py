"""A DNS server on loopback that answers from a dictionary, for programs that look up DMARC, SPF and DKIM records."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

__all__ = ["Records", "dns_server"]

# The values of a name by type: {("example.com", "TXT"): ['"v=spf1 -all"']}. A CNAME is followed, `*` is a wildcard,
# and the type SERVFAIL makes every query of the name fail.
Records = Mapping[tuple[str, str], list[str]]
_ALIASES = 8


@contextmanager
def dns_server(records: Records, host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """The port at which the records are answered over UDP; any other name does not exist."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            socket.sendto(_answer(records, data), self.client_address)

    with socketserver.ThreadingUDPServer((host, port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _answer(records: Records, data: bytes) -> bytes:
    query = dns.message.from_wire(data)
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA | dns.flags.RA
    question = query.question[0]
    kind, owner = dns.rdatatype.to_text(question.rdtype), question.name
    for _ in range(_ALIASES):
        name = _known(records, owner.to_text(omit_final_dot=True).lower())
        if (name, "SERVFAIL") in records:
            response.set_rcode(dns.rcode.SERVFAIL)
            break
        if values := records.get((name, kind)):
            response.answer.append(dns.rrset.from_text_list(owner, 60, "IN", kind, values))
        elif alias := records.get((name, "CNAME")):
            response.answer.append(dns.rrset.from_text_list(owner, 60, "IN", "CNAME", alias))
            owner = dns.name.from_text(alias[0])
            continue
        elif not any(known == name or known.endswith(f".{name}") for known, _ in records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        break
    return response.to_wire(max_size=8192)


def _known(records: Records, name: str) -> str:
    """The name whose records answer: itself, or the wildcard of the closest name that exists (RFC 4592)."""
    names = {known for known, _ in records}
    closest = name
    while closest and not any(known == closest or known.endswith(f".{closest}") for known in names):
        closest = closest.partition(".")[2]
    return f"*.{closest}" if closest != name and f"*.{closest}" in names else name
