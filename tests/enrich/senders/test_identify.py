"""Evidence → sender: the order of evidence, look-alikes that stay unnamed, and properties for any text."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.enrich.senders.base_domains import base_domains
from dmarcworks.enrich.senders.identify import CONFIDENCE, SenderIdentifier, identify
from dmarcworks.enrich.senders.model import Evidence, Identification, OwnDkim, OwnSender, SenderKind, Signature
from dmarcworks.errors import UsageError
from tests.support.senders import small_index

INDEX = small_index()
TABLE = base_domains(b"base,name,type\nisp.example.com,Little ISP,ISP\nsendgrid.net,Something else,SaaS\n")
IDENTIFIER = SenderIdentifier(base_domains=TABLE, index=INDEX)


def named(**evidence: Any) -> Identification:
    signers = evidence.pop("dkim", ())
    return IDENTIFIER.identify_afresh(
        Evidence(dkim=tuple(sign if isinstance(sign, Signature) else Signature(sign) for sign in signers), **evidence)
    )


SENDGRID_HOST = {"ptr": "o1.ptr.example.sendgrid.net", "ptr_confirmed": True}
GOOGLE_HOST = {"ptr": "mail-sor-f41.google.com", "ptr_confirmed": True}
LONG = ".".join(["a" * 60] * 5)


@pytest.mark.parametrize(
    ("evidence", "sender", "confidence"),
    [
        # Each kind of evidence alone.
        ({"dkim": ["sendgrid.net"]}, "SendGrid", 0.9),
        ({"dkim": ["example-com.20230601.gappssmtp.com"]}, "Google Workspace", 0.9),
        ({"spf_domain": "bounces.mcsv.net"}, "Mailchimp", 0.8),
        ({"spf_domain": "eu-west-1.amazonses.com"}, "Amazon SES", 0.8),
        (SENDGRID_HOST, "SendGrid", 0.7),
        ({"ptr": "sendgrid.net", "ptr_confirmed": True}, "SendGrid", 0.7),
        ({"ip": "167.89.127.255"}, "SendGrid", 0.7),
        ({"ip": "54.240.0.0"}, "Amazon SES", 0.7),
        ({"ip": "::ffff:54.240.7.1"}, "Amazon SES", 0.7),
        ({"ip": "2a05:d000::1"}, "Amazon SES", 0.7),
        ({"dkim": [Signature("example.com", "mandrill")]}, "Mailchimp", 0.5),
        ({"dkim": [Signature("example.com", "fwdkim4")]}, "Freshdesk", 0.5),
        ({"ptr": "mx1.isp.example.com", "ptr_confirmed": True}, "Little ISP", 0.4),
        # Spellings of the same name.
        ({"dkim": ["sendgrid.net."]}, "SendGrid", 0.9),
        ({"dkim": ["SendGrid.NET"]}, "SendGrid", 0.9),
        ({"dkim": [Signature("sendgrid.net", "s1", " Pass ")]}, "SendGrid", 0.9),
        ({"dkim": ["mail.bücher.example.com"]}, "Strasse Mail", 0.9),
        ({"dkim": ["xn--bcher-kva.example.com"]}, "Strasse Mail", 0.9),
        ({"dkim": ["_underscore.u_1.sendgrid.net"]}, "SendGrid", 0.9),
        ({"dkim": [Signature("example.com", "ZENDESK1")]}, "Zendesk", 0.5),
        # Agreement, twice at most.
        ({"dkim": ["sendgrid.net"], **SENDGRID_HOST}, "SendGrid", 0.94),
        ({"dkim": ["sendgrid.net"], "spf_domain": "u1.sendgrid.net", **SENDGRID_HOST}, "SendGrid", 0.98),
        (
            {"dkim": ["sendgrid.net"], "spf_domain": "u1.sendgrid.net", "ip": "167.89.0.1", **SENDGRID_HOST},
            "SendGrid",
            0.98,
        ),
        ({"spf_domain": "sendgrid.net", "ip": "167.89.0.1", **SENDGRID_HOST}, "SendGrid", 0.88),
        ({"ip": "167.89.0.1", **SENDGRID_HOST}, "SendGrid", 0.74),
        # The stronger kind decides.
        ({"dkim": ["sendgrid.net"], "spf_domain": "mcsv.net"}, "SendGrid", 0.9),
        ({"dkim": ["sendgrid.net"], **GOOGLE_HOST, "ip": "209.85.128.9"}, "SendGrid", 0.9),
        ({"spf_domain": "mcsv.net", **GOOGLE_HOST}, "Mailchimp", 0.8),
        ({"dkim": [Signature("example.com", "zendesk1")], **GOOGLE_HOST}, "Google Workspace", 0.7),
        ({"ptr": "a.eu.mcsv.net", "ptr_confirmed": True}, "Strasse Mail", 0.7),
        # A more specific service wins over an infrastructure on the same level.
        ({"dkim": ["amazonses.com", "mcsv.net"]}, "Mailchimp", 0.9),
        ({"dkim": ["sendgrid.net", "zendesk.com"], **SENDGRID_HOST}, "Zendesk", 0.9),
        ({"ip": "54.240.1.1", "ptr": "m.zdsys.com", "ptr_confirmed": True}, "Zendesk", 0.7),
        ({"dkim": [Signature("example.com", "zendesk1")], **SENDGRID_HOST}, "Zendesk", 0.5),
        (
            {"dkim": [Signature("example.com", "zendesk1"), Signature("example.com", "mandrill")], **SENDGRID_HOST},
            "SendGrid",
            0.7,
        ),
        # Two on the same level: weaker evidence decides.
        ({"dkim": ["mcsv.net", "zendesk.com"], "spf_domain": "zendesk.com"}, "Zendesk", 0.94),
        ({"dkim": ["mcsv.net", "zendesk.com"], "ptr": "x.rsgsv.net", "ptr_confirmed": True}, "Mailchimp", 0.94),
        ({"dkim": ["amazonses.com", "sendgrid.net"], "ip": "54.240.1.1"}, "Amazon SES", 0.94),
        # Evidence that did not pass changes nothing.
        ({"dkim": [Signature("mcsv.net", None, "fail"), "zendesk.com"]}, "Zendesk", 0.9),
        ({"dkim": ["zendesk.com"], "ptr": "x.rsgsv.net"}, "Zendesk", 0.9),
        ({"dkim": ["zendesk.com"], "spf_domain": "mcsv.net", "spf_result": "softfail"}, "Zendesk", 0.9),
        ({"dkim": [Signature("example.com", "zendesk1")], "header_from": "example.com"}, "Zendesk", 0.5),
        ({"dkim": [Signature("mail.example.com", "zendesk1")], "header_from": "example.com"}, "Zendesk", 0.5),
    ],
)
def test_evidence_names_the_sender(evidence: dict[str, Any], sender: str, confidence: float) -> None:
    answer = named(**evidence)
    assert (answer.sender, answer.confidence) == (sender, pytest.approx(confidence))


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        # Look-alikes.
        {"dkim": ["amazonses.com.attacker.example"]},
        {"dkim": ["notsendgrid.net"]},
        {"dkim": ["sendgrid.net.evil.example.com"]},
        {"dkim": ["sendgrid-net.example.com"]},
        {"dkim": ["sendgrid.ne"]},
        {"dkim": ["net"]},
        {"dkim": ["x"]},
        {"dkim": ["sendgrid"]},
        {"spf_domain": "amazonses.com.attacker.example"},
        {"spf_domain": "bounce-sendgrid.net"},
        {"ptr": "o1.notsendgrid.net", "ptr_confirmed": True},
        {"ptr": "sendgrid.net.attacker.example", "ptr_confirmed": True},
        {"ptr": "203-0-113-5.dynamic.isp.example", "ptr_confirmed": True, "ip": "203.0.113.5"},
        {"ptr": "5.113.0.203.in-addr.arpa", "ptr_confirmed": True},
        {"dkim": ["sеndgrid.net"]},
        {"dkim": ["ｓendgrid.net"]},
        {"dkim": ["sendgrid。net"]},
        {"dkim": ["zendes\u212a.com"]},
        {"dkim": ["sendgrid.net\u200d"]},
        {"dkim": ["xn--sendgrid-.net"]},
        # No names.
        {"dkim": [""]},
        {"dkim": ["."]},
        {"dkim": ["sendgrid.net.."]},
        {"dkim": [".sendgrid.net"]},
        {"dkim": ["a..sendgrid.net"]},
        {"dkim": [" sendgrid.net"]},
        {"dkim": ["sendgrid.net\n"]},
        {"dkim": ["a b.sendgrid.net"]},
        {"dkim": ["a\0.sendgrid.net"]},
        {"dkim": ["*.sendgrid.net"]},
        {"dkim": ["user@sendgrid.net"]},
        {"dkim": ["a" * 64 + ".sendgrid.net"]},
        {"dkim": [LONG + ".sendgrid.net"]},
        {"ptr": LONG + ".sendgrid.net", "ptr_confirmed": True},
        # What did not pass, is not confirmed, or names nobody by itself.
        {"dkim": [Signature("sendgrid.net", "s1", "fail")]},
        {"dkim": [Signature("sendgrid.net", "s1", "")]},
        {"dkim": [Signature("sendgrid.net", "s1", "passed")]},
        {"dkim": [Signature("example.com", "zendesk1", "fail")]},
        {"spf_domain": "sendgrid.net", "spf_result": "fail"},
        {"spf_domain": "sendgrid.net", "spf_result": "softfail"},
        {"spf_domain": "sendgrid.net", "spf_result": "neutral"},
        {"ptr": "o1.ptr.example.sendgrid.net"},
        {"ptr": "mx1.isp.example.com"},
        {"asn": 11377},
        {"header_from": "sendgrid.net"},
        {
            "dkim": [Signature("sendgrid.net", "s1", "fail")],
            "spf_domain": "sendgrid.net",
            "spf_result": "fail",
            "ptr": "o1.sendgrid.net",
            "asn": 11377,
            "header_from": "sendgrid.net",
        },
        # Addresses outside the blocks, and text that is no address.
        {"ip": "167.89.128.0"},
        {"ip": "167.88.255.255"},
        {"ip": "2a05:d080::1"},
        {"ip": "167.89.1"},
        {"ip": "167.89.1.2.3"},
        {"ip": "0xA7590102"},
        {"ip": "167.89.1.2/32"},
        {"ip": "2a05:d000::1%eth0"},
        {"ip": "sendgrid.net"},
        # Selectors that resemble a service's, or are in a stranger's domain.
        {"dkim": [Signature("example.com", "zendesk11")]},
        {"dkim": [Signature("example.com", "xzendesk1")]},
        {"dkim": [Signature("example.com", "zendesk1.")]},
        {"dkim": [Signature("example.com", "fwdkim")]},
        {"dkim": [Signature("example.com", "fwdkim1.evil")]},
        {"dkim": [Signature("attacker.example.net", "zendesk1")], "header_from": "example.com"},
        {"dkim": [Signature("notexample.com", "zendesk1")], "header_from": "example.com"},
        # Two services, equally strong, and nothing decides.
        {"dkim": ["mcsv.net", "zendesk.com"]},
        {"dkim": ["mcsv.net", "zendesk.com"], **GOOGLE_HOST},
        {"dkim": ["amazonses.com", "sendgrid.net"]},
        {"ip": "209.85.128.1", "ptr": "m.zdsys.com", "ptr_confirmed": True},
        {"dkim": [Signature("example.com", "zendesk1"), Signature("example.com", "mandrill")]},
    ],
)
def test_a_look_alike_or_failed_evidence_stays_unnamed(evidence: dict[str, Any]) -> None:
    answer = named(**evidence)
    assert (answer.sender, answer.kind, answer.confidence, answer.claimed) == (None, None, 0.0, False)
    assert answer.because


def test_the_reasons_are_sentences() -> None:
    """Those that name, the strongest first; then those that were weaker."""
    answer = named(dkim=["sendgrid.net", "example.com"], **SENDGRID_HOST)
    assert answer == Identification(
        "SendGrid",
        "transactional",
        0.94,
        False,
        (
            "DKIM d=sendgrid.net passed",
            "PTR o1.ptr.example.sendgrid.net is confirmed",
            "PTR o1.ptr.example.sendgrid.net is confirmed, and named by the file of base domains: Something else, but"
            " this is weaker or less specific",
        ),
    )


def test_a_selector_is_a_claim_of_the_domain_owner() -> None:
    answer = named(dkim=[Signature("example.com", "zendesk1")])
    assert answer == Identification(
        "Zendesk",
        "helpdesk",
        0.5,
        True,
        ("DKIM d=example.com passed with the selector zendesk1, which Zendesk uses",),
    )
    confirmed = named(dkim=[Signature("example.com", "zendesk1")], ptr="m.zdsys.com", ptr_confirmed=True)
    assert (confirmed.claimed, confirmed.confidence) == (False, 0.74)


def test_two_equally_strong_services_are_both_shown() -> None:
    assert named(dkim=["mcsv.net", "zendesk.com"]).because == (
        "DKIM d=mcsv.net passed: Mailchimp",
        "DKIM d=zendesk.com passed: Zendesk",
        "equally strong evidence names different senders, and nothing decides between them",
    )


def test_an_unknown_sender_has_a_reason_for_each_piece_of_evidence() -> None:
    answer = named(
        dkim=["example.com", Signature("sendgrid.net", "s1", "fail"), Signature("a\x1b[0m.example", None, "pass")],
        spf_domain="example.com",
        spf_result="none",
        ptr="host.example.net",
        ip="192.0.2.1",
        asn=64500,
    )
    assert answer.because == (
        "DKIM d=example.com passed, but no known service signs with this domain",
        "DKIM d=sendgrid.net did not pass (fail) and names nobody",
        "DKIM d=a?[0m.example is not a domain name",
        "SPF of envelope domain example.com did not pass (none) and names nobody",
        "PTR host.example.net is not confirmed and names nobody",
        "address 192.0.2.1 is in no block that a known service publishes",
        "AS 64500 alone names nobody: many senders share a network",
    )
    assert named().because == ("there is no evidence",)


CHOSEN = "with the selector billing7"
SIGNED = (Signature("sendgrid.net"),)
NO_DOMAIN = "is not a domain name in lower case; write it like example.com"
OWN = (
    OwnSender(
        "Billing",
        SenderKind.finance,
        blocks=(ipaddress.ip_network("167.89.1.0/24"), ipaddress.ip_network("2001:db8:1::/48")),
        dkim=(OwnDkim("example.com", "billing*"), OwnDkim("bill.example.com")),
        envelope=("bounce.example.com",),
        ptr=("out.example.com",),
    ),
    OwnSender("Everything else", dkim=(OwnDkim("example.com"),)),
)


@pytest.mark.parametrize(
    ("evidence", "sender", "reason"),
    [
        (Evidence(dkim=(Signature("example.com", "billing7"),)), "Billing", f"DKIM d=example.com {CHOSEN} passed"),
        (Evidence(dkim=(Signature("x.example.com", "billing7"),)), "Billing", f"DKIM d=x.example.com {CHOSEN} passed"),
        (Evidence(dkim=(Signature("example.com", "other"),)), "Everything else", "DKIM d=example.com passed"),
        (Evidence(dkim=(Signature("a.bill.example.com"),)), "Billing", "DKIM d=a.bill.example.com passed"),
        (Evidence(spf_domain="bounce.example.com"), "Billing", "SPF of envelope domain bounce.example.com passed"),
        (Evidence(ip="167.89.1.9", dkim=SIGNED), "Billing", "address 167.89.1.9 is in one of your address blocks"),
        (Evidence(ip="2001:db8:1::9"), "Billing", "address 2001:db8:1::9 is in one of your address blocks"),
        (Evidence(ptr="a.out.example.com", ptr_confirmed=True), "Billing", "PTR a.out.example.com is confirmed"),
    ],
)  # fmt: skip
def test_own_names_come_first(evidence: Evidence, sender: str, reason: str) -> None:
    answer = identify(evidence, OWN, index=INDEX)
    assert (answer.sender, answer.confidence, answer.claimed) == (sender, 1.0, False)
    assert answer.because == (f"{reason}: {sender} is one of your own names",)


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(dkim=(Signature("example.com", "billing7", "fail"),)),
        Evidence(dkim=(Signature("notexample.com", "billing7"),)),
        Evidence(spf_domain="bounce.example.com", spf_result="fail"),
        Evidence(ip="192.0.2.9"),
        Evidence(ptr="a.out.example.com"),
        Evidence(ptr="notout.example.com", ptr_confirmed=True),
    ],
)
def test_own_names_need_the_same_proof(evidence: Evidence) -> None:
    assert identify(evidence, OWN, index=INDEX).sender is None


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"dkim": (OwnDkim("Example.com"),)}, f"X: 'Example.com' {NO_DOMAIN}"),
        ({"envelope": ("a b",)}, f"X: 'a b' {NO_DOMAIN}"),
        ({"ptr": ("",)}, f"X: '' {NO_DOMAIN}"),
        ({"dkim": (OwnDkim("example.com", "a b"),)}, "X: 'a b' is not a DKIM selector in lower case"),
        ({"dkim": (OwnDkim("example.com", "*a*"),)}, "X: '*a*' is not a DKIM selector in lower case"),
    ],
)
def test_an_own_name_with_a_wrong_part_is_refused(parts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        OwnSender("X", **parts)
    assert str(refused.value) == sentence


def test_answers_are_remembered_and_bounded() -> None:
    """The same evidence is computed once; many signatures and long names end in a bounded answer."""
    identifier = SenderIdentifier(index=INDEX)
    evidence = Evidence(dkim=(Signature("sendgrid.net"),))
    assert identifier.identify(evidence) is identifier.identify(Evidence(*evidence))
    many = Evidence(dkim=tuple(Signature(f"{number}.{'x' * 500}.example") for number in range(10_000)))
    answer = identifier.identify(many)
    assert len(answer.because) == 8
    assert max(map(len, answer.because)) < 250
    late = Evidence(dkim=(*many.dkim, Signature("sendgrid.net")))
    assert identifier.identify(late).sender is None


TEXTS = st.one_of(
    st.text(max_size=300),
    st.sampled_from(["sendgrid.net", "a.mcsv.net", "zendesk.com", "amazonses.com", "example.com", "m.zdsys.com"]),
)
RESULTS = st.sampled_from(["pass", "fail", "none", "softfail", "permerror", "", "PASS", "pas"])
SELECTORS = st.one_of(st.none(), st.text(max_size=70), st.sampled_from(["zendesk1", "mandrill", "s1", "fwdkim3"]))
SIGNATURES = st.lists(st.builds(Signature, TEXTS, SELECTORS, RESULTS), max_size=4).map(tuple)
ADDRESSES = st.one_of(
    st.none(), st.ip_addresses().map(str), st.text(max_size=50), st.sampled_from(["167.89.3.4", "209.85.128.7"])
)
EVIDENCE = st.builds(
    Evidence,
    ip=ADDRESSES,
    ptr=st.one_of(st.none(), TEXTS),
    ptr_confirmed=st.booleans(),
    dkim=SIGNATURES,
    spf_domain=st.one_of(st.none(), TEXTS),
    spf_result=RESULTS,
    header_from=st.one_of(st.none(), TEXTS),
    asn=st.one_of(st.none(), st.integers()),
)


@given(EVIDENCE)
def test_identify_answers_for_any_text(evidence: Evidence) -> None:
    """It never raises; the answer is whole, bounded and printable."""
    answer = named(**evidence._replace(dkim=())._asdict() | {"dkim": evidence.dkim})
    assert (answer.sender is None) == (answer.kind is None) == (answer.confidence == 0.0)
    assert 0 <= answer.confidence <= 1
    assert 1 <= len(answer.because) <= 12
    assert all(sentence.isprintable() and len(sentence) < 400 for sentence in answer.because)


@given(EVIDENCE)
def test_failed_evidence_never_names(evidence: Evidence) -> None:
    """Nothing passed, nothing is confirmed, and the address is in no block: nobody is named."""
    failed = evidence._replace(
        ip=None,
        ptr_confirmed=False,
        spf_result="fail",
        dkim=tuple(signature._replace(result="fail") for signature in evidence.dkim),
    )
    assert IDENTIFIER.identify_afresh(failed).sender is None


@given(EVIDENCE)
def test_failed_evidence_changes_no_answer(evidence: Evidence) -> None:
    """Adding what failed to any evidence leaves the name and the confidence as they are."""
    before = IDENTIFIER.identify_afresh(evidence)
    after = IDENTIFIER.identify_afresh(
        evidence._replace(dkim=(*evidence.dkim, Signature("zendesk.com", "zendesk1", "fail")), asn=64500)
    )
    assert (before.sender, before.confidence, before.claimed) == (after.sender, after.confidence, after.claimed)


@given(EVIDENCE)
def test_stronger_evidence_decides(evidence: Evidence) -> None:
    """A signature of a service, the only one that names somebody, is the answer whatever else there is."""
    others = tuple(signature for signature in evidence.dkim if IDENTIFIER.identify_afresh(
        Evidence(dkim=(signature._replace(selector=None),))).sender is None)  # fmt: skip
    answer = IDENTIFIER.identify_afresh(evidence._replace(dkim=(*others, Signature("zendesk.com"))))
    assert answer.sender == "Zendesk"
    assert answer.confidence >= CONFIDENCE[1]  # type: ignore[index]  # an IntEnum's value


@given(EVIDENCE)
def test_the_order_of_signatures_does_not_matter(evidence: Evidence) -> None:
    forth = IDENTIFIER.identify_afresh(evidence)
    back = IDENTIFIER.identify_afresh(evidence._replace(dkim=evidence.dkim[::-1]))
    assert (forth.sender, forth.confidence, forth.claimed) == (back.sender, back.confidence, back.claimed)
