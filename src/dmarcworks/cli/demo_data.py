"""The demo's reports as values: days of plausible traffic of one domain. Pure, the same for a seed.

In: domain, last day, number of days, seed. Out: reports with their records, so that what was sent can be added up
without the system under show. `demo_mails` makes the mails.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from dmarcworks.cli.demo_reporters import REPORTERS, SERVICES, Reporter, Service

SEED = 7489


@dataclass(frozen=True, slots=True)
class Row:
    """A record: who sent how many, and with which disposition; `dkim` and `spf` are whether it aligned."""

    source_ip: str
    count: int
    dkim: bool
    spf: bool
    disposition: str
    service: str
    selector: str
    reason: str = ""
    signer: str = ""
    envelope: str = ""

    @property
    def passed(self) -> bool:
        """DMARC passes when either aligns (RFC 7489 §3.1.1)."""
        return self.dkim or self.spf


@dataclass(frozen=True, slots=True)
class DemoReport:
    """One reporter's report about one UTC day."""

    reporter: Reporter
    domain: str
    day: date
    report_id: str
    policy: str
    rows: tuple[Row, ...]

    @property
    def messages(self) -> int:
        """The sum of the counts."""
        return sum(row.count for row in self.rows)

    @property
    def begin(self) -> int:
        """The day's first second."""
        return int(datetime.combine(self.day, time(), UTC).timestamp())

    @property
    def end(self) -> int:
        """The day's last second."""
        return self.begin + 86_399


def reports(domain: str, last: date, days: int = 90, seed: int = SEED) -> Iterator[DemoReport]:
    """Every report of the `days` up to and including `last`, oldest first."""
    chance = random.Random(f"{seed}:{domain}")  # noqa: S311 - a story, no secret
    for back in range(days - 1, -1, -1):
        day = last - timedelta(days=back)
        age = (days - back) / days
        policy = "none" if age <= 0.5 else "quarantine"
        for reporter in REPORTERS:
            if chance.random() < 0.03:  # now and then a reporter has a bad day
                continue
            rows = tuple(_rows(reporter, day, age, policy, chance))
            if rows:
                report_id = f"{chance.getrandbits(64):020d}"
                yield DemoReport(reporter, domain, day, report_id, policy, rows)


def service_hosts() -> Iterator[tuple[Service, int, str]]:
    """The hosts of the services, each with its number and the addresses that its mail comes from."""
    for place, service in enumerate(SERVICES):
        for index in range(service.addresses):
            yield service, index, _address(place, index, service.v6 and index % 2 == 1)


def forwarder_hosts() -> list[str]:
    """The addresses of the forwarder's hosts."""
    return [f"203.0.113.{index + 2}" for index in range(3)]


def _rows(reporter: Reporter, day: date, age: float, policy: str, chance: random.Random) -> Iterator[Row]:
    for place, service in enumerate(SERVICES):
        wanted = _volume(service, day, age) * reporter.share * chance.uniform(0.7, 1.3)
        for index, part in enumerate(_split(wanted, service.addresses, chance)):
            # The mail of a system of one's own has no second signature by which a broken one is known again.
            flaw = service.flaw if service.signer else 0.0
            flawed = sum(chance.random() < flaw for _ in range(min(part, 400)))
            address = _address(place, index, service.v6 and index % 2 == 1)
            # A team fixed the CRM's signatures after the first third.
            dkim = service.dkim or (service.name == "crm" and age > 0.35)
            if part > flawed:
                yield _row(reporter, address, part - flawed, dkim, service.spf, policy, service)
            if flawed:
                yield _row(reporter, address, flawed, False, False, policy, service)
    yield from _forwarded(reporter, policy, chance)
    yield from _spoofed(reporter, age, policy, chance)


def _volume(service: Service, day: date, age: float) -> float:
    wanted = service.daily * (service.weekend if day.weekday() >= 5 else 1.0) * (0.9 + 0.2 * age)
    if service.burst_weekday is not None:
        wanted *= 2.5 if day.weekday() == service.burst_weekday else 0.4
    return wanted


def _split(wanted: float, addresses: int, chance: random.Random) -> list[int]:
    whole = int(wanted) + (chance.random() < wanted % 1)
    parts = [0] * addresses
    if whole < addresses * 4:
        parts[chance.randrange(addresses)] = whole
    else:
        cuts = sorted(chance.randrange(whole + 1) for _ in range(addresses - 1))
        parts = [high - low for low, high in zip([0, *cuts], [*cuts, whole], strict=True)]
    return [part for part in parts if part]


def _address(place: int, index: int, v6: bool) -> str:
    if v6:
        return f"2001:db8:{place + 1:x}::{index + 1:x}"
    block = "192.0.2" if place % 2 == 0 else "198.51.100"
    return f"{block}.{8 + (place // 2) * 16 + index}"


def _row(
    reporter: Reporter, address: str, count: int, dkim: bool, spf: bool, policy: str, service: Service, reason: str = ""
) -> Row:
    passed = dkim or spf
    disposition = "none" if passed or policy == "none" or reason else "quarantine"
    return Row(
        address,
        count,
        dkim,
        spf,
        disposition,
        service.name,
        service.selector,
        reason,
        service.signer,
        service.envelope,
    )


# A forwarder signs too, and leaves the return path as it was.
_FORWARDER = Service("university-forwarder", 0, 1.0, 4, selector="google", signer="alumni.university.example")
_STRANGER = Service("unknown", 0, 1.0, 1, dkim=False, spf=False)
_ATTACKER = Service("unknown", 0, 1.0, 1, dkim=False, spf=False, envelope="bulk-offers.example")
# The part of the period in which the attack lasts: three of 90 days, within the last 30.
_ATTACK = (0.8, 0.834)


def _forwarded(reporter: Reporter, policy: str, chance: random.Random) -> Iterator[Row]:
    """Mail that a forwarder passed on: SPF breaks, DKIM mostly survives."""
    for index, address in enumerate(forwarder_hosts()):
        count = int(40 * reporter.share * chance.uniform(0.5, 1.5))
        if count:
            survived = index != 2
            reason = "" if survived or not reporter.overrides else "forwarded"
            yield _row(reporter, address, count, survived, False, policy, _FORWARDER, reason)


def _spoofed(reporter: Reporter, age: float, policy: str, chance: random.Random) -> Iterator[Row]:
    """A trickle of forged mail at all times, and an attack of three days: many hosts, one return path of their own."""
    for index in range(26 if _ATTACK[0] < age <= _ATTACK[1] else 2):
        count = int((520 if index > 1 else 9) * reporter.share * chance.random())
        if count:
            address = f"203.0.113.{chance.randrange(16, 255)}"
            yield _row(reporter, address, count, False, False, policy, _ATTACKER if index > 1 else _STRANGER)
