"""Promise: DKIM and ARC by the standards' examples, byte for byte as another library, in time linear in the mail."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from dkim.canonicalization import Relaxed, Simple
from hypothesis import given, settings
from hypothesis import strategies as st

from dmarcworks.enrich.dkim import arc, keys, signature
from dmarcworks.enrich.dkim.message import CanonicalMail, HeaderField, TooLargeError, chosen, relaxed_field
from dmarcworks.enrich.dkim.signing import DkimSigner
from dmarcworks.enrich.dkim.tags import BrokenError, domain, tags
from dmarcworks.enrich.facts import author
from tests.support.dkim_samples import DER, KEY, KEYS, MADE, NOW, PLAIN, chained, record, results, signed


def published(exponent: int, modulus: int) -> bytes:
    der = rsa.RSAPublicNumbers(exponent, modulus).public_key().public_bytes(*DER)
    return b"p=" + base64.b64encode(der)


PLAIN += b"Text  with \t runs \r\n\r\n\r\n"


FOOTBALL = b"""From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game. Are you hungry yet?

Joe.
"""
RFC6376 = b"""DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;
      c=simple/simple; q=dns/txt; i=joe@football.example.com;
      h=Received : From : To : Subject : Date : Message-ID;
      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB
      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut
      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV
      4bmp/YzhwvcubU4=;
Received: from client1.football.example.com  [192.0.2.1]
      by submitserver.example.com with SUBMISSION;
      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)
"""
RFC6376_KEY = (
    b"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3"
    b"b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYck"
    b"cQ2QIDAQAB"
)
RFC8463 = b"""DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
"""
RFC8463_KEYS = {
    "brisbane._domainkey.football.example.com": [b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
    "test._domainkey.football.example.com": [
        b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/"
        b"J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryO"
        b"TIKT+l/K4w3QIDAQAB"
    ],
}


def test_the_examples_of_rfc_6376() -> None:
    """§3.4.5 canonicalization, appendix A the signed mail with errata 3192 and 4926."""
    mail = CanonicalMail(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n")
    assert b"".join(map(relaxed_field, mail.fields)) == b"a:X\r\nb:Y Z\r\n"
    assert b"".join(field.raw for field in mail.fields) == b"A: X\r\nB : Y\t\r\n\tZ  \r\n"
    assert mail.body(relaxed=True) == b" C\r\nD E\r\n"
    assert mail.body(relaxed=False) == b" C \r\nD \t E\r\n"
    empty = CanonicalMail(b"A: X\r\n\r\n\r\n\r\n")
    assert (empty.body(relaxed=False), empty.body(relaxed=True)) == (b"\r\n", b"")
    raw = (RFC6376 + FOOTBALL).replace(b"\n", b"\r\n")
    assert results(raw, {"brisbane._domainkey.example.com": [RFC6376_KEY]}) == ["pass"]
    assert results(raw.replace(b"hungry", b"angry"), {"brisbane._domainkey.example.com": [RFC6376_KEY]}) == ["fail"]


def test_the_example_of_rfc_8463() -> None:
    """Ed25519 beside RSA, fields signed that are not there."""
    raw = (RFC8463 + FOOTBALL).replace(b"\n", b"\r\n")
    assert results(raw, RFC8463_KEYS) == ["pass", "pass"]
    # Another Subject was signed as absent; a field of another name was not signed at all.
    assert results(raw.replace(b"To:", b"Subject: Win\r\nTo:"), RFC8463_KEYS) == ["fail", "fail"]
    assert results(raw.replace(b"To:", b"Comment: Win\r\nTo:"), RFC8463_KEYS) == ["pass", "pass"]


PIECES = st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"=20", "é".encode(), b"  ", b"\r\n\r\n", b"\n", b"."])
TEXT = st.lists(PIECES, max_size=30).map(b"".join)
VALUES = st.lists(st.sampled_from([b" ", b"\t", b"x", b"\r\n ", b"\r\n\t", b"=", b";"]), max_size=12).map(b"".join)
HEADERS = st.lists(st.tuples(st.sampled_from([b"From", b"to", b"X-A", b"SUBJECT"]), VALUES), min_size=1, max_size=8)


@settings(deadline=None)
@given(HEADERS, TEXT)
def test_canonical_bytes_are_those_of_another_library(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    raw = b"".join(name + b":x" + value + b"x\r\n" for name, value in fields) + b"\r\n" + body
    mail, (headers, theirs) = CanonicalMail(raw), dkim.rfc822_parse(raw)
    assert mail.body(relaxed=True) == Relaxed.canonicalize_body(theirs)
    assert mail.body(relaxed=False) == Simple.canonicalize_body(theirs)
    relaxed = b"".join(name + b":" + value for name, value in Relaxed.canonicalize_headers(headers))
    assert b"".join(map(relaxed_field, mail.fields)) == relaxed
    assert b"".join(field.raw for field in mail.fields) == b"".join(name + b":" + value for name, value in headers)


@settings(deadline=None)
@given(HEADERS, st.lists(st.sampled_from([b"from", b"to", b"x-a", b"subject", b"none"]), max_size=20))
def test_fields_are_chosen_as_by_another_library(fields: list[tuple[bytes, bytes]], names: list[bytes]) -> None:
    ours = [HeaderField(name.lower(), name + b":" + value) for name, value in fields]
    theirs = dkim.select_headers([(name, value) for name, value in fields], names)
    assert [field.raw for field in chosen(ours, names)] == [name + b":" + value for name, value in theirs]


@settings(deadline=None)
@given(HEADERS, TEXT, st.sampled_from([b"simple", b"relaxed"]), st.sampled_from([b"simple", b"relaxed"]))
def test_what_another_library_signs_passes(
    fields: list[tuple[bytes, bytes]], body: bytes, header: bytes, text: bytes
) -> None:
    """All four canonicalizations; one byte more is a failure."""
    raw = b"From: a@a.example\r\n"
    raw += b"".join(name + b":x" + value + b"x\r\n" for name, value in fields if name != b"From") + b"\r\n" + body
    whole = signed(raw, canonicalize=(header, text))
    assert results(whole) == ["pass"]
    assert results(whole + b"more\r\n") == ["fail"]


def test_what_we_sign_passes_elsewhere() -> None:
    """DKIM and two ARC sets, by the other library."""

    def ask(name: bytes, timeout: float = 5) -> bytes:
        return KEYS[name.decode().rstrip(".")][0]

    ours = DkimSigner(KEY, "s", "a.example")
    raw = ours.dkim(CanonicalMail(PLAIN), [b"from", b"subject", b"cc"], int(time.time())) + PLAIN
    assert dkim.verify(raw, dnsfunc=ask)
    once = (
        ours.arc(CanonicalMail(raw), [b"from", b"subject"], "a.example;\r\n spf=pass", "none", int(time.time())) + raw
    )
    twice = ours.arc(CanonicalMail(once), [b"from"], "a.example;\r\n arc=pass", "pass", int(time.time())) + once
    assert [dkim.arc_verify(one, dnsfunc=ask)[0] for one in (once, twice)] == [b"pass", b"pass"]
    assert [chained(one) for one in (raw, once, twice)] == ["none", "pass", "pass"]
    assert results(twice) == ["pass"]
    failed = ours.arc(CanonicalMail(twice + b"more\r\n"), [b"from"], "a.example; none", "fail", int(time.time()))
    assert b"ARC-Seal: i=3; cv=fail;" in failed
    assert chained(failed + twice + b"more\r\n") == "fail"
    # A chain that is ended stays so; none is begun over sets that are there.
    for raw, cv in ((failed + twice, "fail"), (twice, "none"), (twice, "temperror"), (PLAIN, "pass")):
        with pytest.raises(BrokenError):
            ours.arc(CanonicalMail(raw), [b"from"], "a.example; none", cv, int(time.time()))


def test_a_chain_of_another_library_passes_and_every_change_breaks_it() -> None:
    raw = b"Authentication-Results: b.example; spf=pass smtp.mailfrom=a.example\r\n" + PLAIN
    once = b"".join(dkim.ARC(raw).sign(b"s", b"b.example", KEY, b"b.example")) + raw
    assert chained(once) == "pass"
    assert chained(once.replace(b"runs", b"rums")) == "fail"
    assert chained(once.replace(b"i=1; b.example", b"i=1; c.example")) == "fail"
    assert chained(once.replace(b"cv=none", b"cv=pass")) == "fail"
    assert chained(once.replace(b"ARC-Seal:", b"X-Seal:")) == "fail"
    assert chained(once.replace(b"i=1;", b"i=2;")) == "fail"
    seal = once[: once.index(b"ARC-Message")]
    assert chained(seal + once) == "fail"
    assert chained(once.replace(b"ARC-Authentication-Results: i=1", b"ARC-Authentication-Results: i=51")) == "fail"


def test_a_chain_of_fifty_is_the_longest() -> None:
    """RFC 8617 §5.1.1: instance 51 is never made."""
    ours, raw = DkimSigner(KEY, "s", "a.example"), PLAIN
    for instance in range(1, 51):
        raw = ours.arc(CanonicalMail(raw), [b"from"], "a.example; none", "none" if instance == 1 else "pass", 1) + raw
    assert chained(raw) == "pass"
    assert len(arc.chain(CanonicalMail(raw)).claims) == 51
    with pytest.raises(BrokenError):
        ours.arc(CanonicalMail(raw), [b"from"], "a.example; none", "pass", 1)


ED = Ed25519PrivateKey.generate()
ED_RECORD = b"k=ed25519; p=" + base64.b64encode(
    ED.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (lambda raw: raw, "pass"),
        (lambda raw: raw.replace(b"a=rsa-sha256", b"a=rsa-sha1"), "permerror"),
        (lambda raw: raw.replace(b"v=1;", b"v=2;"), "permerror"),
        (lambda raw: raw.replace(b"v=1;", b"v=1; v=1;"), "permerror"),
        (lambda raw: raw.replace(b"i=@a.example", b"i=@b.example"), "permerror"),
        (lambda raw: raw.replace(b"i=@a.example", b"i=@xa.example"), "permerror"),
        (lambda raw: raw.replace(b"q=dns/txt", b"q=http"), "permerror"),
        (lambda raw: raw.replace(b"c=relaxed/simple", b"c=relaxed/odd"), "permerror"),
        (lambda raw: raw.replace(b"h=from : ", b"h="), "permerror"),
        (lambda raw: raw.replace(b"d=a.example", b"d=a example;x"), "permerror"),
        (lambda raw: raw.replace(b"d=a.example", b"d=-"), "permerror"),
        (lambda raw: raw.replace(b"bh=", b"bh=!"), "permerror"),
        (lambda raw: raw.replace(b"v=1;", b"v=1; x=1000;"), "permerror"),
        (lambda raw: raw.replace(b"v=1;", b"v=1; t=99999999999;").replace(b" t=1", b" u=1"), "permerror"),
        (lambda raw: raw.replace(b"v=1;", b"v=1; l=99999;"), "permerror"),
        (lambda raw: raw.replace(b"Subject: one", b"Subject: two"), "fail"),
        (lambda raw: raw.replace(b"Text", b"Next"), "fail"),
        # A From field in front of the signed one, that nobody signed.
        (lambda raw: b"From: x@bank.example\r\n" + raw, "fail"),
        (lambda raw: raw.replace(b"s=s;", b"s=other;"), "fail"),
    ],
)
def test_each_fault_of_a_signature(change: Callable[[bytes], bytes], result: str) -> None:
    raw = change(signed(PLAIN, include_headers=[b"from", b"subject"]))
    assert results(raw) == [result]


@pytest.mark.parametrize(
    ("found", "result"),
    [
        ([record(MADE)], "pass"),
        ([b"p=" + record(MADE).partition(b"p=")[2]], "pass"),
        ([b"v=spf1 -all", record(MADE)], "pass"),
        ([record(MADE).replace(b"k=rsa;", b"k=rsa; s=email; h=sha1:sha256; t=y:s;")], "pass"),
        ([], "fail"),
        ([b"v=DKIM1; p="], "fail"),
        ([record(MADE).replace(b"DKIM1", b"DKIM2")], "fail"),
        ([record(MADE).replace(b"k=rsa;", b"k=rsa; s=tlsrpt;")], "fail"),
        ([record(MADE).replace(b"k=rsa;", b"k=rsa; h=sha1;")], "fail"),
        ([ED_RECORD], "fail"),
        ([record(ec.generate_private_key(ec.SECP256R1()))], "fail"),
        ([b"v=DKIM1; p=" + b"A" * 8100], "fail"),
        ([published(65537, (1 << 1015) + 1)], "permerror"),
        # Larger than is worked with, and an exponent that makes work.
        ([published(65537, (1 << 8199) + 1)], "permerror"),
        ([published((1 << 40) + 1, MADE.public_key().public_numbers().n)], "permerror"),
    ],
)
def test_each_fault_of_a_key(found: list[bytes], result: str) -> None:
    assert results(signed(PLAIN), {"s._domainkey.a.example": found}) == [result]


def test_an_ed25519_key_that_is_none_and_one_for_its_own_domain_only() -> None:
    claim = signature.Claim("a.example", "s", "ed25519", b"d" * 32, ED.sign(b"d" * 32))
    assert keys.verified(claim, [ED_RECORD]) == "pass"
    assert keys.verified(claim, [b"k=ed25519; p=AAAA"]) == "fail"
    assert keys.verified(claim, [ED_RECORD.replace(b"p=", b"t=s; p=")]) == "pass"
    below = signature.Claim("a.example", "s", "ed25519", b"d" * 32, ED.sign(b"d" * 32), below=True)
    assert keys.verified(below, [ED_RECORD.replace(b"p=", b"t=s; p=")]) == "fail"


def test_a_signature_of_a_part_of_the_body_is_valid_and_not_acceptable() -> None:
    """l=: what stands behind may be anybody's."""
    raw = signed(PLAIN, length=True)
    assert results(raw) == ["pass"]
    assert results(raw + b"an attachment\r\n") == ["policy"]


def test_five_signatures_are_looked_at_and_too_long_ones_are_refused() -> None:
    assert results(signed(PLAIN)[: -len(PLAIN)] * 6 + PLAIN) == ["pass"] * 5
    names = b" : ".join([b"from"] * 1001)
    assert results(signed(PLAIN).replace(b"h=", b"h=" + names + b" : ")) == ["permerror"]
    assert results(b"DKIM-Signature: v=1; b=" + b"a" * 100_000 + b"\r\n" + PLAIN) == ["permerror"]
    with pytest.raises(TooLargeError):
        CanonicalMail(b"From: a@a.example\r\n" + b"X: y\r\n" * 20_000 + b"\r\nText\r\n")
    with pytest.raises(TooLargeError):
        CanonicalMail(b"From: a@a.example\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\nText\r\n")


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (b"From: A <a@B.Example.>", "b.example"),
        (b"From: A <a@b.example>, B <b@b.example>", "b.example"),
        (b"From: A <a@b.example>, B <b@c.example>", ""),
        (b"From: a@b.example\r\nfrom : a@b.example", ""),
        ("From: a@bücher.example".encode(), "xn--bcher-kva.example"),
        (b"From: a@b.example; dmarc=pass", "b.example"),
        (b"From: " + b"(" * 9000 + b"a@b.example", ""),
        (b"From: " + b"a" * 10_000 + b"@b.example", ""),
        (b"From a@c.example Mon Jan 1 00:00:00 2026\r\nFrom: a@b.example", "b.example"),
        (b"not a field\r\n continued: x\r\nFrom: a@b.example", "b.example"),
        (b"To: a@b.example", ""),
    ],
)
def test_the_author_is_one_domain_or_nobody(field: bytes, found: str) -> None:
    assert author(CanonicalMail(field + b"\r\n\r\nText\r\n")) == found


def test_tags_and_domains() -> None:
    assert tags(" a = 1 ;\r\n\tb=x=y; ;") == {"a": "1", "b": "x=y"}
    for broken in ("a", "a=1;a=2", "1=2", ";".join(f"t{number}=1" for number in range(101))):
        with pytest.raises(BrokenError):
            tags(broken)
    for name in ("", "..", "a..b", "a b;c", "x" * 64, "a." * 127 + "a", "a@b", "a\x00b", "é" * 300):
        with pytest.raises(BrokenError):
            domain(name)


def work(function: Callable[[], object]) -> int:
    """The lines of our own code that run: what they do each is a scan of the bytes at most."""
    lines = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace if "enrich/dkim" in frame.f_code.co_filename.replace("\\", "/") else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return lines


BODIES = {
    "blanks": b" ",
    "tabs": b"\t",
    "blanks and tabs": b" \t",
    "empty lines": b"\r\n",
    "blank lines": b" \r\n",
    "carriage returns": b"\r",
    "line feeds": b"\n",
    "words": b"word ",
}


@pytest.mark.parametrize("unit", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("end", [b"", b"x", b"x\r\n", b"\r\n"])
def test_a_body_takes_time_in_proportion_to_its_size(unit: bytes, end: bytes) -> None:
    """Eight times the body, eight times the time, with room for noise; a quadratic one would take 64 times."""

    def seconds(size: int) -> float:
        raw = b"From: a@a.example\r\n\r\n" + unit * (size // len(unit)) + end
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            mail = CanonicalMail(raw)
            mail.body_hash(relaxed=True)
            mail.body_hash(relaxed=False)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(4 << 20) < 8 * 4 * max(seconds(1 << 19), 0.001)


def headers(count: int, kind: str) -> bytes:
    """A signed mail's header in one of the forms that cost much when they are handled carelessly."""
    signature_field = signed(PLAIN)[: -len(PLAIN)]
    if kind == "fields":
        return b"X: y\r\n" * count + signature_field
    if kind == "folds":
        return b"X: y" + b"\r\n z" * count + b"\r\n" + signature_field
    if kind == "long h=":
        names = b" : ".join(b"x%d" % number for number in range(count // 25))
        return b"X1: y\r\n" * count + signature_field.replace(b"h=", b"h=" + names + b" : ")
    if kind == "signatures":
        return signature_field * (count // 10)
    return signature_field.replace(b" b=", b" " * count + b"b=").replace(b"v=1;", b"v=1; z=" + b" \t" * count + b";")


@pytest.mark.parametrize("kind", ["fields", "folds", "long h=", "signatures", "blanks in a signature"])
def test_a_header_takes_work_in_proportion_to_its_size(kind: str) -> None:
    """Counted in lines of code that run: eight times the header, no more than ten times the work."""

    def lines(count: int) -> int:
        raw = headers(count, kind) + PLAIN
        return work(lambda: (signature.signatures(CanonicalMail(raw), NOW), author(CanonicalMail(raw))))

    assert lines(16_000) < 10 * lines(2_000)
