"""A replay equals what a slow way counts message by message, its parts add up, and each rule has exact figures."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.policy.replay import PolicyReplay
from dmarcworks.policy.tags import parse_policy
from tests.support.policy_records import NAME, ORGANISATIONS, Mail, Published, domain_of, slowly, store
from tests.support.policy_senders import reader

pytestmark = pytest.mark.asyncio(loop_scope="package")

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 7)
_NAMES = st.sampled_from(sorted(ORGANISATIONS))
_RESULT = st.sampled_from(["pass", "fail", None])
_MAILS = st.builds(
    Mail,
    count=st.integers(0, 40),
    ip=st.sampled_from(["192.0.2.1", "192.0.2.2", "198.51.100.7", "2001:db8::1"]),
    author=st.one_of(_NAMES, st.none()),
    dkim=_RESULT,
    spf=_RESULT,
    signed=st.lists(st.tuples(_NAMES, st.sampled_from(["pass", "fail"])), max_size=2).map(tuple),
    envelopes=st.lists(
        st.tuples(_NAMES, st.sampled_from(["mfrom", "helo", None]), st.sampled_from(["pass", "softfail"])), max_size=2
    ).map(tuple),
    reasons=st.lists(st.sampled_from(["forwarded", "mailing_list", "local_policy"]), max_size=2).map(tuple),
)
_MODE = st.sampled_from([None, "r", "s"])
_PUBLISHED = st.builds(
    Published,
    day=st.integers(0, 6).map(lambda days: FIRST + timedelta(days=days)),
    domain=st.sampled_from([NAME, NAME, NAME, "mail.example.com"]),
    adkim=_MODE,
    aspf=_MODE,
)
_LEVEL = st.sampled_from(["none", "quarantine", "reject"])
_TAGS = st.fixed_dictionaries(
    {"p": _LEVEL},
    optional={
        "sp": _LEVEL,
        "np": _LEVEL,
        "adkim": st.sampled_from("rs"),
        "aspf": st.sampled_from("rs"),
        "t": st.sampled_from("yn"),
        "pct": st.integers(0, 100).map(str),
    },
)


async def replayed(analytics: Analytics, domain: Domain, tags: dict[str, str]) -> PolicyReplay:
    text = ",".join(f"{name}={value}" for name, value in tags.items())
    return await reader(analytics).replay(domain, FIRST, LAST, parse_policy(text))


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.generate, Phase.target, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(
    reports=st.lists(st.tuples(_PUBLISHED, st.lists(_MAILS, min_size=1, max_size=6)), min_size=1, max_size=4),
    tags=_TAGS,
)
async def test_a_replay_equals_the_slow_way(analytics: Analytics, reports: Any, tags: dict[str, str]) -> None:
    domain = domain_of(uuid.uuid4().hex)
    await store(analytics, domain, reports)
    expected, found = slowly(reports, tags), await replayed(analytics, domain, tags)
    pct = int(tags.get("pct", "100"))
    assert (found.total.messages, found.total.reject, found.total.quarantine) == (
        expected.messages,
        expected.reject,
        expected.quarantine,
    )
    assert found.total.affected == expected.affected(pct)
    assert (found.candidates.messages, found.other_record, found.outside) == (
        expected.candidates,
        expected.other_record,
        expected.outside,
    )
    assert {day: one.reject + one.quarantine for day, one in found.days.items() if one.reject + one.quarantine} == dict(
        expected.days
    )
    sources: dict[str, int] = {}
    for one in found.sources:
        sources[one.source_ip] = sources.get(one.source_ip, 0) + one.effect.reject + one.effect.quarantine
    assert sources == dict(expected.sources)
    assert found.sources_total == len(expected.sources)
    assert dict(found.overrides) == dict(expected.overrides)
    for parts in (found.senders, found.classes.items()):
        effects = [part[1] if isinstance(part, tuple) else part.effect for part in parts]
        assert sum(one.messages for one in effects) == found.total.messages
        assert sum(one.reject for one in effects) == found.total.reject
        assert sum(one.quarantine for one in effects) == found.total.quarantine
    assert (found.rest.messages, found.rest.affected) == (0, 0)
