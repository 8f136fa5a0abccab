"""The demo's attack is classified as suspicious by its figures: never aligned, no host names, three days long."""

from __future__ import annotations

from datetime import date, timedelta

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.analytics.sender_directory import SenderDirectory
from dmarcworks.catalogue.source_addresses import SourceAddresses
from dmarcworks.cli.demo_data import reports
from dmarcworks.cli.demo_mails import mail
from dmarcworks.enrich.network.addresses import AddressName
from dmarcworks.enrich.senders.classify import SenderClass
from tests.support.harness import Harness

LAST = date(2026, 11, 22)


async def test_the_attack_is_suspicious_once_its_addresses_were_looked_up(harness: Harness) -> None:
    domain = await harness.add_domain("demo.example")
    made = [one for one in reports(domain.name, LAST) if one.day > LAST - timedelta(days=30)]
    attack = [one for one in made if any(row.envelope == "bulk-offers.example" for row in one.rows)]
    quiet = next(one for one in reversed(made) if one not in attack)
    await harness.receive(domain, *(mail(one, domain.rua) for one in (*attack, quiet)))
    messages = sum(row.count for one in attack for row in one.rows if row.envelope == "bulk-offers.example")
    # What DNS answers for addresses of documentation: there is no such name.
    none = {row.source_ip: AddressName(None, False) for one in attack for row in one.rows if row.service == "unknown"}
    addresses = SourceAddresses(harness.stores.database, queued=True)
    # They are queued within a second of their report; here at once.
    await addresses.known(none)
    await addresses.store(none)
    await harness.do("senders-refresh")
    directory = SenderDirectory(Questions(harness.analytics), harness.stores.senders)
    senders = await directory.of_domain(domain, LAST - timedelta(days=29), LAST)
    (suspicious,) = [row for row in senders.rows if row.sender_class is SenderClass.suspicious]
    assert (suspicious.id, suspicious.group.messages, suspicious.group.passed) == (
        "envelope:bulk-offers.example",
        messages,
        0,
    )
    assert suspicious.classification.because == (
        "Its mail is never aligned.",
        "100 % of its messages are from addresses without a PTR.",
        "All of its messages were sent within 3 days.",
    )
    assert suspicious.needs_decision
