"""`dmarcworks deliver`: a mail on standard input → the same accept as over SMTP; for a mail server's pipe.

Exit status as in sysexits.h: 0 stored durably, 64 wrong usage, 65 no mail or too large, 67 no such recipient,
75 try again later, 77 rejected for another reason. In doubt it is 75, so that the mail server keeps the mail. A running
server processes the mail immediately, otherwise the next one that starts.
"""

from __future__ import annotations

import asyncio
import sys
from typing import NoReturn

import typer

from dmarcworks.bindings.open import absent_analytics
from dmarcworks.catalogue.stores import opened
from dmarcworks.cli.common import command_settings, print_json
from dmarcworks.errors import DmarcworksError
from dmarcworks.ingest.backpressure import FULL
from dmarcworks.ingest.setup import environment
from dmarcworks.process import logs
from dmarcworks.process.metrics import Metrics
from dmarcworks.process.supervisor import Supervisor
from dmarcworks.routing.smtp import Peer
from dmarcworks.routing.smtp.grammar import mail_address
from dmarcworks.settings import Settings
from dmarcworks.wiring.routing import routing

OK, USAGE, DATA_ERROR, NO_USER, TRY_LATER, NO_PERMISSION = 0, 64, 65, 67, 75, 77
_CHUNK = 1 << 20
_PEER = Peer("", "", protocol="LOCAL")


def deliver(
    to: list[str] = typer.Option([], "--to", help="The recipient, a rua address; repeat for several."),
    sender: str = typer.Option("", "--from", help="The envelope sender; empty for the null sender."),
    as_json: bool = typer.Option(False, "--json", help="Print each recipient's reply as JSON."),
) -> None:
    """Accept one mail on stdin and store it durably. Its exit statuses are those of sysexits."""
    if not to or not all(address.strip() for address in to):
        _end(USAGE, "5.5.4 give a recipient with --to")
    recipients = [(address, mail_address(address.strip())) for address in to]
    if wrong := [address for address, accepted in recipients if not accepted]:
        _end(NO_USER, f"5.1.3 {wrong[0]!r} is not a mail address")
    envelope_from = _envelope_from(sender)
    if envelope_from is None:
        _end(DATA_ERROR, f"5.1.7 --from {sender!r} is not a mail address")
    try:
        settings = command_settings()
        logs.setup(settings.log_format, "warning" if settings.log_level == "info" else settings.log_level)
        raw = _read(settings.mail_bytes)
        if not raw:
            _end(DATA_ERROR, "5.6.0 there is no mail on standard input")
        if len(raw) > settings.mail_bytes:
            _end(DATA_ERROR, f"5.3.4 the mail is larger than {settings.mail_bytes} bytes (DMARCWORKS_MAIL_BYTES)")
        accepted_recipients = list(dict.fromkeys(accepted for _, accepted in recipients if accepted))
        replies = asyncio.run(_deliver(settings, envelope_from, accepted_recipients, raw))
    except DmarcworksError as error:  # wrong settings too: the mail must wait until they are corrected
        _end(TRY_LATER, f"4.3.0 {error}")
    except OSError as error:
        _end(TRY_LATER, f"4.3.0 {error.strerror or error}")
    if as_json:
        print_json([{"to": address, "reply": reply} for address, reply in replies.items()])
    statuses = {address: status_of(reply) for address, reply in replies.items()}
    # One status for all: if one recipient may be retried, all are, and the others are then recognised as duplicates.
    worst = TRY_LATER if TRY_LATER in statuses.values() else max(statuses.values())
    if worst:
        address = next(address for address, status in statuses.items() if status == worst)
        _end(worst, f"{replies[address][4:]}: {address}")


def status_of(reply: str) -> int:
    """An SMTP reply as an exit status."""
    if reply.startswith("2"):
        return OK
    if reply.startswith("4"):
        return TRY_LATER
    if reply[4:].startswith("5.1."):
        return NO_USER
    return DATA_ERROR if reply.startswith("552") else NO_PERMISSION


async def _deliver(settings: Settings, sender: str, to: list[str], raw: bytes) -> dict[str, str]:
    metrics = Metrics()
    async with opened(settings, create=False) as stores:
        env = environment(settings, stores, absent_analytics(), metrics)
        async with routing(settings, stores, env, metrics) as mail, Supervisor() as supervisor:
            await supervisor.start(mail.background_tasks())
            router, replies = mail.router, {}
            for address in to:
                refusal = await router.recipient(address) or (FULL if await env.full() else None)
                replies[address] = refusal or await router.deliver(sender, address, raw, _PEER)
            return replies


def _envelope_from(sender: str) -> str | None:
    """The sender's address, "" for the null sender, None if it is invalid. Some pipes omit its quotation marks."""
    text = sender.strip()
    if text.strip("<> ") == "":
        return ""
    if (address := mail_address(text)) is not None:
        return address
    local, at, domain = text.strip("<>").rpartition("@")
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return mail_address(f'"{escaped}"@{domain}') if at else None


def _read(most: int) -> bytes:
    """Standard input up to slightly more than the bound, without the line that some pipes put before a mail."""
    data = bytearray()
    while len(data) <= most and (chunk := sys.stdin.buffer.read(_CHUNK)):
        data += chunk
    if data.startswith(b"From "):
        del data[: data.find(b"\n") + 1 or None]
    return bytes(data)


def _end(status: int, text: str) -> NoReturn:
    """Exit with a text that starts with the enhanced code, which Postfix's pipe puts into its bounce."""
    print(text, file=sys.stderr)
    raise typer.Exit(status)
