"""The DNS queries of the checks, all within one deadline, over a resolver that is an argument."""

from __future__ import annotations

import asyncio
from typing import Any

from dmarcworks.enrich.resolver import NoAnswerError, RecordResolver

__all__ = ["MxHost", "RecordLookup", "RecordResolver"]

MxHost = tuple[int, str]
# Records of one name and type that are read; nobody needs more.
_RECORDS = 100
_TEXT_BYTES = 65_535


class RecordLookup:
    """Queries of one report card. `deadline` in seconds of time.monotonic; every method may raise `NoAnswerError`."""

    def __init__(self, resolver: RecordResolver, deadline: float) -> None:
        self.resolver = resolver
        self.deadline = deadline

    async def records(self, name: str, kind: str) -> list[Any]:
        """The records of a name, CNAMEs followed; empty for none."""
        return (await self.resolver(name, kind, self.deadline))[:_RECORDS]

    async def texts(self, name: str) -> list[str]:
        """TXT records, each as one text; bytes that are not UTF-8 are written as escapes."""
        return [record[:_TEXT_BYTES].decode("utf-8", "backslashreplace") for record in await self.records(name, "TXT")]

    async def mail_hosts(self, name: str) -> list[MxHost]:
        """MX records by preference; the host of a null MX is empty."""
        return sorted(
            (int(preference), host.rstrip(".").lower()) for preference, host in await self.records(name, "MX")
        )

    async def addresses(self, name: str) -> list[str]:
        """The addresses of a name, IPv4 first."""
        ipv4, ipv6 = await asyncio.gather(self.records(name, "A"), self.records(name, "AAAA"))
        return [*ipv4, *ipv6]

    async def alias(self, name: str) -> str:
        """What a name is an alias for; empty when it is none."""
        targets = await self.records(name, "CNAME")
        return str(targets[0]).rstrip(".").lower() if targets else ""

    async def exists(self, name: str) -> bool:
        """Whether the name exists, with whatever records (RFC 8020)."""
        return (await self.resolver.lookup(name, "A", self.deadline)).exists

    async def receives_mail(self, name: str) -> bool:
        """Whether mail can be delivered to the domain: an MX that is not null, or an address (RFC 5321 section 5.1)."""
        hosts = await self.mail_hosts(name)
        return any(host for _, host in hosts) if hosts else bool(await self.addresses(name))

    async def texts_or_error(self, name: str) -> list[str] | NoAnswerError:
        """The same as `texts`; the error is returned, for queries that run at the same time."""
        try:
            return await self.texts(name)
        except NoAnswerError as error:
            return error
