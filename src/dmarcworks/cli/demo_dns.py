"""The demo's own name server on loopback: the domain's records and the names of its hosts; no query goes outside.

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
from dmarcworks.cli.demo_reporters import SERVICES

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
# What the domain's SPF record includes, with the domain that signs the services' mail.
_INCLUDED = {"_spf.google.com": "example-com.20230601.gappssmtp.com", "amazonses.com": "amazonses.com"}
# The public half of a key that was thrown away: nothing of the demo is signed with it.
_KEY = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyI+UrwbQf0TPDBoYXdVa07v9eCh/WzLyjidH9VatTZAsvA8jXWOnam",
    "3WZ8uelxRO45xisD1MGFXXSdUh1su8yiyV/BEuo6ZjEGFkeqKesIG+HuhbaKQpsjzJmDkagVk3PG4CLpBzkXr/NKZqdElXIglM",
    "NxSdCS3KtkKih9JdMHJ8xzEWnJXItmnPH8Dfuhqt/rR8b2L9/49ni2zbyOyIRpSCrcb9nkl7PXlSMgklf/GbrjdGBL1rJO4+Oc",
    "5Oo281aqRB3AYB2R+HH1uP1ruhBTUn0L0LSH1HMOpbH7S19T6+PhIcudR/zRnMyzP9jELdr7Kpc+F5wu241DYjv6lZIQIDAQAB",
)

Zone = Mapping[tuple[str, str], str]


def zone(domain: str, rua: str) -> Zone:
    """The records by name and type: two for each host, those of the domain and those of the report host."""
    report_host = rua.partition("@")[2]
    records = {
        (domain, "TXT"): '"v=spf1 include:_spf.google.com include:amazonses.com ~all"',
        (domain, "MX"): f"10 mail.{domain}.",
        (f"mail.{domain}", "A"): "192.0.2.250",
        (f"_dmarc.{domain}", "TXT"): f'"v=DMARC1; p=quarantine; rua=mailto:{rua}"',
        (report_host, "MX"): f"10 {report_host}.",
        (report_host, "A"): "192.0.2.251",
        (report_host, "TXT"): '"v=spf1 -all"',
        (ipaddress.ip_address("192.0.2.251").reverse_pointer, "PTR"): f"{report_host}.",
        (f"*._report._dmarc.{report_host}", "TXT"): '"v=DMARC1"',
    }
    key = " ".join(f'"{piece}"' for piece in ("v=DKIM1; k=rsa; p=", *_KEY))
    records |= {(f"{service.selector}._domainkey.{domain}", "TXT"): key for service in SERVICES if service.dkim}
    for included, signer in _INCLUDED.items():
        terms = [
            f"ip{ipaddress.ip_address(address).version}:{address}"
            for service, _, address in service_hosts()
            if service.signer == signer
        ]
        records[included, "TXT"] = f'"v=spf1 {" ".join(terms)} ~all"'
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
        # The authorisation of the report host is the zone's one wildcard (RFC 9990, Verifying External
        # Destinations).
        above = name.find("._report._dmarc.")
        names = (name, f"*{name[above:]}") if above > 0 else (name,)
        if value := next(filter(None, (self._records.get((one, kind)) for one in names)), None):
            reply.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", kind, value))
        elif self._names.isdisjoint(names) and name != ".":
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply
