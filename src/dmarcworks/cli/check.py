"""`dmarcworks check DOMAIN`: the domain's DNS records about mail, checked and explained; needs no server or store.

Exit status 0 when no error was found, 1 when one was, 2 for wrong usage, 3 when DNS did not answer.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import json
import re
import sys
from collections.abc import AsyncIterator

import typer

from dmarcworks.cli.check_lines import RequestLine, request_lines
from dmarcworks.cli.check_text import card_document, card_text
from dmarcworks.enrich.resolver import Dns
from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.names import domain_to_check
from dmarcworks.policy.dns_records.report_card import CardRequest, ReportCard, make_report_card
from dmarcworks.settings import load

_RESOLVER = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9.-]+))(?::(?P<port>\d{1,5}))?")
# Cards of --jsonl that are made at the same time.
_AT_ONCE = 16
_Pending = tuple[RequestLine, asyncio.Task[ReportCard] | None]


def check(
    domain: str | None = typer.Argument(None, help="The domain to check.", show_default=False),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
    jsonl: bool = typer.Option(
        False, "--jsonl", help="Read one JSON object per line from standard input; print one answer per line."
    ),
    resolver: str = typer.Option("", "--resolver", metavar="HOST[:PORT]", help="Query this name server only."),
    selector: list[str] = typer.Option([], "--selector", help="A DKIM selector to check. Repeat for more."),
    spf_ip: str = typer.Option("", "--spf-ip", metavar="ADDRESS", help="Evaluate SPF for mail from this address."),
    mail_from: str | None = typer.Option(
        None, "--mail-from", metavar="ADDRESS", help="The envelope sender, with --spf-ip."
    ),
    helo: str = typer.Option("", "--helo", metavar="NAME", help="The HELO name, with --spf-ip."),
) -> None:
    """Check a domain's DNS records: DMARC, SPF, DKIM, MX, MTA-STS, TLS-RPT, BIMI, DNSSEC."""
    settings, sources = load()
    server = _server(resolver) or settings.dns_server
    if jsonl:
        if domain or selector or spf_ip or mail_from is not None or helo or as_json:
            raise UsageError("--jsonl reads the requests from standard input; remove the other options")
        raise typer.Exit(asyncio.run(_stream(server)))
    if domain is None:
        raise UsageError("there is no domain; name one, as in: dmarcworks check example.com")
    if (mail_from is not None or helo) and not spf_ip:
        raise UsageError("--mail-from and --helo need --spf-ip; give the address of the sending server")
    request = CardRequest(
        domain_to_check(domain),
        tuple(selector),
        _address(spf_ip),
        mail_from,
        helo,
        report_host=settings.hostname if "hostname" in sources else "",
    )
    card = asyncio.run(_one(server, request))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if as_json:
        # In ASCII: what a stranger publishes cannot drive the terminal.
        print(json.dumps(card_document(card), indent=2))
    else:
        print(card_text(card, colour=sys.stdout.isatty()))
    raise typer.Exit(_status(card))


def _server(text: str) -> str:
    """The name server in the form that the resolver expects; `UsageError` for what is no host and port."""
    if not text:
        return ""
    bare = _ip(text)
    match = None if bare else _RESOLVER.fullmatch(text)
    port = int(match["port"] or 53) if match else 53
    if (match is None and bare is None) or not 0 < port < 65_536:
        raise UsageError(f"--resolver {text[:80]!r} is not HOST or HOST:PORT; write an IPv6 address as [::1]:53")
    host = match["ipv6"] or match["host"] if match else text
    address = bare or _ip(host) or _ip(_resolved(host))
    return f"[{address}]:{port}" if address and address.version == 6 else f"{address}:{port}"


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _resolved(host: str) -> str:
    """The address of a name server that is given by name, as this machine knows it."""
    import socket

    try:
        return str(socket.getaddrinfo(host, 53, type=socket.SOCK_DGRAM)[0][4][0])
    except OSError:
        raise UsageError(f"--resolver {host} is not a known host; give its address") from None


def _address(text: str) -> str:
    """The address of the sending server; `UsageError` for what is none."""
    if text and _ip(text) is None:
        raise UsageError(f"--spf-ip {text[:80]!r} is not an IP address")
    return text


def _local(server: str) -> bool:
    """Whether the named server is on this machine: what it names may be here too."""
    address = _ip(server) or _ip(server.rpartition(":")[0].strip("[]"))
    return address is not None and address.is_loopback


async def _one(server: str, request: CardRequest) -> ReportCard:
    dns = Dns(server)
    try:
        return await make_report_card(dns, request, private=_local(server))
    finally:
        dns.close()


def _status(card: ReportCard) -> int:
    if not card.answered:
        return 3
    return 1 if card.failed else 0


async def _stream(server: str) -> int:
    """One answer per line in the order of the lines; the worst exit status of them."""
    dns = Dns(server)
    worst = 0
    try:
        async for line, card in _cards(dns, server):
            if card is None:
                worst = 2
                print(f"dmarcworks: {line.fault}", file=sys.stderr)
                document = {"domain": line.domain, "error": line.fault}
            else:
                worst = worst if worst == 2 else max(worst, _status(card))
                document = card_document(card)
            # At once: the program at the other end may wait for it.
            print(json.dumps(document), flush=True)
    finally:
        dns.close()
    return worst


async def _cards(dns: Dns, server: str) -> AsyncIterator[tuple[RequestLine, ReportCard | None]]:
    """The cards in the order of the lines; those of later lines are made while one is waited for."""
    waiting: asyncio.Queue[_Pending | None] = asyncio.Queue(_AT_ONCE)

    async def read() -> None:
        lines = request_lines(sys.stdin.buffer)
        while (line := await asyncio.to_thread(next, lines, None)) is not None:
            task = None
            if line.request is not None:
                task = asyncio.create_task(make_report_card(dns, line.request, private=_local(server)))
            await waiting.put((line, task))
        await waiting.put(None)

    reader = asyncio.create_task(read())
    while (pending := await waiting.get()) is not None:
        line, task = pending
        yield line, None if task is None else await task
    await reader
