"""Promise: an evaluation never raises, always ends, stays within the limits of RFC 7208, and explains its result."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.spf.client import spf_client
from dmarcworks.enrich.spf.evaluation import RECORD_BYTES, check_host
from dmarcworks.enrich.spf.model import SpfClient, SpfEvaluation, SpfResultCode
from tests.support.spf_suite import Zone, evaluated
from tests.support.spf_zones import RECORDS


def checked(
    zone: dict[str, list[Any]], ip: str = "192.0.2.1", mail_from: str = "me@a.example", helo: str = "mail.a.example"
) -> SpfEvaluation:
    """The evaluation over a zone in the form of the test suite."""
    client = spf_client(ip, mail_from, helo, "mx.receiver.example", 1_700_000_000)
    assert client is not None
    return evaluated(client, Zone(zone))[0]


def one(record: str, **more: Any) -> dict[str, list[Any]]:
    """A zone in which a.example has the record."""
    return {"a.example": [{"TXT": record}], **{name.replace("_", "."): value for name, value in more.items()}}


def test_a_result_names_its_mechanism_and_every_step() -> None:
    """The mechanism of the checked record, the way through the includes, the counts and the trace."""
    zone = {
        "a.example": [{"TXT": "v=spf1 ip4:203.0.113.0/24 include:b.example -all"}],
        "b.example": [{"TXT": "v=spf1 a:c.example ip4:192.0.2.0/28 ~all"}],
        "c.example": [{"A": "198.51.100.1"}],
    }
    assert checked(zone) == SpfEvaluation(
        result=SpfResultCode.passed,
        mechanism="include:b.example",
        domain="a.example",
        matched=(("a.example", "include:b.example"), ("b.example", "ip4:192.0.2.0/28")),
        explanation="",
        lookups=2,
        void_lookups=0,
        problem="",
        trace=(
            "a.example has the record 'v=spf1 ip4:203.0.113.0/24 include:b.example -all'.",
            "a.example: ip4:203.0.113.0/24 does not match 192.0.2.1.",
            "a.example: include:b.example leads to 'b.example'.",
            "b.example has the record 'v=spf1 a:c.example ip4:192.0.2.0/28 ~all'.",
            "b.example: a:c.example does not match 192.0.2.1.",
            "b.example: ip4:192.0.2.0/28 matches 192.0.2.1.",
            "a.example: include:b.example matches, since b.example gives pass.",
            "The result is pass.",
        ),
    )


@pytest.mark.parametrize(
    ("text", "expansion"),
    [
        # The examples of RFC 7208 section 7.4.
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{D2R}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        # What is allowed in explanations, and the escapes.
        ("%{c} %{r} %{t} %{h} %{p}", "192.0.2.3 mx.receiver.example 1700000000 mail.a.example unknown"),
        ("100%% a%_b%-c", "100% a b%20c"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{d0002}", "example.com"),
        ("%{d99999999999999999999}", "email.example.com"),
        # Wrong macros make the text unusable, and so does what is not ASCII.
        ("%{d0}", ""),
        ("%{x}", ""),
        ("%{d", ""),
        ("%", ""),
        ("a\tb", ""),
        ("\xe4", ""),
    ],
)
def test_macros_expand_as_the_rfc_shows(text: str, expansion: str) -> None:
    zone = {"email.example.com": [{"TXT": "v=spf1 -all exp=e.example"}], "e.example": [{"TXT": text}]}
    client = spf_client(
        "192.0.2.3", "strong-bad@email.example.com", "mail.a.example", "mx.receiver.example", 1700000000
    )
    assert client is not None
    assert evaluated(client, Zone(zone))[0].explanation == expansion


def test_the_macros_of_an_ipv6_address() -> None:
    zone = {
        "email.example.com": [{"TXT": "v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all"}],
        "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com": [{"A": "127.0.0.2"}],
    }
    assert checked(zone, "2001:db8::cb01", "strong-bad@email.example.com").result == "pass"


@pytest.mark.parametrize(
    ("ip", "mail_from", "helo", "domain"),
    [
        ("192.0.2.1", "me@a.example", "h.example", "a.example"),
        ("192.0.2.1", "<me@a.example>", "h.example", "a.example"),
        ("192.0.2.1", "a.example", "h.example", "a.example"),
        ("192.0.2.1", "", "h.example.", "h.example"),
        ("192.0.2.1", "<>", "h.example", "h.example"),
        ("192.0.2.1", "me@", "h.example", ""),
        ("192.0.2.1", "x@y@a.example", "h.example", "a.example"),
        ("192.0.2.1", "me@localhost", "h.example", ""),
        ("192.0.2.1", "me@bücher.example", "h.example", "xn--bcher-kva.example"),
        ("192.0.2.1", "me@a..example", "", ""),
        ("192.0.2.1", "me@" + "a." * 126 + "de", "", ""),
        ("192.0.2.1", "me@" + "a." * 125 + "def", "", "a." * 125 + "def"),
        ("192.0.2.1", "me@a.exam ple", "", ""),
        ("192.0.2.1", "me@\udcff.example", "", ""),
    ],
)
def test_the_domain_that_is_checked(ip: str, mail_from: str, helo: str, domain: str) -> None:
    client = spf_client(ip, mail_from, helo)
    assert client is not None
    assert client.domain == domain
    if not domain:
        evaluation, queries = evaluated(client, Zone({}))
        assert (evaluation.result, queries) == ("none", [])


@pytest.mark.parametrize("ip", ["", "x", "192.0.2.1.5", "fe80::1%eth0"])
def test_text_that_is_no_address_has_no_client(ip: str) -> None:
    assert spf_client(ip, "me@a.example", "") is None


@pytest.mark.parametrize(
    ("record", "result", "problem"),
    [
        ("v=spf1 ip4:192.0.2.1 -all x", "permerror", "'x': there is no mechanism 'x'"),
        ("v=spf1 ip4:192.0.2.1 -all ip4:1.2.3.4/", "permerror", "'ip4:1.2.3.4/': ip4 needs an IPv4 address"),
        ("v=spf1 ip4:192.0.2.01", "permerror", "ip4 needs an IPv4 address"),
        ("v=spf1 ip6:192.0.2.1", "permerror", "ip6:192.0.2.1': '192.0.2.1' is not an IPv6 address"),
        ("v=spf1 a/24/28", "permerror", "'/24' is not a prefix length"),
        ("v=spf1 a:", "permerror", "the domain name is missing"),
        ("v=spf1 a:b.example/", "permerror", "'/' is not a prefix length"),
        ("v=spf1 a:b.example//064", "permerror", "'//064' is not a prefix length"),
        ("v=spf1 mx/33", "permerror", "the IPv4 prefix length 33 is over 32"),
        ("v=spf1 -all:x", "permerror", "all has no argument"),
        ("v=spf1 -Redirect:b.example", "permerror", "redirect is a modifier"),
        ("v=spf1 exists:%{t}.example", "permerror", "%{t} is allowed in the text of an explanation only"),
        ("v=spf1 include:“b.example”", "permerror", "it contains '“'"),
        ("V=SPF1 +IP4:192.0.2.0/31 -ALL", "pass", ""),
        ("v=spf1   IP6:2001:DB8::/32 ?aLL  ", "neutral", ""),
        ("v=spf1", "neutral", ""),
        ("v=spf1 a:.example", "neutral", ""),
        ("v=spf1 a:b.1-2", "neutral", ""),
        # The grammar ends a name in any `macro-expand`, and the escapes are such (section 7.1).
        ("v=spf1 a:b%%", "neutral", ""),
        ("v=spf1 a:b%_ a:b%-", "neutral", ""),
        ("v=spf1 a:%{d}", "neutral", ""),
        ("v=spf1 a:b%%-", "permerror", "'b%%-' does not end in a top-level domain"),
        ("v=spf1 a:%{d}x", "permerror", "'%{d}x' does not end in a top-level domain"),
        ("v=spf1 exists:%{DR2}", "permerror", "is not a macro"),
        ("v=spf1 a:b.1", "permerror", "'b.1' does not end in a top-level domain"),
        ("v=spf1 a:b.-c", "permerror", "'b.-c' does not end in a top-level domain"),
        ("v=spf1 a:b.c-", "permerror", "'b.c-' does not end in a top-level domain"),
        ("v=spf1 a:b.c.", "neutral", ""),
        ("v=spf1 a:b.c..", "permerror", "'b.c..' does not end in a top-level domain"),
    ],
)
def test_each_term_is_judged_by_the_grammar(record: str, result: str, problem: str) -> None:
    zone = one(record.encode().decode("latin-1"))
    evaluation = checked(zone)
    assert evaluation.result == result
    assert problem in evaluation.problem


@pytest.mark.parametrize("result", ["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"])
def test_the_results_of_an_include(result: str) -> None:
    """RFC 7208 section 5.2: the table."""
    inner: dict[str, list[Any]] = {
        "pass": [{"TXT": "v=spf1 +all"}],
        "fail": [{"TXT": "v=spf1 -all"}],
        "softfail": [{"TXT": "v=spf1 ~all"}],
        "neutral": [{"TXT": "v=spf1"}],
        "none": [],
        "temperror": ["TIMEOUT"],
        "permerror": [{"TXT": "v=spf1 -all x"}],
    }
    expected = {"pass": "softfail", "none": "permerror", "temperror": "temperror", "permerror": "permerror"}
    zone = {"a.example": [{"TXT": "v=spf1 ~include:b.example -all"}], "b.example": inner[result]}
    assert checked(zone).result == expected.get(result, "fail")


@pytest.mark.parametrize(
    ("result", "expected"), [("none", "permerror"), ("temperror", "temperror"), ("softfail", "softfail")]
)
def test_the_results_of_a_redirect(result: str, expected: str) -> None:
    inner: dict[str, list[Any]] = {"none": [], "temperror": ["TIMEOUT"], "softfail": [{"TXT": "v=spf1 ~all"}]}
    evaluation = checked({"a.example": [{"TXT": "v=spf1 redirect=b.example"}], "b.example": inner[result]})
    assert evaluation.result == expected
    if expected == "softfail":
        assert (evaluation.mechanism, evaluation.domain) == ("~all", "b.example")


def test_the_limits_of_mail_hosts_and_host_names() -> None:
    """10 mail hosts pass and 11 are an error; of 11 host names the last is not looked at."""
    hosts = [{"MX": [number, f"m{number}.example"]} for number in range(11)]
    addresses = {f"m{number}.example": [{"A": "198.51.100.1"}] for number in range(11)}
    addresses["m9.example"] = [{"A": "192.0.2.1"}]
    assert checked({"a.example": [{"TXT": "v=spf1 mx -all"}, *hosts[:10]], **addresses}).result == "pass"
    over = checked({"a.example": [{"TXT": "v=spf1 mx -all"}, *hosts], **addresses})
    assert (over.result, over.problem) == ("permerror", "mx leads to 11 mail hosts; the limit is 10")
    names = [{"PTR": f"h{number}.a.example"} for number in range(11)]
    zone: dict[str, list[Any]] = {"a.example": [{"TXT": "v=spf1 ptr -all"}], "1.2.0.192.in-addr.arpa": names}
    assert checked({**zone, "h9.a.example": [{"A": "192.0.2.1"}]}).result == "pass"
    assert checked({**zone, "h10.a.example": [{"A": "192.0.2.1"}]}).result == "fail"


def test_errors_of_dns_in_each_mechanism() -> None:
    """temperror for a, mx, its hosts and exists; a name of ptr is skipped (section 5.5)."""
    silent: list[Any] = ["TIMEOUT"]
    for record in ("a:s.example", "mx:s.example", "exists:s.example"):
        assert checked(one(f"v=spf1 {record} -all", s_example=silent)).result == "temperror"
    zone: dict[str, list[Any]] = one("v=spf1 mx -all", s_example=silent)
    zone["a.example"].append({"MX": [1, "s.example"]})
    assert checked(zone).result == "temperror"
    assert checked(one("v=spf1 ptr -all") | {"1.2.0.192.in-addr.arpa": silent}).result == "fail"
    zone = one("v=spf1 ptr -all", s_a_example=silent, t_a_example=[{"A": "192.0.2.1"}])
    zone["1.2.0.192.in-addr.arpa"] = [{"PTR": "s.a.example"}, {"PTR": "t.a.example"}]
    assert checked(zone).result == "pass"


def test_void_lookups_end_the_evaluation_at_the_third() -> None:
    """Names that the record gives, and the client's missing host name for each term that needs it; not for `exp=`."""
    evaluation = checked(one("v=spf1 a:x.example exists:y.example -all"))
    assert (evaluation.result, evaluation.void_lookups, evaluation.lookups) == ("fail", 2, 2)
    evaluation = checked(one("v=spf1 a:x.example exists:y.example mx +all"))
    assert (evaluation.result, evaluation.void_lookups) == ("permerror", 3)
    assert evaluation.problem == (
        "more than 2 queries found nothing (void lookups), at last: a.example has no MX record"
    )
    evaluation = checked(one("v=spf1 ptr ptr:x.example exists:%{p}.x.example +all"))
    assert (evaluation.result, evaluation.void_lookups, evaluation.lookups) == ("permerror", 3, 3)
    zone = one("v=spf1 a:x.example ptr -all exp=%{p}.a.example", unknown_a_example=[{"TXT": "%{p}"}])
    evaluation = checked(zone)
    assert (evaluation.result, evaluation.void_lookups, evaluation.explanation) == ("fail", 2, "unknown")


def test_loops_end_at_the_limit() -> None:
    evaluation = checked(one("v=spf1 include:a.example -all"))
    assert (evaluation.result, evaluation.lookups) == ("permerror", 11)
    assert evaluation.problem == (
        "more than 10 terms cause DNS queries; the limit is passed at include:a.example in a.example"
    )


def test_a_very_large_record_is_an_error() -> None:
    """Up to the bound everything is evaluated, with a trace that is bounded too."""
    terms = " ip4:198.51.100.1" * (RECORD_BYTES // 17 - 1)
    evaluation = checked(one(f"v=spf1{terms} ip4:192.0.2.1"))
    assert (evaluation.result, len(evaluation.trace)) == ("pass", 301)
    assert evaluation.trace[-1] == "Further steps are not listed."
    evaluation = checked(one(f"v=spf1{terms} {'ip4:192.0.2.1 ' * 5}"))
    assert evaluation.problem == f"the SPF record of a.example has more than {RECORD_BYTES} bytes"


def test_names_are_cut_on_the_left_to_253_characters() -> None:
    """By whole labels (section 7.3); a name without a dot in the last 253 characters is no name."""
    labels = "a." * 200
    steps = check_host(SpfClient(ip=ip_address("192.0.2.1"), domain="a.example"))
    assert next(steps).kind == "TXT"
    needed = steps.send([f"v=spf1 exists:{labels}example -all".encode()])
    assert needed.name == "a." * 123 + "example"
    steps.close()
    assert checked(one(f"v=spf1 exists:{'x' * 300}%{{d}} -all")).result == "fail"


HOSTS = st.one_of(st.sampled_from(["a.example", "b.example", "c.example", ""]), st.text(max_size=20))
ANSWERS = {
    "TXT": st.lists(RECORDS, max_size=2),
    "MX": st.lists(st.tuples(st.integers(0, 9), HOSTS), max_size=12),
    "PTR": st.lists(HOSTS, max_size=12),
    "A": st.lists(st.sampled_from(["192.0.2.1", "198.51.100.7", "nonsense"]), max_size=3),
    "AAAA": st.lists(st.sampled_from(["2001:db8::1", "::"]), max_size=3),
}


@given(
    data=st.data(),
    ip=st.sampled_from(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"]),
    mail_from=st.one_of(st.just("me@a.example"), st.text(max_size=30)),
    helo=st.text(max_size=30),
)
def test_whatever_dns_answers_an_evaluation_ends_within_its_limits(
    data: st.DataObject, ip: str, mail_from: str, helo: str
) -> None:
    """At most 10 terms with 11 queries each, the host name's 11, the first record and the explanation."""
    client = spf_client(ip, mail_from, helo)
    assert client is not None
    steps = check_host(client)
    queries = 0
    try:
        needed = next(steps)
        while True:
            queries += 1
            assert queries <= 1 + 10 * 11 + 11 + 1
            assert needed.name == needed.name.lower()
            assert len(needed.name) <= 253
            needed = steps.send(data.draw(st.one_of(st.none(), ANSWERS[needed.kind])))
    except StopIteration as end:
        evaluation: SpfEvaluation = end.value
    assert evaluation.lookups <= 11
    assert evaluation.void_lookups <= 3
    assert evaluation.explanation.isascii()
    assert (evaluation.problem != "") == (evaluation.result in ("none", "temperror", "permerror"))
    assert (evaluation.mechanism == "") == (evaluation.matched == ())


@given(records=st.lists(RECORDS, min_size=3, max_size=3))
def test_records_that_lead_to_each_other_end(records: list[bytes]) -> None:
    """A zone whose records include and redirect to one another at random."""
    zone = {
        f"{name}.example": [{"TXT": record.decode("latin-1")}, {"A": "192.0.2.9"}, {"MX": [1, f"{name}.example"]}]
        for name, record in zip("abc", records, strict=True)
    }
    client = spf_client("192.0.2.1", "me@a.example", "")
    assert client is not None
    evaluation, queries = evaluated(client, Zone(zone))
    assert evaluation.lookups <= 11
    assert len(queries) <= 123
