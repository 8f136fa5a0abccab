"""Promise: mails that are checked together have the results that each would have alone, whoever keeps DNS waiting; and
what cannot be known is never counted as genuine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from dmarcworks.bindings.contracts import LeasedMessage
from dmarcworks.catalogue.authenticity import AuthenticityCatalogue, AuthenticityRow
from dmarcworks.enrich.authenticity import NOT_CHECKED, UNKNOWN, Authenticity, MailToCheck
from dmarcworks.enrich.checking import Checker
from dmarcworks.enrich.examine import run
from dmarcworks.enrich.resolver import Dns
from dmarcworks.ingest.authentication import ReportAuthenticator
from dmarcworks.ingest.item import MailItem
from dmarcworks.ingest.steps import Mail
from dmarcworks.process.metrics import Metrics
from dmarcworks.reports.model import Item, Reading
from dmarcworks.workers.batch import BatchMessage, Decision
from tests.support.outside import Names, answering

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENVELOPES = [("192.0.2.9", "example.com"), ("198.51.100.1", "example.com"), ("192.0.2.9", "example.org")]


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    there = Names()
    there.add(
        {
            ("example.com", "TXT"): "v=spf1 ip4:192.0.2.0/24 -all",
            ("_dmarc.example.com", "TXT"): "v=DMARC1; p=reject",
            ("example.org", "TXT"): "v=spf1 -all",
            ("_dmarc.example.org", "TXT"): "v=DMARC1; p=none",
        }
    )
    with answering(there):
        yield there


async def here(argument: Any) -> Any:
    return run(argument)


def mails(count: int = 30) -> list[Mail]:
    """Three reporters in turns, each with authors of its own."""
    found = []
    for number in range(count):
        peer, domain = ENVELOPES[number % 3]
        author = domain if number % 2 else "nobody.example"
        raw = f"From: a@{author}\r\nSubject: {number}\r\n\r\nBody\r\n".encode()
        item = MailItem(
            mail_id=f"{number:032}",
            object_key="inbox/x.eml",
            account_id="a",
            domain_id="d",
            domain="example.com",
            recipient="r@reports.example.net",
            received=NOW.timestamp(),
            size=len(raw),
            sender=f"b@{domain}",
            peer=peer,
            helo="out.example.net",
        )
        message = BatchMessage(LeasedMessage(number, "dmarc", "json", item.to_json(), NOW, 1))
        found.append(Mail(message, item, Reading((cast(Item, object()),), ()), raw=raw))
    return found


async def test_together_as_alone(names: Names) -> None:
    """Results stand with their own mail, in its order."""
    dns = Dns(names.server)
    alone = []
    for mail in mails():
        item = mail.item
        checker = Checker(dns, here)
        alone.append(await checker.check(MailToCheck(mail.raw, item.peer, item.helo or "", item.sender)))
    again = Dns(names.server)
    found = await ReportAuthenticator(cast(AuthenticityCatalogue, None), Checker(again, here))._all(mails())
    dns.close()
    again.close()
    assert found == alone
    assert [one.spf for one in found] == ["pass", "fail", "fail"] * 10
    # Even ones are in the name of a domain without a record.
    assert [one.dmarc for one in found] == ["none", "fail", "none", "pass", "none", "fail"] * 5


async def test_who_waits_for_dns_does_so_side_by_side(names: Names) -> None:
    """Every question is asked once, however many mails wait for the answer."""
    names.slow.add("nobody.example")
    names.slow_seconds = 0.5
    dns = Dns(names.server)
    found = await ReportAuthenticator(cast(AuthenticityCatalogue, None), Checker(dns, here))._all(mails(300))
    dns.close()
    assert [one.spf for one in found] == ["pass", "fail", "fail"] * 100
    assert len(names.asked) == len(set(names.asked))


def decision(mail: Mail) -> Decision | None:
    assert isinstance(mail.message, BatchMessage)
    return mail.message.decision


class Recorded:
    """Proofs that are noted."""

    def __init__(self) -> None:
        self.proofs: dict[str, str] = {}

    async def record(self, proofs: Sequence[AuthenticityRow]) -> None:
        self.proofs |= {proof.mail_id: proof.dmarc for proof in proofs}


class Told:
    """A checker that says what it was told, in turns, and whether DNS is alive."""

    def __init__(self, *results: Authenticity, alive: bool = True) -> None:
        self.results = results
        self.is_alive = alive
        self.checked: list[MailToCheck] = []
        self.probes = 0

    async def check(self, mail: MailToCheck) -> Authenticity:
        self.checked.append(mail)
        result = self.results[(len(self.checked) - 1) % len(self.results)]
        await asyncio.sleep(0)
        return result

    async def alive(self) -> bool:
        self.probes += 1
        return self.is_alive


PASS = Authenticity("pass", "none", "pass", "none", "example.com", "example.com", "reject")
FAIL = Authenticity("fail", "none", "fail", "none", "example.com", "example.org", "reject")


def prover(
    mode: str, told: Told, recorded: Recorded, later: timedelta = timedelta(0), **more: Any
) -> ReportAuthenticator:
    return ReportAuthenticator(
        cast(AuthenticityCatalogue, recorded), cast(Checker, told), mode, now=lambda: NOW + later, **more
    )


@pytest.mark.parametrize("mode", ["quarantine", "reject"])
async def test_what_is_not_known_waits_and_its_neighbours_go_on(mode: str) -> None:
    """No result: again later, without a try being used up. The others of the batch are judged now."""
    recorded, told = Recorded(), Told(PASS, UNKNOWN, FAIL)
    batch = mails(3)
    await prover(mode, told, recorded).prove(batch)
    good, waiting, forged = batch
    assert (decision(good), good.proof, good.quarantined, good.reading.problems) == (None, "pass", False, ())
    waits = decision(waiting)
    assert waits is not None
    assert (waits.done, waits.temporary, waiting.waits) == (False, True, True)
    assert "DNS gives no answer" in waits.error
    assert waits.delay is not None
    assert 1.0 <= waits.delay <= 2.0
    assert decision(forged) is None
    assert (forged.quarantined, len(forged.reading.items)) == ((True, 1) if mode == "quarantine" else (False, 0))
    assert recorded.proofs == {good.item.mail_id: "pass", forged.item.mail_id: "fail"}


async def test_pauses_grow_to_half_an_hour() -> None:
    delays = []
    for attempt in (1, 2, 5, 30):
        (mail,) = mails(1)
        mail.message.deliveries = attempt
        await prover("reject", Told(UNKNOWN), Recorded()).prove([mail])
        delays.append(decision(mail).delay or 0.0)  # type: ignore[union-attr]
    for delay, longest in zip(delays, (2.0, 4.0, 32.0, 1800.0), strict=True):
        assert longest / 2 <= delay <= longest


@pytest.mark.parametrize("mode", ["quarantine", "reject"])
@pytest.mark.parametrize("result", [UNKNOWN, NOT_CHECKED])
async def test_what_stays_unknown_is_kept_apart(mode: str, result: Authenticity) -> None:
    """After a day of waiting, and at once when the check was stopped: not counted, and a person sees why."""
    recorded = Recorded()
    (mail,) = mails(1)
    later = timedelta(hours=25) if result is UNKNOWN else timedelta(0)
    await prover(mode, Told(result), recorded, later).prove([mail])
    assert (decision(mail), mail.proof, mail.quarantined, len(mail.reading.items)) == (None, "", True, 1)
    (problem,) = mail.reading.problems
    assert problem.reason == "unverified"
    assert ("for 24 hours" if result is UNKNOWN else "was stopped") in problem.detail
    assert recorded.proofs == {mail.item.mail_id: result.dmarc}


async def test_where_all_is_counted_nothing_waits() -> None:
    """Mode accept: what is not known is counted as not known; a check that was stopped is noted."""
    recorded, metrics = Recorded(), Metrics()
    batch = mails(2)
    await prover("accept", Told(UNKNOWN, NOT_CHECKED), recorded, metrics=metrics).prove(batch)
    assert [(decision(mail), mail.proof, mail.quarantined) for mail in batch] == [(None, "", False)] * 2
    assert recorded.proofs == {batch[1].item.mail_id: "not_checked"}
    text = metrics.text().decode()
    assert 'dmarcworks_mails_checked_total{result="not_checked"} 1.0' in text
    assert 'dmarcworks_mails_checked_total{result="temperror"} 1.0' in text


async def test_no_stranger_can_make_the_checks_pause() -> None:
    """However many mails have no result: checks go on while DNS answers a question of our own."""
    told, clock = Told(UNKNOWN), [0.0]
    one = prover("reject", told, Recorded(), clock=lambda: clock[0])
    for _ in range(3):
        await one.prove(mails(10))
    assert (len(told.checked), told.probes) == (30, 3)
    told.is_alive = False
    await one.prove(mails(10))
    paused = mails(10)
    await one.prove(paused)
    assert len(told.checked) == 40
    # In a pause nothing is counted unchecked.
    assert [mail.waits for mail in paused] == [True] * 10
    clock[0] += 61
    told.results, told.is_alive = (PASS,), True
    await one.prove(mails(10))
    assert len(told.checked) == 50
    # One result is enough to know that DNS answers.
    told.results, told.is_alive = (UNKNOWN, PASS), False
    await one.prove(mails(2))
    await one.prove(mails(2))
    assert len(told.checked) == 54


async def test_a_batch_waits_no_longer_for_many_than_for_one() -> None:
    """Where mails can wait, those that could not be begun in time come again; reporters take turns."""
    told = Told(UNKNOWN)
    begun: list[str] = []

    async def check(mail: MailToCheck) -> Authenticity:
        begun.append(mail.sender)
        await asyncio.sleep(0.2)  # the slow name server that this test is about
        return UNKNOWN

    told.check = check  # type: ignore[method-assign]
    batch = mails(500)
    for mail in batch[:490]:
        mail.item = replace(mail.item, sender="x@flood.example", peer="203.0.113.1")
    await prover("reject", told, Recorded(), seconds=0.1).prove(batch)
    assert len(begun) == 200
    # The ten of other reporters are among the first though they came last.
    assert len([sender for sender in begun if "flood" not in sender]) == 10
    assert [mail.waits for mail in batch] == [True] * 500
