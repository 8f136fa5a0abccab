"""Unused SPF terms: what carried mail stays, what must stay is kept, and the rest is proven over stored passes."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta

import pytest
import pytest_asyncio

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.enrich.resolver import Dns
from dmarcworks.enrich.spf.model import SpfEvaluation, SpfResultCode
from dmarcworks.policy.spf_prune import PruneState, SpfPass, SpfPrune, proven
from tests.support.outside import Names, answering
from tests.support.planning import planner
from tests.support.policy_records import NAME, Mail, Published, domain_of, store

pytestmark = pytest.mark.asyncio(loop_scope="package")

FIRST = date(2026, 10, 1)
DAYS = 30
LAST = FIRST + timedelta(days=DAYS - 1)
RECORD = (
    "v=spf1  mx include:_spf.used.example include:_spf.unused.example ip4:198.51.100.0/24 ip4:203.0.113.0/24"
    " include:sendgrid.net a:%{i}.mail.example exists:%{i}.ex.example ?a -all"
)


@pytest_asyncio.fixture(loop_scope="package")
async def names() -> AsyncIterator[Names]:
    records = Names()
    records.add(
        {
            (NAME, "TXT"): [RECORD, "other=1"],
            (NAME, "MX"): "10 mx.example.com.",
            (NAME, "A"): "192.0.2.200",
            ("mx.example.com", "A"): "192.0.2.1",
            ("_spf.used.example", "TXT"): "v=spf1 ip4:192.0.2.64/26 -all",
            ("_spf.unused.example", "TXT"): "v=spf1 include:_b.unused.example -all",
            ("_b.unused.example", "TXT"): "v=spf1 ip4:192.0.2.128/26 -all",
            ("sendgrid.net", "TXT"): "v=spf1 ip4:100.64.0.0/24 -all",
        }
    )
    with answering(records):
        yield records


def passing(ip: str, count: int = 1, *, aligned: bool = True, scope: str | None = "mfrom") -> Mail:
    return Mail(count, ip, spf="pass" if aligned else "fail", envelopes=((NAME, scope, "pass"),))


SENT = (passing("192.0.2.1", 5), passing("192.0.2.70", 7), passing("198.51.100.9", 2, aligned=False))


async def pruned(
    analytics: Analytics,
    names: Names,
    mails: Sequence[Mail] = SENT,
    decisions: dict[str, str] | None = None,
    days: int = DAYS,
) -> SpfPrune:
    domain = domain_of(uuid.uuid4().hex)
    reports = [(Published(day=FIRST + timedelta(days=DAYS - 1 - back)), mails) for back in range(days)]
    await store(analytics, domain, reports)
    dns = Dns(names.server)
    try:
        return await planner(analytics, dns, decisions).prune(domain, LAST, DAYS)
    finally:
        dns.close()


async def test_unused_terms_are_removed_with_a_proof(analytics: Analytics, names: Names) -> None:
    result = await pruned(analytics, names)
    assert [(one.text, one.state.value, one.messages, one.aligned, one.addresses) for one in result.terms] == [
        ("mx", "used", 150, 150, 1),
        ("include:_spf.used.example", "used", 210, 210, 1),
        ("include:_spf.unused.example", "unused", 0, 0, 0),
        ("ip4:198.51.100.0/24", "used", 60, 0, 1),
        ("ip4:203.0.113.0/24", "unused", 0, 0, 0),
        ("include:sendgrid.net", "unused", 0, 0, 0),
        ("a:%{i}.mail.example", "kept", 0, 0, 0),
        ("exists:%{i}.ex.example", "kept", 0, 0, 0),
        ("?a", "kept", 0, 0, 0),
        ("-all", "kept", 0, 0, 0),
    ]
    # Every character of what stays is as it was: also the two spaces after the version.
    assert result.trimmed == (
        "v=spf1  mx include:_spf.used.example ip4:198.51.100.0/24 a:%{i}.mail.example exists:%{i}.ex.example ?a -all"
    )
    # mx 1, used 1, unused 2, sendgrid 1, a, exists and ?a 3: three of them are saved.
    assert (result.lookups, result.saved) == (8, 3)
    assert result.summary == (
        "No stored report of the last 30 days shows mail that needs include:_spf.unused.example, ip4:203.0.113.0/24,"
        " include:sendgrid.net."
    )
    assert result.proof == (
        "3 addresses that passed SPF in stored reports were evaluated against both records: 3 with the same result."
    )
    reasons = {one.text: one.reason for one in result.terms}
    assert reasons["a:%{i}.mail.example"] == "It contains macros, so what it matches depends on the message."
    assert reasons["exists:%{i}.ex.example"] == "What exists: matches depends on the message."
    assert reasons["?a"] == "It does not authorise an address: without it, others may pass."


async def test_what_the_owner_decided_stays(analytics: Analytics, names: Names) -> None:
    decisions = {"dkim:sendgrid.net": "mine", "block:203.0.113.0": "mine", "envelope:x.example": "not_mine"}
    result = await pruned(analytics, names, decisions=decisions)
    kept = {one.text: one.reason for one in result.terms if one.state is PruneState.kept}
    assert kept["include:sendgrid.net"] == "You decided that SendGrid is yours; it sent no mail in this period."
    assert kept["ip4:203.0.113.0/24"] == (
        "It authorises 203.0.113.0/24, which you decided is yours; it sent no mail in this period."
    )
    assert [one.text for one in result.unused] == ["include:_spf.unused.example"]


async def test_a_redirect_is_never_removed(analytics: Analytics, names: Names) -> None:
    names.add({(NAME, "TXT"): "v=spf1 ip4:203.0.113.0/24 redirect=_spf.used.example"})
    result = await pruned(analytics, names, [passing("192.0.2.70")])
    assert [(one.text, one.state.value) for one in result.terms] == [
        ("ip4:203.0.113.0/24", "unused"),
        ("redirect=_spf.used.example", "kept"),
    ]
    assert result.trimmed == "v=spf1 redirect=_spf.used.example"


async def test_a_record_over_the_limit_gets_better(analytics: Analytics, names: Names) -> None:
    """Twelve look-ups: receivers that count end in permerror; which term an address needs is still found."""
    spare = {(f"s{n}.example", "TXT"): "v=spf1 ip4:100.64.9.1 -all" for n in range(11)}
    names.add(spare)
    includes = " ".join(f"include:s{n}.example" for n in range(11))
    names.add({(NAME, "TXT"): f"v=spf1 {includes} include:_spf.used.example -all"})
    result = await pruned(analytics, names, [passing("192.0.2.70", 3)])
    assert (result.trimmed, result.lookups, result.saved) == ("v=spf1 include:_spf.used.example -all", 12, 11)
    assert result.proof == (
        "1 address that passed SPF in stored reports was evaluated against both records: 0 with the same"
        " result, 1 with pass instead of permerror, since fewer look-ups are needed."
    )


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        ({"silent": "_spf.unused.example"}, "The record could not be looked up whole: DNS did not answer about"),
        ({"record": "v=spf1 ip4:198.51.100.0/33 -all"}, "The record has a syntax error in 'ip4:198.51.100.0/33'"),
        ({"record": ""}, "example.com does not have exactly one SPF record; see its check."),
        ({"record": "v=spf1 mx ip4:198.51.100.0/24 include:_spf.used.example -all"}, "Every term of the record"),
        ({"mails": [Mail()]}, "No stored report of this period shows a message that passed SPF for this domain"),
        ({"days": 3}, "Reports cover 3 of the last 30 days; 28 are required, so that what sends rarely is seen."),
        ({"other": "192.0.2.130"}, "No stored report"),
    ],
)  # fmt: skip
async def test_when_nothing_is_proposed(
    analytics: Analytics, names: Names, change: dict[str, object], summary: str
) -> None:
    if "silent" in change:
        names.failing.add(str(change["silent"]))
    if "record" in change:
        names.add({(NAME, "TXT"): str(change["record"]) or "other=1"})
    mails = change.get("mails", SENT)
    if "other" in change:
        mails = [*SENT, passing(str(change["other"]), aligned=False, scope="helo")]
    result = await pruned(analytics, names, mails, days=change.get("days", DAYS))  # type: ignore[arg-type]
    if "other" in change:
        # A pass by HELO needs its term, too.
        assert "include:_spf.unused.example" not in [one.text for one in result.unused]
        assert result.trimmed
    else:
        assert (result.trimmed, result.saved) == ("", 0)
    assert result.summary.startswith(summary)


async def test_a_result_that_differs_withdraws_the_proposal() -> None:
    """No published record leads there, so it is shown on the values."""
    passes = [SpfPass("192.0.2.1", 1, 1), SpfPass("192.0.2.2", 1, 1)]
    prune = SpfPrune("e.example", "v=spf1 a b", "v=spf1 a", (), 2, 2, 2, 1, "unused", "")
    good, bad, unable = map(SpfEvaluation, (SpfResultCode.passed, SpfResultCode.fail, SpfResultCode.temperror))
    before = {"192.0.2.1": good, "192.0.2.2": good}
    result = proven(prune, before, {"192.0.2.1": good, "192.0.2.2": bad}, passes)
    assert (result.trimmed, result.saved) == ("", 0)
    assert result.summary == (
        "192.0.2.2 gets pass from the record and fail without the unused terms; nothing is proposed."
    )
    result = proven(prune, before, {"192.0.2.1": good, "192.0.2.2": unable}, passes)
    assert result.summary == "DNS did not answer while 192.0.2.2 was evaluated; nothing is proposed."
    assert proven(prune, before, before, passes).trimmed == "v=spf1 a"


async def test_each_name_is_queried_once(analytics: Analytics, names: Names) -> None:
    """However many addresses passed."""
    many = [passing(f"198.51.100.{n}") for n in range(1, 250)]
    result = await pruned(analytics, names, [*SENT, *many])
    assert result.addresses == 251
    asked = [one for one in names.asked if one == ("_spf.used.example", "TXT")]
    assert len(asked) == 1
