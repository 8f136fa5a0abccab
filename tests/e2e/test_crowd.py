"""A thousand idle and two hundred slow clients change nothing for the others: reports come in, memory stays flat."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.system import System, resident, wait_for

# A minute when asked for (DMARCWORKS_TEST_CROWD_SECONDS=60); a few seconds show the same.
SECONDS = float(os.environ.get("DMARCWORKS_TEST_CROWD_SECONDS", "6"))
IDLE, SLOW, WARM = 1000, 200, 30
# What the engine takes for an insert while it runs, and what the allocator may keep of it.
FLAT, PEAK = 20_000_000, 40_000_000
# Memory that stays within this from one round of mails to the next is at its working size; mails until then at most.
STEADY, MOST = 4_000_000, 600
# Bytes that a connection may take.
EACH = 50_000


async def crowd(system: System, rua: str) -> dict[str, int]:
    """Bring them in, let them be for a while, and serve others in between: what was seen."""
    alone, warmed = await asyncio.to_thread(warm, system, rua)
    idle = await gather(system, IDLE)
    slow = await gather(system, SLOW)
    for _, writer in slow:
        writer.write(f"EHLO x\r\nMAIL FROM:<a@mail.example>\r\nRCPT TO:<{rua}>\r\nDATA\r\n".encode())
    await asyncio.sleep(1)
    first, peak, sent = resident(system.process), 0, 0
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    while loop.time() < end:
        for _, writer in slow:
            writer.write(b"x")
        replies = await asyncio.to_thread(system.send, rua, report_mail(f"served-{sent}"))
        assert replies == [(250, "")]
        sent += 1
        last = resident(system.process)
        peak = max(peak, last)
        await asyncio.sleep(0.2)
    await asyncio.to_thread(system.settle)
    last = resident(system.process)
    alive = sum(not reader.at_eof() for reader, _ in [*idle, *slow])
    for _, writer in slow:  # each of them may end its mail after all
        writer.write(b"\r\n.\r\nQUIT\r\n")
    said = await asyncio.gather(*(reader.read() for reader, _ in slow))
    accepted = sum(b"250 2.0.0 Accepted" in text for text in said)
    for _, writer in [*idle, *slow]:
        writer.close()
    return {
        "alive": alive,
        "accepted": accepted,
        "sent": sent,
        "warmed": warmed,
        "alone": alone,
        "first": first,
        "last": last,
        "peak": peak,
    }


def warm(system: System, rua: str) -> tuple[int, int]:
    """The memory once it stays, and the mails until then: what engine and jobs take at first is not the crowd's."""
    before, sent = 0, 0
    while True:
        system.send(rua, *(report_mail(f"warm-{sent + number}") for number in range(WARM)))
        system.settle()
        sent += WARM
        now = resident(system.process)
        if now - before < STEADY or sent >= MOST:
            return now, sent
        before = now


async def gather(system: System, number: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """So many connections that have had their banner."""
    found = []
    for _ in range(number):
        reader, writer = await asyncio.open_connection(*system.smtp)
        assert (await reader.readline()).startswith(b"220 ")
        found.append((reader, writer))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_crowd_harms_nobody(tmp_path: Path) -> None:
    """All stay connected, every honest mail is taken and counted meanwhile, and memory does not grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    system = System(
        tmp_path / "home",
        {
            "DMARCWORKS_SMTP_CONNECTIONS": "2000",
            "DMARCWORKS_SMTP_CONNECTIONS_PER_ADDRESS": "2000",
            "DMARCWORKS_SMTP_IDLE_SECONDS": "600",
        },
    )
    system.start()
    try:
        rua = system.add_domain("example.com")["rua"]
        seen = asyncio.run(crowd(system, rua))
        assert seen["alive"] == IDLE + SLOW
        assert seen["accepted"] == SLOW
        told = {name: f"{seen[name] / 1e6:.1f} MB" for name in ("alone", "first", "last", "peak")}
        print(f"{SECONDS:g} s with {IDLE} idle and {SLOW} slow connections, {seen['sent']} mails served: {told}")
        assert seen["first"] - seen["alone"] < (IDLE + SLOW) * EACH, told
        assert seen["last"] - seen["first"] < FLAT, told
        assert seen["peak"] - seen["first"] < PEAK, told
        wait_for(lambda: system.total() == (seen["sent"] + seen["warmed"]) * 5, "counted")
        assert system.stop() == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if system.alive:
            system.stop()
