"""Promise of names: one form for each, no address and no single label; what only the operator may have is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.catalogue.names import chain, normal_domain, public_suffix, related, reserved
from dmarcworks.errors import UsageError


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Example.COM.", "example.com"),
        (" bücher.example ", "xn--bcher-kva.example"),
        ("ｅxample．com", "example.com"),
        ("example.test", "example.test"),
        ("_dmarc.example.com", "_dmarc.example.com"),
        ("1.2.3.4.example", "1.2.3.4.example"),
    ],
)
def test_a_name_has_one_form(written: str, name: str) -> None:
    assert normal_domain(written) == name


@pytest.mark.parametrize(
    "written",
    [
        "", ".", "com", "localhost", "example.com..", "a..b", ".example.com", "-a.example", "a@example.com",
        "a b.example", "192.0.2.1", "192.0.2.1.", "0x7f.1", "1.0x7f", "1.2", "example.123", "[192.0.2.1]",
        "2001:db8::1", "::1", "１９２.０.２.１", "＠.example", "a.example＠b.example", "*.example.com",
        "a" * 64 + ".example", "a." * 127 + "example",
        "ü" * 5000 + ".example", "reports․example․net",
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused(written: str) -> None:
    with pytest.raises(UsageError):
        normal_domain(written)


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("co.uk", True), ("github.io", True), ("foo.ck", True), ("kawasaki.jp", True), ("foo.kawasaki.jp", True),
        ("xn--55qx5d.cn", True), ("example.com", False), ("me.github.io", False), ("www.ck", False),
        ("city.kawasaki.jp", False), ("example.test", False), ("example.invalid", False), ("a.example", False),
    ],
)  # fmt: skip
def test_a_public_suffix_is_known(name: str, public: bool) -> None:
    assert public_suffix(name) is public


HOST = "reports.example.net"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (HOST, f"{HOST} is the report host"),
        ("example.net", f"example.net contains the report host {HOST}"),
        (f"a.{HOST}", f"a.{HOST} is below the report host {HOST}"),
        ("old.test", "old.test is the report host"),
        ("co.uk", "co.uk is a public suffix"),
        ("xexample.net", ""),
        ("other.example.net", ""),
        (f"x{HOST}", ""),
    ],
)
def test_what_is_reserved_says_why(name: str, why: str) -> None:
    assert reserved(name, {HOST, "old.test"}) == why


LABELS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=5).map(".".join)


@given(LABELS, LABELS)
def test_related_names_share_a_chain(one: str, other: str) -> None:
    """Exactly when one of the two is among the other's parents, or is it."""
    assert related(one, other) == (one in chain(other) or other in chain(one)) == related(other, one)


@given(st.text(max_size=60))
def test_a_normal_name_is_its_own_form(written: str) -> None:
    try:
        name = normal_domain(written)
    except UsageError:
        return
    assert normal_domain(name) == name
    assert name.isascii()
    assert name == name.lower().strip(".")
