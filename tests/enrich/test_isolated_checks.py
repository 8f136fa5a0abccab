"""Promise: no mail stops the checks of others: one that takes too long is killed in its process, and not checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dmarcworks.enrich.authenticity import NOT_CHECKED, MailToCheck
from dmarcworks.enrich.checking import Checker
from dmarcworks.enrich.examine import RESULTS, TARGET
from dmarcworks.enrich.facts import Facts
from dmarcworks.enrich.resolver import Dns
from dmarcworks.enrich.spf_check import Needed
from dmarcworks.process.isolated import IsolatedPool
from dmarcworks.routing.delivery.signing import Signer
from tests.support import adversarial, slow_checking
from tests.support.dkim_samples import KEY, PLAIN, chained, results, signed
from tests.support.outside import Names, answering


@pytest.fixture
async def pool() -> AsyncIterator[IsolatedPool]:
    """As the server has it, with less processor time."""
    there = IsolatedPool(TARGET, name="checks", processes=2, cpu_seconds=8.0, results=RESULTS)
    yield there
    await there.close()


async def test_every_step_passes_the_way_to_another_process(pool: IsolatedPool) -> None:
    """Facts, SPF's questions and results, and verification: the same answers as here."""
    names = Names()
    names.add(
        {
            ("a.example", "TXT"): "v=spf1 include:b.example -all",
            ("b.example", "TXT"): "v=spf1 ip4:192.0.2.0/24 -all",
            ("_dmarc.a.example", "TXT"): "v=DMARC1; p=reject",
        }
    )
    with answering(names):
        dns = Dns(names.server)
        found = await Checker(dns, pool.run).check(MailToCheck(signed(PLAIN), "192.0.2.7", "h.example", "x@a.example"))
        dns.close()
    assert (found.spf, found.dkim, found.dmarc, found.arc) == ("pass", "fail", "pass", "none")


@pytest.mark.parametrize("name", adversarial.NAMES)
async def test_no_adversarial_mail_needs_to_be_killed(pool: IsolatedPool, name: str) -> None:
    """Runs of everything, up to 25 MB: an answer within the processor time of one step."""
    found = await pool.run(("facts", adversarial.mail(name), 1.8e9))
    assert isinstance(found, Facts)
    assert len(found.signatures) <= 5


async def test_a_check_that_is_killed_is_not_checked_and_its_neighbours_are() -> None:
    """A mail that uses up its processor time is killed; small ones beside it have their results."""
    names = Names()
    names.add({("_dmarc.a.example", "TXT"): "v=DMARC1; p=reject"})
    endless = signed(PLAIN) + slow_checking.SPINS
    killed: list[tuple[str, str]] = []
    pool = IsolatedPool(
        slow_checking.TARGET,
        name="checks",
        processes=1,
        cpu_seconds=0.3,
        results=RESULTS,
        killed=lambda pool, reason: killed.append((pool, reason)),
    )
    with answering(names):
        dns = Dns(names.server)
        checker = Checker(dns, pool.run)
        mails = [PLAIN, endless, PLAIN, PLAIN]
        found = []
        for mail in mails:
            found.append(await checker.check(MailToCheck(mail, "", "", "x@a.example")))
        await pool.close()
        dns.close()
    assert found[1] == NOT_CHECKED
    assert [one.dmarc for one in found] == ["fail", "not_checked", "fail", "fail"]
    assert [reason for _, reason in killed] == ["cpu"]


async def test_the_loop_goes_on_while_a_large_mail_is_checked(pool: IsolatedPool) -> None:
    """The caller's own processor time for 25 MB is that of passing the bytes on."""
    raw = adversarial.mail("blanks_25_MB")
    order = 0

    async def count() -> None:
        nonlocal order
        while True:
            await asyncio.sleep(0)
            order += 1

    counting = asyncio.create_task(count())
    await pool.run(("facts", raw, 1.8e9))
    counting.cancel()
    assert order > 100


@pytest.mark.parametrize("unit", [b" ", b"\t", b"word \t"])
def test_sealing_takes_time_in_proportion_to_the_mail(unit: bytes) -> None:
    """What we sign and seal is a stranger's text: eight times as much of it, about eight times as long."""
    signer = Signer(KEY.decode(), "s", "a.example", "a.example")

    def seconds(size: int) -> float:
        raw = PLAIN + unit * (size // len(unit)) + b"x\r\n"
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            sealed = signer.seal(raw, "spf=none; arc=none")
            best = min(best, time.process_time() - began)
        assert (results(sealed), chained(sealed)) == (["pass"], "pass")
        return best

    assert seconds(4 << 20) < 8 * 4 * seconds(1 << 19)


async def test_spf_records_that_are_long_are_refused(pool: IsolatedPool) -> None:
    """A record whose evaluation would take long is an error of the record."""
    answers: dict[tuple[str, str], list[Any]] = {("a.example", "TXT"): [b"v=spf1 exists:" + b"%{d}." * 10_000 + b"x"]}
    assert await pool.run(("spf", "192.0.2.1", "h", "x@a.example", answers)) == "permerror"
    # One of a length that may occur is evaluated: the name is cut to 253 characters (RFC 7208 section 7.3).
    answers = {("a.example", "TXT"): [b"v=spf1 exists:" + b"%{d}." * 700 + b"x -all"]}
    needed = await pool.run(("spf", "192.0.2.1", "h", "x@a.example", answers))
    assert needed == Needed("a.example." * 25 + "x", "A")
    answers[needed.name, needed.kind] = []
    assert await pool.run(("spf", "192.0.2.1", "h", "x@a.example", answers)) == "fail"
