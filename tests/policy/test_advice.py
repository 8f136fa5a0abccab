"""The next step: its conditions with exact figures, a whole story, and that no lossy step is ever advised."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.policy.advice import PolicyAdvice
from dmarcworks.policy.conditions import PolicyThresholds
from dmarcworks.policy.tags import LEVELS, DomainPolicy
from tests.support.policy_records import Mail, Published, domain_of, store
from tests.support.policy_senders import reader

pytestmark = pytest.mark.asyncio(loop_scope="package")

FIRST = date(2026, 11, 1)
SIGNED = (("example.com", "pass"),)
GOOD = Mail(1000, "192.0.2.1", dkim="pass", signed=SIGNED)
SERVICE = (("sendgrid.net", "pass"),)
FORWARDED = Mail(8, "198.51.100.7", reasons=("forwarded",))
Reports = list[tuple[Published, Sequence[Mail]]]


def days(count: int, mails: Sequence[Mail], start: int = 0, **published: Any) -> Reports:
    """One report a day of each of two reporters."""
    return [
        (Published(day=FIRST + timedelta(days=start + day), org=org, **published), mails)
        for day in range(count)
        for org in ("google.com", "Yahoo")
    ]


async def advised(
    analytics: Analytics, reports: Reports, decisions: dict[str, str] | None = None, window: int = 30
) -> PolicyAdvice:
    domain = domain_of(uuid.uuid4().hex)
    await store(analytics, domain, reports)
    last = max(published.day for published, _ in reports)
    first = last - timedelta(days=window - 1)
    return await reader(analytics, decisions).advice(domain, first, last, last + timedelta(days=1))


def unmet(advice: PolicyAdvice) -> list[str]:
    return [one.code for one in advice.because if not one.met]


async def test_a_domain_is_led_from_none_to_reject(analytics: Analytics) -> None:
    """Not ready, with the fix; the figures change: ready; stepped: watched; ready again; the forwarder is decided."""
    broken = [GOOD, Mail(30, "203.0.113.5", signed=SERVICE), FORWARDED]
    mine = {"dkim:sendgrid.net": "mine"}
    advice = await advised(analytics, days(14, broken), mine)
    assert (advice.next, advice.ready, advice.stay) == (DomainPolicy("quarantine"), False, True)
    assert unmet(advice) == ["own_mail", "sender_to_fix"]
    by_code = {one.code: one.message for one in advice.because}
    # 28 reports with 1,000 good and 30 broken messages each.
    assert by_code["own_mail"] == (
        "p=quarantine would keep 28,000 of 28,840 messages of your own senders (97.08 %); 98 % are required."
    )
    assert by_code["sender_to_fix"].startswith(
        "SendGrid: 840 of 840 messages would be affected. It is yours. In the SendGrid console"
    )
    assert by_code["forwarder"] == ("198.51.100.0/24: 224 of 224 messages would be affected. It forwards mail.")
    assert advice.summary == (
        "Stay at p=none. Not yet ready for p=quarantine: p=quarantine would keep 28,000 of 28,840 messages of your own"
        " senders (97.08 %); 98 % are required. One more condition is not met."
    )
    fixed = [GOOD, Mail(30, "203.0.113.5", signed=(*SERVICE, *SIGNED), dkim="pass"), FORWARDED]
    advice = await advised(analytics, days(14, fixed), mine)
    assert (advice.next, advice.ready, unmet(advice)) == (DomainPolicy("quarantine"), True, [])
    assert advice.summary == "Ready for p=quarantine: all 8 conditions are met."
    stepped = days(14, fixed) + days(5, fixed, 14, p="quarantine", sp="quarantine")
    advice = await advised(analytics, stepped, mine)
    assert (advice.next, advice.ready, advice.stay) == (DomainPolicy("reject"), False, True)
    assert unmet(advice) == ["watched_days", "forwarder"]
    assert advice.in_force is not None
    assert (advice.in_force.since, advice.in_force.days, advice.in_force.changed) == (date(2026, 11, 15), 5, True)
    assert advice.in_force.source == "policy_published in the reports about 2026-11-19 from Yahoo, google.com"
    watched = days(14, fixed) + days(14, fixed, 14, p="quarantine", sp="quarantine")
    assert unmet(await advised(analytics, watched, mine)) == ["forwarder"]
    advice = await advised(analytics, watched, {**mine, "block:198.51.100.0": "forwarder"})
    assert (advice.ready, advice.next) == (True, DomainPolicy("reject"))
    done = days(14, fixed, p="reject", sp="reject")
    advice = await advised(analytics, done, mine)
    assert (advice.next, advice.ready, advice.stay) == (None, False, True)
    assert advice.summary == "Stay at p=reject: there is no stricter step."


async def test_a_policy_that_loses_mail_is_not_to_be_kept(analytics: Analytics) -> None:
    mails = [GOOD, Mail(30, "203.0.113.5", signed=SERVICE)]
    advice = await advised(analytics, days(20, mails, p="quarantine"), {"dkim:sendgrid.net": "mine"})
    assert (advice.stay, advice.ready) == (False, False)
    assert advice.summary == (
        "p=quarantine, the policy in force, affects 1,200 of 1,200 messages of SendGrid, which is yours."
        " Fix it, or publish p=none until it is fixed."
    )


async def test_each_entry_condition(analytics: Analytics) -> None:
    few = [Mail(1, dkim="pass", signed=SIGNED)]
    one = [(published, mails) for published, mails in days(3, few) if published.org == "Yahoo"]
    advice = await advised(analytics, one)
    assert unmet(advice) == ["watched_days", "volume", "reporters"]
    messages = [one.message for one in advice.because][:4]
    assert messages == [
        "The newest report about this policy is about 2026-11-03, 1 day ago; it may be 4 days at most.",
        "Reports show p=none since 2026-11-01, for 3 days; 14 are required.",
        "The period has 3 messages; 100 are required.",
        "1 reporter sent reports about the period; 2 are required.",
    ]
    unknown = days(14, [GOOD, Mail(5, "203.0.113.77")])
    assert unmet(await advised(analytics, unknown)) == ["sender_undecided"]
    assert unmet(await advised(analytics, unknown, {"block:203.0.113.0": "not_mine"})) == []
    nothing = await reader(analytics).advice(domain_of(uuid.uuid4().hex), FIRST, FIRST, FIRST)
    assert (nothing.in_force, nothing.next, nothing.ready) == (None, DomainPolicy(), True)


async def test_subdomains_that_are_in_use_follow_at_the_end(analytics: Analytics) -> None:
    subdomain = Mail(50, "192.0.2.9", author="mail.example.com", dkim="pass", signed=(("mail.example.com", "pass"),))
    advice = await advised(analytics, days(14, [GOOD, subdomain]))
    assert advice.next == DomainPolicy("quarantine", sp="none")
    assert [step.policy.text for step in advice.plan] == [
        "p=none",
        "p=quarantine,sp=none",
        "p=reject,sp=none",
        "p=reject,sp=quarantine",
        "p=reject",
    ]
    ghost = Mail(50, "192.0.2.9", author="ghost.example.com")
    assert (await advised(analytics, days(14, [GOOD, ghost]))).next == DomainPolicy("quarantine")


_SENT = st.builds(
    Mail,
    count=st.sampled_from([1, 2, 40, 300, 1000]),
    ip=st.sampled_from(["192.0.2.1", "198.51.100.7", "203.0.113.5"]),
    author=st.sampled_from(["example.com", "mail.example.com"]),
    dkim=st.sampled_from(["pass", "fail"]),
    signed=st.sampled_from([(), SIGNED, SERVICE, (*SERVICE, *SIGNED)]),
    reasons=st.sampled_from([(), ("forwarded",)]),
)
_DECISION = st.sampled_from(["mine", "mine", "not_mine", "forwarder", "ignore"])
_KEYS = (
    "dkim:sendgrid.net",
    "self:s1._domainkey.example.com",
    "block:192.0.2.0",
    "block:198.51.100.0",
    "block:203.0.113.0",
)


@settings(
    max_examples=80,
    deadline=None,
    phases=(Phase.generate, Phase.target, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(
    mails=st.lists(_SENT, min_size=1, max_size=6),
    decisions=st.fixed_dictionaries({}, optional=dict.fromkeys(_KEYS, _DECISION)),
    p=st.sampled_from(LEVELS),
    sp=st.sampled_from([None, *LEVELS]),
    np=st.sampled_from([None, *LEVELS]),
    modes=st.sampled_from([(None, None), ("s", None), (None, "s"), ("s", "s")]),
    pct=st.sampled_from([None, 50]),
)
async def test_no_lossy_step_is_advised(
    analytics: Analytics,
    mails: list[Mail],
    decisions: dict[str, str],
    p: str,
    sp: str | None,
    np: str | None,
    modes: tuple[str | None, str | None],
    pct: int | None,
) -> None:
    """Whatever the mail, the record and the decisions: a step that is ready keeps the mail of each sender of yours.

    No step makes alignment stricter, or any level weaker than it is."""
    domain = domain_of(uuid.uuid4().hex)
    published = {"p": p, "sp": sp, "np": np, "adkim": modes[0], "aspf": modes[1], "pct": pct}
    await store(analytics, domain, days(2, [replaced(mail) for mail in mails], **published))
    last = FIRST + timedelta(days=1)
    policies = reader(analytics, decisions)
    policies.thresholds = PolicyThresholds(watch_days=1, messages=1, reporters=1)
    advice = await policies.advice(domain, FIRST, last, last)
    if not advice.ready or advice.next is None:
        assert not advice.ready
        return
    force = advice.in_force
    assert force is not None
    assert (advice.next.adkim, advice.next.aspf) == (force.policy.adkim, force.policy.aspf)
    for name in ("p", "subdomains", "nonexistent"):
        before, after = getattr(force.policy, name), getattr(advice.next, name)
        assert LEVELS.index(after) >= LEVELS.index(before)
    replayed = await policies.replay(domain, FIRST, last, advice.next)
    reject = "reject" in {advice.next.p, advice.next.subdomains, advice.next.nonexistent}
    for one in replayed.senders:
        decided = decisions.get(one.key.id)
        if decided == "mine":
            assert one.yours
        if one.yours:
            assert one.effect.affected * 1000 <= (5 if reject else 20) * one.effect.messages
    own = [one.effect for one in replayed.senders if one.yours]
    assert sum(one.affected for one in own) * 1000 <= (5 if reject else 20) * sum(one.messages for one in own)


def replaced(mail: Mail) -> Mail:
    """The same with a result that its signatures allow."""
    signed = any(domain == "example.com" for domain, _ in mail.signed)
    return Mail(
        mail.count, mail.ip, mail.author, mail.dkim if signed else "fail", "fail", mail.signed, (), mail.reasons
    )
