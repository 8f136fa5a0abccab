"""The demo's own name server on loopback: names of the demo's addresses, so that the demo sends no query outside.

It answers for everything; what is not in its zone does not exist. The hosts of the attack have no names.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from dmarcworks.cli.demo_data import forwarder_hosts, service_hosts

__all__ = ["demo_names", "zone"]

_TTL = 86_400
# The hosts of services have the names of their networks; all others are the domain's own.
_NETWORKS = {
    "amazonses.com": "smtp-out.amazonses.com",
    "example-com.20230601.gappssmtp.com": "google.com",
    "example.onmicrosoft.com": "outbound.protection.outlook.com",
    "greenhouse.io": "mail.greenhouse.io",
    "hubspotemail.net": "hubspotemail.net",
    "mcsv.net": "mcsv.net",
    "salesforce.com": "mta.salesforce.com",
    "surveymonkey.com": "mail.surveymonkey.com",
    "zendesk.com": "zdsys.com",
}

Zone = Mapping[tuple[str, str], str]


def zone(domain: str, rua: str) -> Zone:
    """The records by name and type: two for each host, and those of the domain."""
    records = {
        (domain, "TXT"): '"v=spf1 include:_spf.google.com include:amazonses.com ~all"',
        (f"_dmarc.{domain}", "TXT"): f'"v=DMARC1; p=quarantine; rua=mailto:{rua}"',
    }
    for address, name in _hosts(domain):
        host = ipaddress.ip_address(address)
        records[name, "A" if host.version == 4 else "AAAA"] = address
        records[host.reverse_pointer, "PTR"] = f"{name}."
    return records


def _hosts(domain: str) -> Iterator[tuple[str, str]]:
    for service, index, address in service_hosts():
        network = _NETWORKS.get(service.signer, f"mail.{domain}")
        yield address, f"{service.name}-{index + 1}{'-v6' if ':' in address else ''}.{network}"
    for index, address in enumerate(forwarder_hosts()):
        yield address, f"relay-{index + 1}.alumni.university.example"


@asynccontextmanager
async def demo_names(domain: str, rua: str) -> AsyncIterator[str]:
    """The name server while the block runs; its address and port, on loopback."""
    loop = asyncio.get_running_loop()
    records = zone(domain, rua)
    transport, _ = await loop.create_datagram_endpoint(lambda: _DemoNameServer(records), local_addr=("127.0.0.1", 0))
    try:
        host, port = transport.get_extra_info("sockname")[:2]
        yield f"{host}:{port}"
    finally:
        transport.close()


class _DemoNameServer(asyncio.DatagramProtocol):
    def __init__(self, records: Zone) -> None:
        self._records = records
        self._names = {name for name, _ in records}
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            query = dns.message.from_wire(data)
            if len(query.question) == 1 and not query.flags & dns.flags.QR:
                self._transport.sendto(self._answer(query).to_wire(), addr)
        # What is no query is not answered.
        except (dns.exception.DNSException, ValueError):
            return

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA | dns.flags.RA
        question = query.question[0]
        name, kind = question.name.to_text(True).lower(), dns.rdatatype.to_text(question.rdtype)
        if (value := self._records.get((name, kind))) is not None:
            reply.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", kind, value))
        elif name not in self._names and name != ".":
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply
