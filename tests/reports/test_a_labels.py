"""Names as DNS has them: IDNA 2008 and not 2003, and nothing that a stranger writes raises."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.catalogue.names import normal_domain
from dmarcworks.enrich.dkim.tags import BrokenError
from dmarcworks.enrich.dkim.tags import domain as dkim_domain
from dmarcworks.errors import UsageError
from dmarcworks.reports.a_labels import a_labels
from dmarcworks.reports.values import domain as report_domain
from dmarcworks.routing.rules import normal_address

# As written, and as DNS has it.
NAMES = [
    ("straße.de", "xn--strae-oqa.de"),
    ("faß.de", "xn--fa-hia.de"),
    ("strasse.de", "strasse.de"),
    ("βόλος.com", "xn--nxasmm1c.com"),
    ("bücher.example", "xn--bcher-kva.example"),
    ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
    ("نامه\u200cای.com", "xn--mgba3gch31f060k.com"),
    ("mail.bücher。example", "mail.xn--bcher-kva.example"),
    ("_dmarc.bücher.example", "_dmarc.xn--bcher-kva.example"),
    ("s1._domainkey.straße.de", "s1._domainkey.xn--strae-oqa.de"),
    ("a" * 63 + ".bücher.example", "a" * 63 + ".xn--bcher-kva.example"),
    # An A-label of 63 octets; one letter more makes 64.
    ("ü" + "a" * 55 + ".example", "xn--" + "a" * 55 + "-oxf.example"),
]
REFUSED = [
    "😀.example",
    "i❤.ws",
    "_bücher.example",
    "a" * 64 + ".bücher.example",
    "ü" + "a" * 56 + ".example",
    "ü" * 5000 + ".example",
    "ü..example",
    "-ü.example",
    "ab--ü.example",
    "a\u0301\u200d.example",
    "\u0300a.example",
    "evil.example＠bücher.example",
    "℀.bücher.example",
    "\ud800.example",
    "אa.example",
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_a_name_is_the_same_wherever_it_is_read(written: str, name: str) -> None:
    """By a person, in an envelope, in a signature and in a report."""
    assert a_labels(written) == name
    assert normal_domain(written) == name
    assert normal_address(f"a@{written}") == f"a@{name}"
    assert dkim_domain(written) == name
    assert report_domain(written) == name


@pytest.mark.parametrize("written", REFUSED)
def test_what_is_no_name_stays_text(written: str) -> None:
    """A person is told, an address and a report keep what was written, and nothing else is raised."""
    assert a_labels(written) is None
    with pytest.raises(UsageError, match=re.escape("is not a domain name; write it like example.com, or in its DNS")):
        normal_domain(written)
    assert normal_address(f"a@{written}") == f"a@{written}"
    with pytest.raises(BrokenError):
        dkim_domain(written)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("😀.Example", "xn--e28h.example"),
        ("_bücher.example", "xn--_bcher-4ya.example"),
        ("a" * 64 + ".bücher.example", "a" * 64 + ".xn--bcher-kva.example"),
        ("*.bücher.example", "*.xn--bcher-kva.example"),
        ("two bücher.example", "two bücher.example"),
        ("a@bücher.example", "a@bücher.example"),
        ("evil＠bücher.example", "xn--evilbcher-u9a27762e.example"),
        ("ü" * 300, "ü" * 300),
    ],
)
def test_a_report_with_a_name_that_nobody_may_register_is_read(written: str, read: str) -> None:
    """Emoji are registered all the same, and then DNS has them in this form."""
    assert report_domain(written) == read


def test_ascii_is_left_alone() -> None:
    """Not even its length is judged here: each caller has its own rule."""
    for name in ("Example.COM.", "xn--0", "a" * 300, "", "."):
        assert a_labels(name) == name


@given(st.text(max_size=300))
def test_no_text_raises_or_grows_odd_characters(text: str) -> None:
    """An answer is ASCII, and has no character outside of names that the text did not have."""
    name = a_labels(text)
    report_domain(text)
    normal_address(f"a@{text}")
    assert name is None or (name.isascii() and set(name) - set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._"))
