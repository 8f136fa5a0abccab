"""Promise: every fault of an SPF record is found with its code and its correction, and a good one has none."""

from __future__ import annotations

import time
from collections import Counter
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.resolver import Dns
from dmarcworks.enrich.spf.record import parse_record
from dmarcworks.errors import UsageError
from dmarcworks.policy.dns_records.finding import RecordCheck, Severity
from dmarcworks.policy.dns_records.spf import SpfReport, check_spf, evaluate_spf
from dmarcworks.policy.dns_records.spf_codes import SPF_CODES
from dmarcworks.policy.dns_records.spf_slips import corrected_record, corrected_version
from tests.support.outside import Names, answering
from tests.support.spf_zones import RECORDS, SPF_DOMAINS, MemoryResolver, SpfDomain


async def report_of(records: dict[tuple[str, str], Any], *, queries: int = 60) -> tuple[SpfReport, MemoryResolver]:
    resolver = MemoryResolver(records)
    return await check_spf("d.example", resolver, time.monotonic() + 5, queries=queries), resolver


@pytest.mark.parametrize("domain", SPF_DOMAINS, ids=lambda domain: domain.name)
async def test_each_domain_has_its_findings(domain: SpfDomain) -> None:
    """The codes, the look-ups, and one finding with the expected correction, which is itself free of syntax errors."""
    records: dict[tuple[str, str], Any] = {**domain.more, ("d.example", "TXT"): domain.texts}
    resolver = MemoryResolver(records, domain.silent)
    report = await check_spf("d.example", resolver, time.monotonic() + 5)
    assert sorted(finding.code for finding in report.findings) == sorted(domain.codes)
    assert (report.lookups, report.void_lookups) == (domain.lookups, domain.voids)
    assert report.answered is ("d.example" not in domain.silent)
    assert len(resolver.queries) == len(set(resolver.queries)) <= 60
    if domain.fix:
        assert domain.fix in [finding.fix for finding in report.findings]
    for finding in report.findings:
        assert finding.check is RecordCheck.spf
        assert finding.severity is SPF_CODES[finding.code].severity
        assert finding.message[-1] == "."
        assert "{" not in finding.message.replace("%{", "")
        if finding.fix.startswith("v=spf1 "):
            assert parse_record(finding.fix.encode()).faults == ()
    good = {finding.severity for finding in report.findings} <= {Severity.good, Severity.notice, Severity.warning}
    assert good == any(
        finding.code in ("spf-valid", "spf-sends-no-mail", "spf-no-answer") for finding in report.findings
    )


def test_every_code_has_a_domain() -> None:
    """No code without a case that shows it; two are shown by the bounds below."""
    assert {code for domain in SPF_DOMAINS for code in domain.codes} | {
        "spf-not-followed",
        "spf-further-findings",
    } == set(SPF_CODES)


async def test_the_tree_shows_where_the_look_ups_are() -> None:
    """Each term with its cost, the record that it leads to, and the sending service that the catalogue knows."""
    report, _ = await report_of(
        {
            ("d.example", "TXT"): ["v=spf1 mx include:_spf.google.com include:b.example -all ip4:192.0.2.9"],
            ("d.example", "MX"): [(1, "mx.d.example")],
            ("mx.d.example", "AAAA"): ["2001:db8::1"],
            ("_spf.google.com", "TXT"): ["v=spf1 include:n.example ~all"],
            ("n.example", "TXT"): ["v=spf1 ip4:192.0.2.1 ~all"],
            ("b.example", "TXT"): ["v=spf1 a:x.example redirect=r.example"],
            ("r.example", "TXT"): ["v=spf1 exists:%{i}.x.example ptr -all a:never.example"],
        }
    )
    assert report.tree is not None

    def lines(node: Any, depth: int = 0) -> list[str]:
        own = f"{'  ' * depth}{node.term}|{node.name}|{node.lookups}|{node.void_lookups}|{node.sender}|{node.problem}"
        return [own, *(line for child in node.children for line in lines(child, depth + 1))]

    assert lines(report.tree) == [
        "|d.example|8|0||",
        "  mx|d.example|1|0||",
        "  include:_spf.google.com|_spf.google.com|2|0|Google Workspace (Gmail)|",
        "    include:n.example|n.example|1|0||",
        "  include:b.example|b.example|5|0||",
        "    a:x.example|x.example|1|1||x.example has no address",
        "    redirect=r.example|r.example|3|0||",
        "      exists:%{i}.x.example||1|0||",
        "      ptr|r.example|1|0||",
    ]
    assert (report.lookups, report.void_lookups) == (8, 1)


async def test_a_hostile_tree_is_bounded_in_queries_and_nodes() -> None:
    """Every record includes six more: 60 queries, then the rest is reported as not looked up."""

    class Endless(MemoryResolver):
        async def __call__(self, name: str, kind: str, deadline: float) -> list[Any]:
            self.queries.append((name, kind))
            return [("v=spf1 " + " ".join(f"include:{n}.{name}" for n in "abcdef")).encode()] if kind == "TXT" else []

    resolver = Endless({})
    report = await check_spf("d.example", resolver, time.monotonic() + 5)
    assert len(resolver.queries) == 60
    codes = [finding.code for finding in report.findings]
    assert "spf-too-many-lookups" in codes
    assert codes.count("spf-not-followed") == 1
    assert report.lookups <= 250


async def test_addresses_are_looked_up_after_the_records() -> None:
    """With few queries the look-ups of the whole tree are still counted."""
    records = {
        ("d.example", "TXT"): ["v=spf1 mx a:x.example include:b.example -all"],
        ("b.example", "TXT"): ["v=spf1 a mx -all"],
    }
    report, resolver = await report_of(records, queries=3)
    assert report.lookups == 5
    assert sorted(resolver.queries) == [("b.example", "TXT"), ("d.example", "SPF"), ("d.example", "TXT")]
    assert "spf-not-followed" in [finding.code for finding in report.findings]
    assert "spf-unresolved" not in [finding.code for finding in report.findings]


ZONE = {
    ("a.example", "TXT"): "v=spf1 include:b.example -all exp=why.a.example",
    ("b.example", "TXT"): "v=spf1 ip4:192.0.2.0/24 a:c.example -all",
    ("c.example", "CNAME"): "e.example",
    ("e.example", "AAAA"): "2001:db8::5",
    ("why.a.example", "TXT"): "%{i} may not send for %{d}",
}


@pytest.mark.parametrize(
    ("ip", "mail_from", "helo", "result", "mechanism", "explanation"),
    [
        ("192.0.2.7", "me@a.example", "h.example", "pass", "include:b.example", ""),
        ("::ffff:192.0.2.7", "me@a.example", "h.example", "pass", "include:b.example", ""),
        ("2001:db8::5", "me@a.example", "h.example", "pass", "include:b.example", ""),
        ("198.51.100.1", "me@a.example", "h.example", "fail", "-all", "198.51.100.1 may not send for a.example"),
        ("192.0.2.7", "", "b.example", "pass", "ip4:192.0.2.0/24", ""),
        ("192.0.2.7", "b.example", "", "pass", "ip4:192.0.2.0/24", ""),
        ("192.0.2.7", "me@x.example", "", "none", "", ""),
        ("192.0.2.7", "me@silent.example", "", "temperror", "", ""),
    ],
)
async def test_an_address_is_evaluated_against_a_name_server(
    ip: str, mail_from: str, helo: str, result: str, mechanism: str, explanation: str
) -> None:
    """Over real DNS on loopback, with an alias, IPv6 and a name whose server fails."""
    names = Names()
    names.add(ZONE)
    names.failing.add("silent.example")
    with answering(names):
        resolver = Dns(names.server)
        evaluation = await evaluate_spf(ip, mail_from, helo, resolver, time.monotonic() + 5)
        report = await check_spf("a.example", resolver, time.monotonic() + 5)
        silent = await check_spf("silent.example", resolver, time.monotonic() + 5)
        resolver.close()
    assert (evaluation.result, evaluation.mechanism, evaluation.explanation) == (result, mechanism, explanation)
    assert [finding.code for finding in report.findings] == ["spf-valid"]
    assert (report.record, report.lookups) == (ZONE["a.example", "TXT"], 2)
    assert ([finding.code for finding in silent.findings], silent.answered) == (["spf-no-answer"], False)


async def test_text_that_is_no_address_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"^'x' is not an IP address$"):
        await evaluate_spf("x", "me@a.example", "", MemoryResolver({}), time.monotonic() + 5)


@given(
    texts=st.lists(st.one_of(RECORDS, st.binary(max_size=40)), max_size=3),
    others=st.lists(RECORDS, min_size=3, max_size=3),
)
async def test_whatever_is_published_a_report_is_made(texts: list[bytes], others: list[bytes]) -> None:
    """Random records that lead to one another: always a report, with sound corrections, and never unbounded."""
    records = {(f"{name}.example", "TXT"): [text] for name, text in zip("abc", others, strict=True)}
    report, resolver = await report_of({**records, ("d.example", "TXT"): texts})
    assert report.findings
    assert len(resolver.queries) <= 60
    for finding in report.findings:
        if finding.fix.startswith("v=spf1 "):
            assert parse_record(finding.fix.encode()).faults == ()


QUERYING = "a mx a:b.example mx:c.example exists:a.example include:b.example include:c.example"
TERMS = st.sampled_from(
    [*QUERYING.split(), "?ip4:203.0.113.0/24", "ptr:x.example", "redirect=c.example", "-all", "~all"]
)


@given(records=st.lists(st.lists(TERMS, max_size=4), min_size=3, max_size=3), ip=st.sampled_from(["192.0.2.1", "::1"]))
async def test_the_look_ups_are_those_of_an_evaluation_to_the_end(records: list[list[str]], ip: str) -> None:
    """For a client that nothing matches, the evaluation counts what the check counts, unless it stops at an error."""
    zone: dict[tuple[str, str], list[Any]] = {("1.2.0.192.in-addr.arpa", "PTR"): ["h.example"]}
    zone[ip_address("::1").reverse_pointer, "PTR"] = ["h.example"]
    for name, terms in zip(("d.example", "b.example", "c.example"), records, strict=True):
        zone[name, "TXT"] = [" ".join(["v=spf1", *terms])]
        zone[name, "A"], zone[name, "AAAA"], zone[name, "MX"] = ["198.51.100.1"], ["2001:db8::1"], [(1, name)]
    zone["a.example", "A"] = []
    report, resolver = await report_of(zone)
    evaluation = await evaluate_spf(ip, "d.example", "", resolver, time.monotonic() + 5)
    if evaluation.result in ("fail", "softfail", "neutral"):
        assert (evaluation.lookups, evaluation.void_lookups) == (report.lookups, report.void_lookups)
    codes = {finding.code for finding in report.findings}
    if evaluation.result == "permerror":
        assert codes & {
            "spf-syntax",
            "spf-too-many-lookups",
            "spf-too-many-void-lookups",
            "spf-loop",
            "spf-include-broken",
        }


@pytest.mark.parametrize("term", ["x=y", "10.0.0.1", "ip4:10.0.0.1", "ptr:%{i}", "a:b..example", "include:x.example"])
async def test_many_findings_of_a_kind_are_counted(term: str) -> None:
    """A record of a thousand wrong terms: ten findings of each kind, and the number of the others."""
    record = "v=spf1 " + " ".join(f"{term}{n}" for n in range(1000))
    report, _ = await report_of({("d.example", "TXT"): [record]})
    counted = Counter(finding.code for finding in report.findings)
    assert max(counted.values()) == 10
    (further,) = [finding.message for finding in report.findings if finding.code == "spf-further-findings"]
    assert further.endswith(" further findings of the kinds listed here are left out.")


def test_corrections_take_time_in_proportion() -> None:
    """Long hostile words are corrected, or not, without trying every split."""
    for word in (
        "/" * 4000 + "x",
        "v" + " " * 4000,
        " " * 4000 + "v",
        "include:" * 400,
        "-" * 4000,
        "ip4:1.2.3.4" * 300,
        "a" * 4000,
        ":" * 4000,
        "~all" * 900,
        '"“' * 2000,
    ):
        assert isinstance(corrected_record("v=spf1 " + word), str)
        corrected_version(word)
        corrected_version("v" + word)
