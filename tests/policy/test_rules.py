"""Each rule of a replay by a record of its own, with exact figures; rounding; and the account's wall."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date

import pytest

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.policy.replay import PolicyReplay
from dmarcworks.policy.tags import parse_policy
from tests.support.policy_records import Mail, Published, domain_of, store
from tests.support.policy_senders import reader

pytestmark = pytest.mark.asyncio(loop_scope="package")

DAY = date(2026, 11, 3)


async def replayed(
    analytics: Analytics, text: str, mails: Sequence[Mail], published: Published | None = None
) -> PolicyReplay:
    domain = domain_of(uuid.uuid4().hex)
    await store(analytics, domain, [(published or Published(day=DAY), mails)])
    return await reader(analytics).replay(domain, DAY, DAY, parse_policy(text))


OWN = (("example.com", "pass"),)
SUB = (("mail.example.com", "pass"),)


@pytest.mark.parametrize(
    ("text", "mail", "published", "affected"),
    [
        # The evaluated result decides where the mode stays, whatever the raw results are.
        ("p=reject", Mail(dkim="fail", signed=OWN), Published(), 1),
        ("p=reject", Mail(dkim="pass", signed=()), Published(), 0),
        ("p=reject,adkim=r", Mail(dkim="fail", signed=SUB), Published(), 1),
        ("p=reject,adkim=s", Mail(dkim="fail", signed=SUB), Published(adkim="s"), 1),
        # From relaxed to strict: the same name is required.
        ("p=reject,adkim=s", Mail(dkim="pass", signed=SUB), Published(), 1),
        ("p=reject,adkim=s", Mail(dkim="pass", signed=(*SUB, *OWN)), Published(), 0),
        ("p=reject,adkim=s", Mail(dkim="pass", signed=SUB, author="mail.example.com"), Published(), 0),
        ("p=reject,adkim=s", Mail(dkim="fail", signed=OWN), Published(), 1),
        ("p=reject,adkim=s", Mail(dkim="pass", spf="pass", signed=SUB), Published(), 0),
        # From strict to relaxed: the same organisation suffices.
        ("p=reject,adkim=r", Mail(dkim="fail", signed=SUB), Published(adkim="s"), 0),
        ("p=reject,adkim=r", Mail(signed=(("notexample.com", "pass"),)), Published(adkim="s"), 1),
        ("p=reject,adkim=r", Mail(signed=(("mail.example.com", "fail"),)), Published(adkim="s"), 1),
        # SPF alike; HELO counts only where the return path has no result.
        ("p=reject,aspf=s", Mail(spf="pass", envelopes=(("mail.example.com", "mfrom", "pass"),)), Published(), 1),
        ("p=reject,aspf=s", Mail(spf="pass", envelopes=(("example.com", None, "pass"),)), Published(), 0),
        ("p=reject,aspf=s", Mail(spf="pass", envelopes=(("example.com", "helo", "pass"),)), Published(), 0),
        (
            "p=reject,aspf=s",
            Mail(spf="pass", envelopes=(("example.com", "helo", "pass"), ("mail.example.com", "mfrom", "pass"))),
            Published(),
            1,
        ),
        ("p=reject,aspf=r", Mail(envelopes=(("mail.example.com", "mfrom", "pass"),)), Published(aspf="s"), 0),
        # Which tag applies.
        ("p=reject,sp=none", Mail(author="mail.example.com"), Published(), 0),
        ("p=none,np=reject", Mail(author="ghost.example.com"), Published(), 1),
        ("p=none,sp=reject", Mail(author="example.com"), Published(), 0),
        ("p=reject", Mail(author=None), Published(), 1),
        ("p=reject", Mail(author="notexample.com"), Published(), 0),
        ("p=reject", Mail(author="mail.example.com"), Published(domain="mail.example.com"), 0),
        # One level lower.
        ("p=quarantine,t=y", Mail(), Published(), 0),
        ("p=reject,t=y", Mail(), Published(), 1),
    ],
)
async def test_what_is_affected(
    analytics: Analytics, text: str, mail: Mail, published: Published, affected: int
) -> None:
    found = await replayed(analytics, text, [mail], published)
    assert (found.total.messages, found.total.affected) == (1, affected)
    assert found.total.quarantined == (affected if "t=y" in text else 0)


async def test_a_subdomain_is_known_by_a_message_that_passed(analytics: Analytics) -> None:
    mails = [
        Mail(9, author="mail.example.com", dkim="pass", signed=SUB),
        Mail(4, author="mail.example.com"),
        Mail(7, author="ghost.example.com"),
    ]
    found = await replayed(analytics, "p=none,sp=quarantine,np=reject", mails)
    assert (found.total.quarantined, found.total.rejected) == (4, 7)
    assert (found.candidates.messages, found.candidates.affected, found.subdomains) == (7, 7, 20)


async def test_pct_is_a_rounded_share_of_the_failing_mail(analytics: Analytics) -> None:
    mails = [Mail(5, "192.0.2.1"), Mail(2, "198.51.100.1"), Mail(90, dkim="pass", signed=OWN)]
    found = await replayed(analytics, "p=reject,pct=50", mails)
    # 3.5 of 7 are rejected: 4; the rest is quarantined.
    assert (found.total.rejected, found.total.quarantined, found.total.affected) == (4, 3, 7)
    assert [(one.effect.rejected, one.effect.quarantined) for one in found.senders] == [(3, 2), (1, 1), (0, 0)]
    found = await replayed(analytics, "p=quarantine,pct=50", mails)
    assert (found.total.rejected, found.total.quarantined, found.total.affected) == (0, 4, 4)
    found = await replayed(analytics, "p=quarantine,pct=0", mails)
    assert (found.total.affected, found.senders[0].effect.disposition) == (0, "none")


async def test_overrides_and_dispositions_are_of_affected_mail(analytics: Analytics) -> None:
    mails = [
        Mail(5, reasons=("forwarded", "local_policy")),
        Mail(3, reasons=("made up",), disposition="quarantine"),
        Mail(20, dkim="pass", signed=OWN, reasons=("mailing_list",)),
    ]
    found = await replayed(analytics, "p=quarantine", mails)
    assert found.overrides == {"forwarded": 5, "local_policy": 5, "other": 3}
    assert found.dispositions == {"none": 5, "quarantine": 3}


async def test_another_account_is_not_counted(analytics: Analytics) -> None:
    mine, theirs = domain_of(uuid.uuid4().hex), domain_of(uuid.uuid4().hex)
    await store(analytics, theirs, [(Published(day=DAY), [Mail(7)])])
    found = await reader(analytics).replay(mine, DAY, DAY, parse_policy("p=reject"))
    assert (found.total.messages, found.senders, found.sources_total) == (0, (), 0)


async def test_a_record_without_messages_is_no_source(analytics: Analytics) -> None:
    found = await replayed(analytics, "p=reject", [Mail(0, "192.0.2.1"), Mail(2, "192.0.2.2")])
    assert (found.total.affected, found.sources_total, len(found.sources)) == (2, 1, 1)
