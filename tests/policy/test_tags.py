"""Policies as text: what is read, defaults, and errors that name the tag and its values."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.errors import UsageError
from dmarcworks.policy.alignment import is_aligned, organizational_domain
from dmarcworks.policy.steps import next_step, plan, strictest
from dmarcworks.policy.tags import LEVELS, DomainPolicy, parse_policy


def test_defaults_follow_the_rfc() -> None:
    policy = parse_policy(" P=Reject ; np=none, aspf = s ")
    assert policy == DomainPolicy("reject", np="none", aspf="s")
    assert (policy.subdomains, policy.nonexistent, policy.text) == ("reject", "none", "p=reject,np=none,aspf=s")
    assert policy.tags == {
        "p": "reject",
        "sp": "reject",
        "np": "none",
        "adkim": None,
        "aspf": "s",
        "t": "n",
        "pct": 100,
    }
    assert parse_policy("p=none,sp=quarantine").nonexistent == "quarantine"
    assert [parse_policy("p=none,t=y").applied(level) for level in LEVELS] == ["none", "none", "quarantine"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "the policy has no tag p; write it like p=reject,sp=none"),
        ("reject", "there is no policy tag 'reject' to replay; the tags are p, sp, np, adkim, aspf, t, pct"),
        ("p=", "p must be none, quarantine or reject, not ''"),
        ("p=none,t=1", "t must be y or n, not '1'"),
        ("p=none,pct=٣", "pct must be a whole number from 0 to 100, not '٣'"),
        ("p=none,pct=-1", "pct must be a whole number from 0 to 100, not '-1'"),
    ],
)
def test_a_wrong_policy_is_named(text: str, error: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_policy(text)
    assert str(raised.value) == error


@given(st.text(max_size=60))
def test_any_text_is_a_policy_or_a_usage_error(text: str) -> None:
    try:
        policy = parse_policy(text)
    except UsageError:
        return
    assert parse_policy(policy.text) == policy


_LEVEL = st.sampled_from(LEVELS)
POLICIES = st.builds(
    DomainPolicy,
    p=_LEVEL,
    sp=st.one_of(st.none(), _LEVEL),
    np=st.one_of(st.none(), _LEVEL),
    t=st.booleans(),
    pct=st.integers(0, 100),
)


@given(POLICIES)
def test_a_policy_is_its_text(policy: DomainPolicy) -> None:
    assert parse_policy(policy.text) == policy


@given(POLICIES, st.booleans())
def test_a_plan_ends_at_reject_and_never_weakens(policy: DomainPolicy, subdomain_mail: bool) -> None:
    steps = plan(policy, subdomain_mail=subdomain_mail)
    last = steps[-1]
    assert (last.p, last.subdomains, last.nonexistent, last.t) == ("reject", "reject", "reject", False)
    assert len(steps) < 9
    for before, after in pairwise(steps):
        assert LEVELS.index(strictest(after)) >= LEVELS.index(strictest(before))
        for name in ("p", "subdomains", "nonexistent"):
            levels = [one.applied(getattr(one, name)) for one in (before, after)]
            assert LEVELS.index(levels[1]) >= LEVELS.index(levels[0])
        assert after.pct >= before.pct


def test_subdomains_follow_where_they_send_mail() -> None:
    steps = [one.text for one in plan(DomainPolicy(), subdomain_mail=True)]
    assert steps == [
        "p=none",
        "p=quarantine,sp=none",
        "p=reject,sp=none",
        "p=reject,sp=quarantine",
        "p=reject",
    ]
    assert [one.text for one in plan(DomainPolicy(), subdomain_mail=False)] == ["p=none", "p=quarantine", "p=reject"]
    weak = DomainPolicy("reject", np="none")
    assert [one.text for one in plan(weak, subdomain_mail=True)] == ["p=reject,np=none", "p=reject"]
    testing = next_step(DomainPolicy("reject", t=True, pct=20), subdomain_mail=False)
    assert testing == DomainPolicy("reject", pct=20)
    assert next_step(testing, subdomain_mail=False) == DomainPolicy("reject")


@pytest.mark.parametrize(
    ("author", "domain", "relaxed", "strict"),
    [
        ("example.com", "example.com", True, True),
        ("mail.example.com", "example.com", True, False),
        ("example.com", "a.b.example.com", True, False),
        ("example.com", "notexample.com", False, False),
        ("a.example.co.uk", "b.example.co.uk", True, False),
        ("one.co.uk", "two.co.uk", False, False),
        ("co.uk", "example.co.uk", False, False),
        ("one.github.io", "two.github.io", False, False),
        ("example.com", "", False, False),
    ],
)
def test_alignment_is_by_name_or_by_organisation(author: str, domain: str, relaxed: bool, strict: bool) -> None:
    assert (is_aligned(author, domain, strict=False), is_aligned(author, domain, strict=True)) == (relaxed, strict)
    assert organizational_domain("a.b.example.co.uk") == "example.co.uk"
