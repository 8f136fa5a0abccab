"""Senders by evidence: every row is in exactly one group, and the groups' sums are those of the domain."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dmarcworks.analytics.questions.all import OwnRule, Questions, SenderRows
from dmarcworks.analytics.sender_key import ID_CHARACTERS, SenderBasis, SenderKey
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.errors import NotFoundError
from dmarcworks.reports.model import DkimResult, Reason, Record, SpfResult
from tests.support.sender_rows import DAY, DOMAIN, Row, store

pytestmark = pytest.mark.asyncio(loop_scope="module")


def record(
    ip: str = "192.0.2.1",
    count: int = 1,
    *,
    dkim: tuple[tuple[str | None, str | None, str], ...] = (),
    spf: tuple[tuple[str | None, str], ...] = (),
    aligned: tuple[str, str] = ("fail", "fail"),
    disposition: str | None = "none",
    reasons: tuple[Reason, ...] = (),
    envelope: str | None = None,
) -> Record:
    return Record(
        ip, count, disposition, *aligned, reasons, "example.com", envelope, None,
        tuple(DkimResult(domain, selector, result, None) for domain, selector, result in dkim),
        tuple(SpfResult(domain, "mfrom", result, None) for domain, result in spf),
    )  # fmt: skip


async def groups(analytics: Analytics, account: str, own: tuple[OwnRule, ...] = ()) -> dict[str, Any]:
    page = await Questions(analytics).sender_groups(account, DOMAIN, DAY, DAY + timedelta(days=6), own=own, limit=1000)
    assert page.total == len(page.rows)
    return {row.key.id: row for row in page.rows}


PASS = ("pass", "fail")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row(record(dkim=(("sendgrid.net", "s1", "pass"),)), sender="SendGrid", kind="transactional"), "name:SendGrid"),
        (Row(record(dkim=(("SendGrid.NET.", "s1", "pass"),))), "dkim:sendgrid.net"),
        (Row(record(dkim=(("sendgrid.net", "s1", "fail"),))), "block:192.0.2.0"),
        (Row(record(dkim=(("example.com", "S1", "pass"),), aligned=PASS)), "self:s1._domainkey.example.com"),
        (Row(record(dkim=(("m.example.com", "k", "pass"),))), "self:k._domainkey.m.example.com"),
        (Row(record(dkim=(("notexample.com", "k", "pass"),))), "dkim:notexample.com"),
        (Row(record(dkim=(("example.com", None, "pass"),), aligned=PASS)), "self:._domainkey.example.com"),
        # The parent domain's signature is the domain's own only where the reporter found it aligned.
        (Row(record(dkim=(("com", "k", "pass"),))), "dkim:com"),
        # Who else signed says more than that the domain did; the order in the report does not matter.
        (Row(record(dkim=(("example.com", "k", "pass"), ("amazonses.com", "x", "pass")), aligned=PASS)),
         "dkim:amazonses.com"),
        (Row(record(dkim=(("zz.example", "k", "pass"), ("aa.example", "x", "pass")))), "dkim:aa.example"),
        (Row(record(spf=(("Bounce.Mailer.example", "pass"),))), "envelope:bounce.mailer.example"),
        (Row(record(spf=(("bounce.mailer.example", "softfail"),))), "block:192.0.2.0"),
        (Row(record(), ptr="o1.mail.sendgrid.net", confirmed=True), "ptr:sendgrid.net"),
        (Row(record(), ptr="o1.mail.shop.co.uk", confirmed=True), "ptr:shop.co.uk"),
        (Row(record(), ptr="o1.mail.sendgrid.net", confirmed=False, as_name="Net"), "network:Net"),
        (Row(record(), ptr="o1.mail.sendgrid.net"), "block:192.0.2.0"),
        (Row(record(), asn=64500), "network:AS64500"),
        (Row(record("2001:db8:1:2:3::4")), "block:2001:db8:1:2::"),
        (Row(record("?'\\")), "block~Pydc"),
        (Row(record(), sender="a/b\n<i>", kind="other"), "name~YS9iCjxpPg"),
    ],
)  # fmt: skip
async def test_a_row_belongs_to_the_strongest_evidence(analytics: Analytics, row: Row, expected: str) -> None:
    account = uuid.uuid4().hex
    await store(analytics, account, [row])
    assert list(await groups(analytics, account)) == [expected]
    key = SenderKey.parse(expected)
    assert key.id == expected
    found = await Questions(analytics).sender_group(account, DOMAIN, DAY, DAY, key)
    assert found is not None
    assert (found.key, found.messages) == (key, 1)


async def test_one_question_gives_all_figures_of_a_sender(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    signed = (("example.com", "k", "pass"),)
    arc = Reason("local_policy", "ARC=pass as[1].d=x")
    rows = [
        Row(record("192.0.2.1", 5, dkim=signed, aligned=("pass", "pass")), "Host", "hosting", 1.0, "a.host.example",
            True, "Net A", 1, "DE"),
        Row(record("192.0.2.2", 3, dkim=signed, spf=(("srs.example", "pass"),), aligned=PASS, disposition="quarantine",
                   reasons=(Reason("forwarded", None), Reason("forwarded", "twice"), arc)), "Host", "hosting", 0.75,
            None, False, "Net B", 2, "US"),
        Row(record("192.0.2.2", 2, disposition=None, reasons=(Reason("invented", None),)), "Host", "hosting", 1.0),
    ]  # fmt: skip
    await store(analytics, account, rows)
    await store(analytics, account, rows[:1], DAY + timedelta(days=2), "Yahoo")
    found = (await groups(analytics, account))["name:Host"]
    assert (found.messages, found.passed, found.failed) == (15, 13, 2)
    assert (found.dkim_aligned, found.spf_aligned, found.quarantined, found.rejected) == (13, 10, 3, 0)
    assert found.dispositions == {"none": 10, "quarantine": 3, "": 2}
    assert found.reasons == {"forwarded": 3, "local_policy": 3, "other": 2}
    assert (found.addresses, found.countries, found.networks, found.network_names) == (
        2, ("DE", "US"), 2, ("Net A", "Net B"),
    )  # fmt: skip
    assert (found.kind, found.confidence, found.reporters) == ("hosting", 0.75, 2)
    assert found.overrides == {"other": 2}
    # Of the others nobody knows yet whether their address has a name.
    assert (found.arc, found.srs, found.survived, found.with_ptr) == (0, 0, 0, 12)
    assert (found.first_day, found.last_day) == (DAY, DAY + timedelta(days=2))
    assert [key.id for key in found.earlier] == ["block:192.0.2.0", "self:k._domainkey.example.com"]
    days = await Questions(analytics).sender_days(account, DOMAIN, DAY, DAY + timedelta(days=6), [found.key])
    assert [(one.day, one.messages, one.passed, one.failed) for one in days[found.key]] == [
        (DAY, 10, 8, 2),
        (DAY + timedelta(days=2), 5, 5, 0),
    ]


async def test_signs_of_forwarding_are_counted(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    signed = (("example.com", "k", "pass"),)
    arc = (Reason("local_policy", "arc=pass as[1].d=x"), Reason("forwarded", None))
    rows = [
        Row(record(count=1, reasons=arc)),
        Row(record(count=2, envelope="SRS0=a=b=example.com=x@forwarder.example")),
        Row(record(count=4, envelope="srs.forwarder.example")),
        Row(record(count=8, envelope="notsrs.example")),
        # Survived: SPF fails for the domain itself, or the envelope is a forwarder's.
        Row(record(count=16, dkim=signed, aligned=PASS, spf=(("Example.com", "softfail"),))),
        Row(record(count=32, dkim=signed, aligned=PASS, spf=(("srs1.x.example", "pass"),), envelope="srs1.x.example")),
        # Not forwarded: a service's own return path, SPF aligned, or no signature of the domain.
        Row(record(count=64, dkim=signed, aligned=PASS, spf=(("mailer.example", "fail"),))),
        Row(record(count=128, dkim=signed, aligned=("pass", "pass"), spf=(("example.com", "fail"),))),
        Row(record(count=256, spf=(("example.com", "fail"),))),
    ]
    await store(analytics, account, rows)
    found = (await groups(analytics, account)).values()
    sums = {name: sum(getattr(row, name) for row in found) for name in ("arc", "srs", "survived")}
    assert sums == {"arc": 1, "srs": 6, "survived": 48}
    (overrides,) = [row.overrides for row in found if row.overrides]
    assert overrides == {"local_policy": 1, "forwarded": 1}


async def test_own_rules_come_first_and_take_effect_at_once(analytics: Analytics) -> None:
    account = uuid.uuid4().hex
    rows = [
        Row(record("203.0.113.7", 1, dkim=(("sendgrid.net", "s1", "pass"),)), sender="SendGrid"),
        Row(record("203.0.113.200", 2)),
        Row(record("2001:db8::9", 4)),
        Row(record("198.51.100.1", 8, dkim=(("example.com", "inv2024", "pass"),), aligned=PASS)),
        Row(record("198.51.100.1", 16, dkim=(("example.com", "other", "pass"),), aligned=PASS)),
        Row(record("198.51.100.1", 32, spf=(("b.news.example.com", "pass"),))),
        Row(record("198.51.100.1", 64), ptr="mx.office.example.net", confirmed=True),
        Row(record("198.51.100.1", 128), ptr="mx.office.example.net", confirmed=False),
        Row(record("not an address", 256)),
        Row(record("198.51.100.1", 512), ptr="mx.notoffice.example.net", confirmed=True),
    ]
    await store(analytics, account, rows)
    own = (
        OwnRule("All of it", "block", "203.0.113.0/24"),
        OwnRule("Billing", "block", "203.0.113.0/25"),
        OwnRule("Billing", "block", "2001:db8::/32"),
        OwnRule("Invoices", "dkim", "example.com", "inv*"),
        OwnRule("News", "envelope", "news.example.com"),
        OwnRule("Office", "ptr", "office.example.net"),
    )
    found = await groups(analytics, account, own)
    assert {name: row.messages for name, row in found.items()} == {
        "name:Billing": 5, "name:All of it": 2, "name:Invoices": 8, "self:other._domainkey.example.com": 16,
        "name:News": 32, "name:Office": 64, "block:198.51.100.0": 128, "block:not an address": 256,
        "ptr:example.net": 512,
    }  # fmt: skip
    assert (found["name:Billing"].kind, found["name:Billing"].confidence) == ("own", 1.0)
    # Another account has no such rule.
    assert "name:Billing" not in await groups(analytics, account)
    scoped = SenderRows.of(account, DOMAIN, DAY, DAY, own)
    page = await Questions(analytics).sender_addresses(scoped, SenderKey(SenderBasis.name, "Billing"))
    assert [(row.source_ip, row.messages) for row in page.rows] == [("2001:db8::9", 4), ("203.0.113.7", 1)]


async def test_the_details_of_one_sender(analytics: Analytics) -> None:
    account, questions = uuid.uuid4().hex, Questions(analytics)
    rows = [
        Row(record("192.0.2.1", 5, dkim=(("sendgrid.net", "s1", "pass"), ("example.com", "x", "fail")),
                   spf=(("b.sendgrid.net", "pass"),), envelope="b.sendgrid.net"), "SendGrid", "transactional", 1.0,
            "o1.sendgrid.net", True, "Twilio", 11377, "US"),
        Row(record("192.0.2.2", 2, dkim=(("example.com", "s1", "pass"),), aligned=PASS, spf=(("c.example", "fail"),)),
            "SendGrid", "transactional", 1.0),
        Row(record("192.0.2.3", 9)),
    ]  # fmt: skip
    await store(analytics, account, rows)
    await store(analytics, account, rows[1:2], DAY + timedelta(days=1), None)
    key = SenderKey(SenderBasis.name, "SendGrid")
    scope = SenderRows.of(account, DOMAIN, DAY, DAY + timedelta(days=6))
    page = await questions.sender_addresses(scope, key, limit=1)
    assert page.total == 2
    (first,) = page.rows
    assert (first.source_ip, first.ptr, first.ptr_confirmed, first.network, first.asn, first.country) == (
        "192.0.2.1", "o1.sendgrid.net", True, "Twilio", 11377, "US",
    )  # fmt: skip
    assert (first.messages, first.passed, first.dkim_valid, first.spf_valid) == (5, 0, 5, 5)
    (second,) = (await questions.sender_addresses(scope, key, limit=1, offset=1)).rows
    assert (second.source_ip, second.ptr, second.asn, second.messages, second.dkim_valid) == (
        "192.0.2.2",
        "",
        None,
        4,
        4,
    )
    assert [
        (s.domain, s.selector, s.messages, s.valid, s.aligned) for s in await questions.sender_selectors(scope, key)
    ] == [
        ("example.com", "x", 5, 0, 0),
        ("sendgrid.net", "s1", 5, 5, 0),
        ("example.com", "s1", 4, 4, 4),
    ]
    assert [
        (p.envelope_from, p.header_from, p.messages, p.spf_valid) for p in await questions.sender_pairs(scope, key)
    ] == [
        ("b.sendgrid.net", "example.com", 5, 5),
        ("c.example", "example.com", 4, 0),
    ]
    assert [(r.org_name, r.messages, r.passed) for r in await questions.sender_reporters(scope, key)] == [
        ("google.com", 7, 2),
        ("", 2, 2),
    ]
    assert await questions.sender_failures(scope, key) == ()


names = st.sampled_from([None, "", "sendgrid.net", "example.com", "a.example.com", "évil/'\\\n{x}", "x" * 400])
rows_of_strangers = st.builds(
    lambda ip, count, dkim, spf, sender, ptr, confirmed, as_name, aligned: Row(
        record(ip, count, dkim=tuple(dkim), spf=tuple(spf), aligned=aligned),
        sender=sender, ptr=ptr, confirmed=confirmed, as_name=as_name,
    ),
    st.sampled_from(["192.0.2.1", "192.0.3.9", "2001:db8::1", "?'\\", ""]),
    st.integers(0, 2**53),
    st.lists(st.tuples(names, names, st.sampled_from(["pass", "fail"])), max_size=2),
    st.lists(st.tuples(names, st.sampled_from(["pass", "fail"])), max_size=2),
    st.sampled_from([None, None, "SendGrid", "N'; DROP"]),
    names,
    st.sampled_from([None, True, False]),
    st.sampled_from([None, "Net"]),
    st.tuples(st.sampled_from(["pass", "fail"]), st.sampled_from(["pass", "fail"])),
)  # fmt: skip


@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(rows_of_strangers, min_size=1, max_size=6)), max_size=4))
async def test_the_sums_of_all_senders_are_the_totals_of_the_domain(
    analytics: Analytics, told: list[tuple[int, list[Row]]]
) -> None:
    account, questions = uuid.uuid4().hex, Questions(analytics)
    for offset, rows in told:
        await store(analytics, account, rows, DAY + timedelta(days=offset))
    last = DAY + timedelta(days=6)
    own = (OwnRule("Mine", "block", "192.0.3.0/24"), OwnRule("Mine too", "dkim", "a.example.com"))
    totals = await questions.figures(account, DOMAIN, DAY, last)
    page = await questions.sender_groups(account, DOMAIN, DAY, last, own=own, limit=1000)
    for name in ("messages", "passed", "failed", "dkim_aligned", "spf_aligned", "quarantined", "rejected"):
        assert sum(getattr(row, name) for row in page.rows) == getattr(totals, name)
    assert all(sum(row.dispositions.values()) == row.messages for row in page.rows)
    assert len({row.key for row in page.rows}) == page.total == len(page.rows)
    days = await questions.sender_days(account, DOMAIN, DAY, last, [row.key for row in page.rows], own=own)
    by_day: dict[date, Counter[str]] = defaultdict(Counter)
    for row in page.rows:
        assert sum(one.messages for one in days[row.key]) == row.messages
        assert sum(one.passed for one in days[row.key]) == row.passed
        for one in days[row.key]:
            by_day[one.day]["messages"] += one.messages
        assert SenderKey.parse(row.key.id) == row.key
        assert len(row.key.id) <= ID_CHARACTERS
        scope = SenderRows.of(account, DOMAIN, DAY, last, own)
        addresses = await questions.sender_addresses(scope, row.key, limit=1000)
        assert sum(one.messages for one in addresses.rows) == row.messages
        assert addresses.total == row.addresses
    volumes = await questions.volume_by_day(account, DOMAIN, DAY, last)
    assert {one.day: one.messages for one in volumes} == {day: sums["messages"] for day, sums in by_day.items()}
    halves = [
        await questions.sender_groups(account, DOMAIN, DAY, last, own=own, limit=2, offset=offset) for offset in (0, 2)
    ]
    assert halves[0].rows + halves[1].rows == page.rows[:4]


@given(st.sampled_from(list(SenderBasis)), st.text(max_size=300))
async def test_an_id_is_read_back_as_its_key(basis: SenderBasis, value: str) -> None:
    value = value.encode("utf-8", "replace").decode()
    key = SenderKey(basis, value)
    assert SenderKey.parse(key.id) == key
    assert len(key.id) <= ID_CHARACTERS
    assert "/" not in key.id
    assert key.id.isascii()
    assert key.id.isprintable()


@pytest.mark.parametrize("text", ["", "x", "other:x", "name:", "name~!", "name~/w", "name~" + "A" * 2000, "Name:x"])
async def test_text_that_is_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFoundError):
        SenderKey.parse(text)
