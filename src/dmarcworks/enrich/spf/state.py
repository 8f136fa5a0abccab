"""The state of one SPF evaluation: the limits, the queries, the client's host names, and the trace. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Generator
from typing import Any

from dmarcworks.enrich.senders.names import IpAddress
from dmarcworks.enrich.spf.client import is_query_name
from dmarcworks.enrich.spf.macros import MacroString, dotted, macros_in
from dmarcworks.enrich.spf.model import (
    MAX_ADDRESS_NAMES,
    MAX_LOOKUPS,
    MAX_VOID_LOOKUPS,
    DnsRecordSet,
    Needed,
    SpfClient,
    SpfResultCode,
)

__all__ = ["EvaluationState", "Steps", "StopError", "shifted"]

_TRACE = 300

Steps = Generator[Needed, DnsRecordSet, Any]


class StopError(Exception):
    """The evaluation ends with temperror or permerror; `problem` is why."""

    def __init__(self, result: SpfResultCode, problem: str) -> None:
        super().__init__(problem)
        self.result = result
        self.problem = problem


class EvaluationState:
    """Counts what the limits bound and keeps what is known; raises `StopError` when a limit is passed or DNS fails."""

    def __init__(self, client: SpfClient) -> None:
        self.client = client
        self.lookups = 0
        self.voids = 0
        self.trace: list[str] = []
        self._hosts: list[str] | None = None
        self._hostless = ""

    @property
    def noting(self) -> bool:
        """Whether the trace has space left."""
        return len(self.trace) <= _TRACE

    def note(self, sentence: str) -> None:
        """Add a step to the trace."""
        if len(self.trace) < _TRACE:
            self.trace.append(sentence)
        elif len(self.trace) == _TRACE:
            self.trace.append("Further steps are not listed.")

    def count(self, domain: str, text: str) -> None:
        """Count a term that causes queries."""
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            problem = f"more than {MAX_LOOKUPS} terms cause DNS queries; the limit is passed at {text} in {domain}"
            raise StopError(SpfResultCode.permerror, problem)

    def query(self, name: str, kind: str) -> Steps:
        """The records; temperror when DNS gives no answer."""
        records = yield Needed(name.lower(), kind)
        if records is None:
            raise StopError(SpfResultCode.temperror, f"DNS gave no answer about {name} ({kind})")
        return records

    def counted(self, name: str, kind: str) -> Steps:
        """The same for a name that the record gives: without an answer it is a void lookup."""
        records = yield from self.query(name, kind)
        if not records:
            self._void(f"{name} has no {kind} record")
        return records

    def addresses(self, name: str) -> Steps:
        """The addresses of the client's kind."""
        return (yield from self.counted(name, self.kind))

    @property
    def kind(self) -> str:
        """The type of the client's address records."""
        return "A" if self.client.ip.version == 4 else "AAAA"

    def _void(self, what: str) -> None:
        self.voids += 1
        self.note(f"{what}: void lookup {self.voids}.")
        if self.voids > MAX_VOID_LOOKUPS:
            problem = f"more than {MAX_VOID_LOOKUPS} queries found nothing (void lookups), at last: {what}"
            raise StopError(SpfResultCode.permerror, problem)

    def validated(self, *, counts: bool = True) -> Steps:
        """The client's host names that lead back to it (section 5.5), in lower case; an error in DNS skips the name.

        They are queried once; a client without PTR record is a void lookup for every term that needs it. The names
        are the client's choice, so one without an address is none, and neither is anything that `exp=` needs.
        """
        if self._hosts is None:
            self._hosts = yield from self._host_names()
        if self._hostless and counts:
            self._void(self._hostless)
        return self._hosts

    def _host_names(self) -> Steps:
        pointer, hosts = self.client.ip.reverse_pointer, []
        names = yield Needed(pointer, "PTR")
        if names is not None and not names:
            self._hostless = f"{pointer} has no PTR record"
        for text in (names or ())[:MAX_ADDRESS_NAMES]:
            host = str(text).removesuffix(".").lower()
            if not is_query_name(host):
                continue
            addresses = yield Needed(host, self.kind)
            if any(shifted(one, self.client.ip, 0) == int(self.client.ip) for one in addresses or ()):
                hosts.append(host)
        return hosts

    def values(self, domain: str, parts: MacroString, *, counts: bool = True) -> Steps:
        """The value of every macro (section 7.2); the host name only where it is used."""
        client = self.client
        host = ""
        if "p" in macros_in(parts):
            hosts = yield from self.validated(counts=counts)
            host = _preferred(hosts, domain.lower())
        return {
            "s": f"{client.local}@{client.domain}",
            "l": client.local,
            "o": client.domain,
            "d": domain,
            "i": dotted(client.ip),
            "p": host,
            "v": "in-addr" if client.ip.version == 4 else "ip6",
            "h": client.helo,
            "c": str(client.ip),
            "r": client.receiver,
            "t": str(client.unix_time),
        }


def _preferred(hosts: list[str], domain: str) -> str:
    """For `%{p}`: the domain itself, then a name below it, then any other."""
    below = [host for host in hosts if host.endswith("." + domain)]
    return domain if domain in hosts else [*below, *hosts, "unknown"][0]


def shifted(text: str, ip: IpAddress, shift: int) -> int:
    """An address without its last bits; -1 for one of another version."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return -1
    return int(address) >> shift if address.version == ip.version else -1
