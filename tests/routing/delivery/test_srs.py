"""Promise of sender rewriting: a bounce finds back to whoever sent, and nobody makes us send elsewhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.errors import RefusedError
from dmarcworks.routing.delivery.srs import Srs
from dmarcworks.routing.smtp.grammar import mail_address

NOW = 1_790_100_000.0
DAY = 86_400
LOCAL = st.text(st.sampled_from("abcXYZ019.+-_=!#'"), min_size=1, max_size=64)
DOMAIN = st.lists(st.text(st.sampled_from("abcz09-"), min_size=1, max_size=20), min_size=1, max_size=4).map(".".join)
PLAIN = LOCAL.filter(lambda local: local[:4].lower() not in ("srs0", "srs1"))


def srs(host: str = "here.example", secret: bytes = b"secret", now: float = NOW) -> Srs:
    return Srs(host, secret, lambda: now)


@given(PLAIN, DOMAIN)
def test_every_address_comes_back(local: str, domain: str) -> None:
    """reverse(forward(x)) is x, also when a server on the way wrote it in capitals or small."""
    sender = f"{local}@{domain}"
    sent = srs().forward(sender)
    assert sent.startswith("srs0=")
    assert sent.endswith("@here.example")
    assert srs().reverse(sent) == sender
    shouted = srs().reverse(sent.upper())
    assert shouted is not None
    assert shouted.lower() == sender.lower()


@given(PLAIN, DOMAIN, st.data())
def test_what_was_changed_is_refused(local: str, domain: str, data: st.DataObject) -> None:
    """Another hash, day, domain or name, or another host's secret: no address of ours."""
    sent = srs().forward(f"{local}@{domain}")
    end = sent.index("@here.example")
    at = data.draw(st.integers(5, end - 1))
    other = data.draw(st.sampled_from("abcz0-").filter(lambda char: char != sent[at].lower()))
    assert srs().reverse(sent[:at] + other + sent[at + 1 :]) is None
    assert srs(secret=b"other").reverse(sent) is None


@given(PLAIN, DOMAIN, st.integers(0, 900))
def test_an_old_one_is_dead(local: str, domain: str, days: int) -> None:
    """Good for 21 days, not for the 22nd."""
    sent = srs().forward(f"{local}@{domain}")
    assert (srs(now=NOW + days * DAY).reverse(sent) is not None) == (days <= 21)


@given(PLAIN, DOMAIN)
def test_forwarded_twice_and_thrice_comes_back_by_the_first_host(local: str, domain: str) -> None:
    """srs0 → srs1 → srs1: the bounce goes from the last host to the first, and from there to the sender."""
    first, second, third = srs("one.example", b"1"), srs("two.example", b"2"), srs("three.example", b"3")
    sender = f"{local}@{domain}"
    once = first.forward(sender)
    twice = second.forward(once)
    thrice = third.forward(twice)
    assert twice.startswith("srs1=")
    assert thrice.startswith("srs1=")
    for host, address in ((second, twice), (third, thrice)):
        back = host.reverse(address)
        assert back is not None
        assert back == once
        assert first.reverse(back) == sender
    assert second.reverse(thrice) is None


def test_no_sender_and_our_own_stay() -> None:
    """A bounce stays a bounce, and our own address needs no rewriting."""
    assert srs().forward("") == ""
    assert srs().forward("a@Here.Example") == "a@Here.Example"
    assert [srs().reverse(text) for text in ("", "a@here.example", "srs0=@here.example", "srs1=a=b@here.example")] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ('"a b"@far.example', "553 5.1.7"),
        ('"a@b"@far.example', "553 5.1.7"),
        ('"a\\"b"@far.example', "553 5.1.7"),
        ('""@far.example', "553 5.1.7"),
        ("a b@far.example", "553 5.1.7"),
        ("a\r\nb@far.example", "553 5.1.7"),
        ("a<b@far.example", "553 5.1.7"),
        ("é@far.example", "553 5.6.7"),
        ("a@é.example", "553 5.6.7"),
        (f"{'a' * 64}@{'.'.join(['b' * 50] * 4)}.example", "553 5.1.7"),
        (f"srs0=aaaaaaaa=aa={'.'.join(['b' * 50] * 4)}.example=a@far.example", "553 5.1.7"),
        ('srs0="a b"@far.example', "553 5.1.7"),
    ],
)
def test_a_sender_that_cannot_be_carried_is_refused(sender: str, code: str) -> None:
    """For good, and with the reason."""
    with pytest.raises(RefusedError, match=f"^{code} This sender address cannot be forwarded: "):
        srs().forward(sender)


def test_needless_quotation_marks_are_left_out() -> None:
    """`"a.b"@c` is the address `a.b@c` (RFC 5321 §4.1.2)."""
    assert srs().reverse(srs().forward('"a.b"@far.example')) == "a.b@far.example"
    assert srs().reverse(srs().forward('"a\\b"@far.example')) == "ab@far.example"


@given(st.text(max_size=80), DOMAIN)
def test_what_leaves_is_always_an_address(local: str, domain: str) -> None:
    """Rewritten or refused; what is rewritten is a plain ASCII address that SMTP carries."""
    try:
        sent = srs().forward(f"{local}@{domain}")
    except RefusedError:
        return
    assert mail_address(sent) == sent
    assert re.fullmatch(r"srs[01]=[!-~]+@here\.example", sent)
    assert len(sent) <= 254
