"""Promise of mail that leaves: one message in is one message out, and its signature and seal hold at a verifier's."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import dkim
import dns.resolver
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from dmarcworks.errors import SettingsError
from dmarcworks.routing.delivery.relay import parse_relay, whole_lines
from dmarcworks.routing.delivery.signing import Signer, without_results
from tests.support.outside import Names, Sink, answering, listening

PIECES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b".", b"\0", b"x", b"MAIL FROM:<a@b.example>", b"QUIT", b"\xff", b"DATA"]
)
RAW = b"From: a@sender.example\r\nTo: b@here.example\r\nSubject: one\r\nMessage-ID: <1@sender.example>\r\n\r\nHello\r\n"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with listening(Sink()) as there:
        yield there


@given(raw=st.lists(PIECES, max_size=30).map(b"".join))
@settings(deadline=None, max_examples=60)
def test_whatever_comes_in_leaves_as_one_message(sink: Sink, raw: bytes) -> None:
    """The next server gets one mail, every line of it ended by CRLF and none by anything else."""
    relay = parse_relay(sink.url + "?starttls=never", "here.example")
    assert relay is not None
    sink.taken.clear()
    asyncio.run(relay.send("a@b.example", "c@d.example", b"Subject: x\r\n\r\n" + raw))
    ((_, _, got),) = sink.taken
    assert re.search(rb"\r(?!\n)|(?<!\r)\n", got) is None
    assert got.removesuffix(b"\r\n") == (b"Subject: x\r\n\r\n" + whole_lines(raw)).removesuffix(b"\r\n")


@pytest.fixture(scope="module")
def pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def resolver(pem: str) -> Iterator[dns.resolver.Resolver]:
    """A real name server on loopback that knows the key."""
    private = serialization.load_pem_private_key(pem.encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = "".join(public.decode().splitlines()[1:-1])
    names = Names()
    names.add({("s._domainkey.here.example", "TXT"): f"v=DKIM1; k=rsa; p={text}"})
    with answering(names):
        found = dns.resolver.Resolver(configure=False)
        found.nameservers, found.port = ["127.0.0.1"], names.port
        yield found


def ask(resolver: dns.resolver.Resolver) -> object:
    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        try:
            answer = resolver.resolve(name.decode().rstrip("."), "TXT", lifetime=timeout)
        except dns.resolver.NXDOMAIN:
            return None
        return b"".join(answer[0].strings)

    return txt


def chain(raw: bytes, resolver: dns.resolver.Resolver) -> tuple[str, list[int], list[str]]:
    """What a verifier says of the ARC chain: its result, and each seal's instance and cv."""
    result, _, _ = dkim.arc_verify(raw, dnsfunc=ask(resolver))
    seals = re.findall(rb"(?im)^ARC-Seal:((?:.*\r\n)(?:[ \t].*\r\n)*)", raw)
    instances = [int(found[1]) for seal in seals if (found := re.search(rb"\bi=(\d+)", seal))]
    values = [found[1].decode() for seal in seals if (found := re.search(rb"\bcv=(\w+)", seal))]
    return (result or b"").decode(), instances, values


def test_a_signature_holds_and_a_change_breaks_it(pem: str, resolver: dns.resolver.Resolver) -> None:
    """DKIM verified with the key that the name server has."""
    signed = Signer(pem, "s", "here.example", "here.example").sign(RAW)
    assert signed.endswith(RAW)
    assert dkim.verify(signed, dnsfunc=ask(resolver)) is True
    assert dkim.verify(signed.replace(b"Hello", b"Hullo"), dnsfunc=ask(resolver)) is False


def test_a_chain_grows_and_a_broken_one_is_never_called_good(pem: str, resolver: dns.resolver.Resolver) -> None:
    """First seal i=1 cv=none, the next i=2 cv=pass; a chain that failed gets no seal that says pass."""
    signer = Signer(pem, "s", "here.example", "here.example")
    first = signer.seal(RAW, "spf=pass smtp.mailfrom=sender.example; arc=none")
    assert chain(first, resolver) == ("pass", [1], ["none"])
    assert dkim.verify(first, dnsfunc=ask(resolver)) is True
    second = signer.seal(first, "spf=fail smtp.mailfrom=sender.example; arc=pass")
    assert chain(second, resolver) == ("pass", [2, 1], ["pass", "none"])
    for results in ("spf=pass smtp.mailfrom=sender.example; arc=fail", "none", "spf=pass smtp.mailfrom=x.example"):
        broken = signer.seal(first.replace(b"Hello", b"Hullo"), results)
        result, _, values = chain(broken, resolver)
        assert result != "pass"
        assert "pass" not in values


def test_a_strangers_results_in_our_name_are_not_sealed(pem: str, resolver: dns.resolver.Resolver) -> None:
    """Fields that say to be ours are gone, folded or commented too; other hosts' fields and the text stay."""
    forged = (
        b"Authentication-Results: (x)\r\n HERE.example;\r\n dkim=pass header.d=bank.example;\r\n arc=pass\r\n"
        b"AUTHENTICATION-RESULTS : here.example 1; arc=pass\r\n"
    )
    others = b"Authentication-Results: there.example; spf=pass smtp.mailfrom=here.example\r\n"
    text = b"Authentication-Results: here.example; x=y\r\n"
    signer = Signer(pem, "s", "here.example", "here.example")
    sealed = signer.seal(forged + others + RAW + text, "spf=fail smtp.mailfrom=sender.example; arc=none")
    assert b"bank.example" not in sealed
    assert sealed.endswith(others + RAW + text)
    assert chain(sealed, resolver) == ("pass", [1], ["none"])


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\ntext\r\n"])
def test_a_mail_without_a_text_hides_no_forged_results(end: bytes) -> None:
    """Header fields alone, with or without the empty line: the field that says to be ours is gone, the rest stays."""
    raw = b"Authentication-Results: here.example; dmarc=pass\r\nFrom: a@b.example" + end
    kept = without_results(raw, "here.example")
    assert kept == b"From: a@b.example" + (end or b"\r\n")


@pytest.mark.parametrize("key", ["nonsense", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"])
def test_what_is_no_key_is_told(key: str) -> None:
    """At the start, by the setting's name, without the key."""
    with pytest.raises(SettingsError, match=r"DMARCWORKS_DKIM_KEY .* is no RSA key in PEM form") as error:
        Signer(key, "s", "here.example", "here.example")
    assert "AAAA" not in str(error.value)
