"""Changes of records: what is edited and what stays, what is marked, and which change is proposed when."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.errors import UsageError
from dmarcworks.policy.advice import PolicyAdvice
from dmarcworks.policy.change_plan import ChangePlan, PlanInput, change_plan
from dmarcworks.policy.conditions import Condition
from dmarcworks.policy.in_force import PolicyInForce
from dmarcworks.policy.record_difference import PieceState, record_difference
from dmarcworks.policy.record_edit import policy_of_record, with_policy
from dmarcworks.policy.record_place import RecordPlace
from dmarcworks.policy.replay import Effect, PolicyReplay
from dmarcworks.policy.tags import LEVELS, DomainPolicy, parse_policy

RUA = "abc@reports.example.net"


@pytest.mark.parametrize(
    ("record", "policy", "after"),
    [
        ("v=DMARC1; p=none", "p=quarantine", "v=DMARC1; p=quarantine"),
        ("v=DMARC1;p=none;rua=mailto:a@b.example;", "p=reject", "v=DMARC1;p=reject;rua=mailto:a@b.example;"),
        ("v=DMARC1 ; P = None ; fo=1 ", "p=quarantine", "v=DMARC1 ; P = quarantine ; fo=1 "),
        (
            "v=DMARC1; p=none; rua=mailto:a@b.example",
            "p=quarantine,sp=none",
            "v=DMARC1; p=quarantine; sp=none; rua=mailto:a@b.example",
        ),
        # A tag that is there keeps its place; one that only repeats its default is not added.
        ("v=DMARC1; p=none; fo=1; sp=none", "p=quarantine", "v=DMARC1; p=quarantine; fo=1; sp=quarantine"),
        (
            "v=DMARC1; p=reject; sp=none; np=none",
            "p=reject,sp=quarantine,np=none",
            "v=DMARC1; p=reject; sp=quarantine; np=none",
        ),
        ("v=DMARC1; p=reject; t=y", "p=reject", "v=DMARC1; p=reject; t=n"),
        ("v=DMARC1; p=reject; pct=20; x=y", "p=reject", "v=DMARC1; p=reject; pct=100; x=y"),
        ("v=DMARC1; p=REJECT", "p=reject", "v=DMARC1; p=REJECT"),
        ("v=DMARC1", "p=none", "v=DMARC1; p=none"),
        ("v=DMARC1; p=", "p=reject", "v=DMARC1; p=reject"),
        ("v=DMARC1; p=reject; np=none", "p=reject", "v=DMARC1; p=reject; np=reject"),
    ],
)  # fmt: skip
def test_only_the_policy_is_edited(record: str, policy: str, after: str) -> None:
    assert with_policy(record, parse_policy(policy)) == after


def test_what_is_no_record_is_not_edited() -> None:
    with pytest.raises(UsageError, match="not a DMARC record"):
        with_policy("v=spf1 -all", DomainPolicy())


_LEVEL = st.sampled_from(LEVELS)
_TAG = st.one_of(
    st.builds("{}={}".format, st.sampled_from(["p", "sp", "np", "P", " Sp "]), _LEVEL),
    st.sampled_from(["t=y", "t=n", "pct=50", "pct=0", "rua=mailto:a@b.example", "fo=1", "x=;", "adkim=s", " "]),
)  # fmt: skip


@given(
    tags=st.lists(_TAG, max_size=8),
    end=st.sampled_from(["", ";", " ; ", "  "]),
    p=_LEVEL,
    sp=st.one_of(st.none(), _LEVEL),
    np=st.one_of(st.none(), _LEVEL),
    t=st.booleans(),
)
def test_an_edited_record_requests_the_policy(
    tags: list[str], end: str, p: str, sp: str | None, np: str | None, t: bool
) -> None:
    """And nothing but the policy's tags differs; editing again changes nothing."""
    record = ";".join(["v=DMARC1", *tags]) + end
    wanted = DomainPolicy(p, sp, np, t=t)
    edited = with_policy(record, wanted)
    found = policy_of_record(edited)
    assert found is not None
    assert (found.p, found.subdomains, found.nonexistent, found.t, found.pct) == (
        p, wanted.subdomains, wanted.nonexistent, t, 100,
    )  # fmt: skip
    assert with_policy(edited, wanted) == edited
    assert _others(edited) == _others(record)


def _others(record: str) -> list[str]:
    names = ("p", "sp", "np", "t", "pct")
    return [part.strip() for part in record.split(";") if part.partition("=")[0].strip().lower() not in names]


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_difference_has_both_records(before: str, after: str) -> None:
    pieces = record_difference(before, after)
    assert "".join(one.text for one in pieces if one.state != PieceState.added) == before
    assert "".join(one.text for one in pieces if one.state != PieceState.removed) == after
    assert all(one.text for one in pieces)


def advice(policy: str = "p=none", following: str | None = "p=quarantine", *, ready: bool = True) -> PolicyAdvice:
    force = PolicyInForce(parse_policy(policy), date(2026, 11, 20), date(2026, 11, 1), False, ("google.com",))
    wanted = parse_policy(following) if following else None
    summary = "Ready." if ready else "Not yet."
    return PolicyAdvice("example.com", force, wanted, ready, True, (Condition("volume", "", ready),), summary, ())


def replay(policy: str, affected: int = 0) -> PolicyReplay:
    total = Effect(100, reject=affected)
    nothing = Effect(0)
    return PolicyReplay(
        "example.com", date(2026, 11, 1), date(2026, 11, 20), parse_policy(policy), total, nothing, nothing,
        0, 0, 0, (), nothing, {}, {}, (), 0, {}, {}, 0,
    )  # fmt: skip


def planned(*records: str, known: PolicyAdvice | None = None, **place: object) -> ChangePlan:
    dmarc = RecordPlace("_dmarc.example.com", "TXT", "example.com", records, **place)  # type: ignore[arg-type]
    step = replay("p=quarantine")
    return change_plan(PlanInput("example.com", RUA, dmarc, known or advice(), step))


def test_a_domain_without_a_record_gets_a_first_one() -> None:
    (change,) = planned().changes
    assert (change.code, change.before, change.after) == ("dmarc-first", (), f"v=DMARC1; p=none; rua=mailto:{RUA}")
    assert change.back == "Delete the TXT record at _dmarc.example.com; there was none before."


def test_the_address_is_appended_and_the_step_goes_on() -> None:
    plan = planned("v=DMARC1; p=none; rua=mailto:x@y.example")
    assert [one.code for one in plan.changes] == ["dmarc-rua", "policy-step"]
    assert plan.changes[0].after == f"v=DMARC1; p=none; rua=mailto:x@y.example,mailto:{RUA}"
    assert plan.changes[1].after == "v=DMARC1; p=quarantine; rua=mailto:x@y.example"


@pytest.mark.parametrize(
    ("records", "after"),
    [
        (
            ("v=DMARC1; p=qarantine; rua=mailto:x@y.example",),
            f"v=DMARC1; p=quarantine; rua=mailto:x@y.example,mailto:{RUA}",
        ),
        (("v=dmarc1; p=none",), f"v=DMARC1; p=none; rua=mailto:{RUA}"),
        (("v=DMARC1; p=none", "v=DMARC1; p=reject"), f"v=DMARC1; p=none; rua=mailto:{RUA}"),
    ],
)  # fmt: skip
def test_a_broken_record_is_corrected_first(records: tuple[str, ...], after: str) -> None:
    plan = planned(*records)
    (change,) = plan.changes
    assert (change.code, change.before, change.after) == ("dmarc-repair", records, after)
    assert plan.notes == ("Publish the corrected DMARC record first; the next step of the policy follows after that.",)


def test_nothing_is_proposed_that_is_not_ready_or_not_seen() -> None:
    record = f"v=DMARC1; p=none; rua=mailto:{RUA}"
    assert planned(record, known=advice(ready=False)).notes == ("No change of the policy is proposed: Not yet.",)
    newer = planned(record.replace("none", "reject"))
    assert newer.changes == ()
    assert newer.notes[0].startswith(
        "The record requests p=reject now; the newest reports, about 2026-11-20, found p=none."
    )
    silent = planned(answered=False)
    assert silent.changes == ()
    assert silent.notes == (
        "DNS did not answer about _dmarc.example.com: what is published there now is not known. Try again.",
    )


def test_an_alias_and_another_zone_are_said() -> None:
    record = f"v=DMARC1; p=none; rua=mailto:{RUA}"
    (change,) = planned(record, alias="d.provider.example").changes
    assert change.obstacle == (
        "_dmarc.example.com is an alias (CNAME) of d.provider.example: no other record can be published at the same"
        " name. Change the record at d.provider.example, or remove the CNAME and publish the record at"
        " _dmarc.example.com."
    )
    (change,) = planned(record, zone="_dmarc.example.com", servers=("ns1.provider.example",)).changes
    assert change.obstacle == (
        "_dmarc.example.com is in _dmarc.example.com, a zone of its own, served by ns1.provider.example: change the"
        " record there."
    )
    assert planned(record, zone="example.com").changes[0].obstacle == ""


def test_a_parked_domain_is_four_records() -> None:
    places = {
        "dmarc": RecordPlace("_dmarc.example.com", "TXT", "example.com", ("v=DMARC1; p=none; rua=mailto:x@y.example",)),
        "spf": RecordPlace("example.com", "TXT", "example.com", ("google-site=1", "v=spf1 mx -all")),
        "mx": RecordPlace("example.com", "MX", "example.com", ("10 mx.example.com",)),
        "wildcard_keys": RecordPlace("*._domainkey.example.com", "TXT", "example.com"),
    }
    plan = change_plan(PlanInput("example.com", RUA, advice=advice(), parked=replay("p=reject", 7), **places))
    assert [(one.name, one.type, one.before, one.after) for one in plan.changes] == [
        ("example.com", "MX", ("10 mx.example.com",), "0 ."),
        ("example.com", "TXT", ("v=spf1 mx -all",), "v=spf1 -all"),
        ("*._domainkey.example.com", "TXT", (), "v=DKIM1; p="),
        (
            "_dmarc.example.com",
            "TXT",
            ("v=DMARC1; p=none; rua=mailto:x@y.example",),
            f"v=DMARC1; p=reject; rua=mailto:x@y.example,mailto:{RUA}",
        ),
    ]
    assert plan.changes[0].risk.summary.startswith("p=reject would have affected 7 of 100 messages")
