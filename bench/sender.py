"""A load of report mails, and a lean SMTP client that sends it over several connections as a mail server would.

Envelope pipelined (RFC 2920), one mail after the other on each connection, every reply read; nothing counts as taken
but 250 after the mail's last dot.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from reading import document, mail

RECORDS = (1, 10)


@dataclass(frozen=True, slots=True)
class Load:
    """Mails as files hold them, and the sums of what is in them."""

    mails: Sequence[bytes]
    records: int
    messages: int


def load(count: int) -> Load:
    """So many mails with a report of 1 to 10 records each, gzip and zip in turn."""
    dice = random.Random(7)
    mails, records, messages = [], 0, 0
    for number in range(count):
        rows = dice.randint(*RECORDS)
        xml, sum_of_counts = document(dice, number, rows)
        mails.append(mail(xml, number, "gz" if number % 2 else "zip"))
        records += rows
        messages += sum_of_counts
    return Load(mails, records, messages)


def on_the_wire(raw: bytes) -> bytes:
    """CRLF, dots stuffed, and the dot that ends it."""
    text = re.sub(rb"(?m)^\.", b"..", raw.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return text + (b"" if text.endswith(b"\r\n") else b"\r\n") + b".\r\n"


async def send(
    address: tuple[str, int], to: str, mails: Sequence[bytes], connections: int, taken: Callable[[int], None]
) -> None:
    """Send them all; `taken` hears how many were answered with 250 after each. Any other answer is an error."""
    waiting = iter([on_the_wire(raw) for raw in mails])
    done = 0
    envelope = f"MAIL FROM:<dmarc@mail.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode()

    async def one() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection(*address)
        await _expect(reader, b"220")
        writer.write(b"EHLO mail.example\r\n")
        await _expect(reader, b"250")
        for wire in waiting:
            writer.write(envelope)
            for reply in (b"250", b"250", b"354"):
                await _expect(reader, reply)
            writer.write(wire)
            await _expect(reader, b"250")
            done += 1
            taken(done)
        writer.write(b"QUIT\r\n")
        await _expect(reader, b"221")
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))


async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
    while True:
        line = await reader.readline()
        if not line.startswith(code):
            raise RuntimeError(f"wanted {code.decode()}, got {line!r}")
        if line[3:4] != b"-":
            return
