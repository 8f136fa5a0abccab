"""Who the client is: the walk through forwarding headers, for what proxies write and for what attackers write."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from dmarcworks.api.client import CHARACTERS, ENTRIES, Client, resolve
from dmarcworks.settings import load

PROXY, CLIENT = "10.0.0.1", "203.0.113.9"
TRUSTED = load({"DMARCWORKS_TRUSTED_PROXIES": "10.0.0.0/24, 2001:db8:1::/64"})[0].proxies
NAMES = ("x-forwarded-for", "forwarded", "x-forwarded-proto")


def asked(*headers: tuple[str, str], peer: str = PROXY) -> Client:
    """What is found out, with header lines in this order."""
    return resolve(peer, Headers(raw=[(name.encode(), value.encode("latin-1")) for name, value in headers]), TRUSTED)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (CLIENT, CLIENT),
        (f"6.6.6.6, {CLIENT}", CLIENT),
        (f"6.6.6.6,{CLIENT} ,\t10.0.0.7", CLIENT),
        (f"{CLIENT}:4711", CLIENT),
        ("2001:db8:2::9", "2001:db8:2::9"),
        ("2001:DB8:2:0::9", "2001:db8:2::9"),
        ("[2001:db8:2::9]", "2001:db8:2::9"),
        ("[2001:db8:2::9]:65535", "2001:db8:2::9"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("6.6.6.6, 2001:db8:1::5", "6.6.6.6"),
        # What is no address ends the walk at the proxy that sent it.
        ("", PROXY),
        ("6.6.6.6,", PROXY),
        ("6.6.6.6, , 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, unknown", PROXY),
        ("6.6.6.6, unknown, 10.0.0.2", "10.0.0.2"),
        ("6.6.6.6, _hidden", PROXY),
        ("6.6.6.6, localhost", PROXY),
        ("6.6.6.6, 256.1.1.1", PROXY),
        ("6.6.6.6, 1.2.3", PROXY),
        ("6.6.6.6, 01.2.3.4", PROXY),
        ("6.6.6.6, 1.2.3.4:", PROXY),
        ("6.6.6.6, 1.2.3.4:123456", PROXY),
        ("6.6.6.6, [1.2.3.4]", PROXY),
        ("6.6.6.6, [2001:db8:2::9", PROXY),
        ("6.6.6.6, fe80::1%eth0", PROXY),
        ('6.6.6.6, "1.2.3.4"', PROXY),
        ("6.6.6.6, for=1.2.3.4", PROXY),
        ("6.6.6.6, 1.2.3.4 5.6.7.8", PROXY),
        ('"6.6.6.6, 203.0.113.9', CLIENT),
    ],
)
def test_x_forwarded_for(value: str, address: str) -> None:
    assert asked(("x-forwarded-for", value)) == Client(address)


@pytest.mark.parametrize(
    ("value", "address", "scheme"),
    [
        (f"for={CLIENT}", CLIENT, ""),
        (f"For={CLIENT};Proto=HTTPS;by=10.0.0.1;host=evil.example", CLIENT, "https"),
        (f'for="{CLIENT}:4711"', CLIENT, ""),
        ('for="[2001:db8:2::9]"', "2001:db8:2::9", ""),
        ('for="[2001:db8:2::9]:4711";proto="http"', "2001:db8:2::9", "http"),
        (f"for=6.6.6.6;proto=https, for={CLIENT}", CLIENT, ""),
        (f'for={CLIENT};proto=https, for="[2001:db8:1::2]";proto=http', CLIENT, "https"),
        (f'for=6.6.6.6, for=" , for={CLIENT}', CLIENT, ""),
        (f'for=6.6.6.6;x="a\\", for={CLIENT}', CLIENT, ""),
        ('for=6.6.6.6, for="[2001:db8:2::9]";by="_a,b"', "2001:db8:2::9", ""),
        ("for=6.6.6.6, for=unknown", PROXY, ""),
        ("for=6.6.6.6, for=_SEVKISEK", PROXY, ""),
        ("for=6.6.6.6, proto=https", PROXY, ""),
        ("for=6.6.6.6, for=2001:db8:2::9", PROXY, ""),
        ("for=6.6.6.6, for=1.2.3.4;for=5.6.7.8", PROXY, ""),
        ("for=6.6.6.6, for=1.2.3.4;", PROXY, ""),
        ("for=6.6.6.6, for = 1.2.3.4", PROXY, ""),
        ('for=6.6.6.6, for="1.2.3.\\4"', PROXY, ""),
        ("for=6.6.6.6, 1.2.3.4", PROXY, ""),
    ],
)
def test_forwarded(value: str, address: str, scheme: str) -> None:
    assert asked(("forwarded", value)) == Client(address, scheme)


def test_several_lines_are_one_list() -> None:
    """In the order in which they came; an open quote of one line does not reach into the next."""
    assert asked(("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", CLIENT)).address == CLIENT
    assert asked(("x-forwarded-for", CLIENT), ("x-forwarded-for", "10.0.0.2")).address == CLIENT
    assert asked(("forwarded", 'for="6.6.6.6'), ("forwarded", f"for={CLIENT}")).address == CLIENT


def test_two_kinds_that_differ_are_both_not_believed() -> None:
    """One of them is the client's own, and nobody can tell which."""
    assert asked(("x-forwarded-for", CLIENT), ("forwarded", "for=6.6.6.6")).address == PROXY
    assert asked(("x-forwarded-for", CLIENT), ("forwarded", f"for={CLIENT}")).address == CLIENT
    assert asked(("x-forwarded-for", CLIENT), ("forwarded", "for=unknown")).address == PROXY


def test_the_scheme_is_the_last_that_was_noted() -> None:
    assert asked(("x-forwarded-for", CLIENT), ("x-forwarded-proto", "http, https")) == Client(CLIENT, "https")
    assert asked(("x-forwarded-for", CLIENT), ("x-forwarded-proto", "javascript")) == Client(CLIENT)


def test_a_long_list_is_read_up_to_a_bound() -> None:
    """50 proxies in a row are more than there are; so are 8,192 characters. What lies behind does not count."""
    assert asked(("x-forwarded-for", ", ".join([CLIENT, *["10.0.0.2"] * (ENTRIES - 1)]))).address == CLIENT
    assert asked(("x-forwarded-for", ", ".join([CLIENT, *["10.0.0.2"] * ENTRIES]))).address == "10.0.0.2"
    assert asked(("x-forwarded-for", "6.6.6.6," + "x" * 1_000_000 + f", {CLIENT}")).address == CLIENT
    assert asked(("x-forwarded-for", CLIENT + " " * CHARACTERS + ",10.0.0.2")).address == "10.0.0.2"


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.text(st.characters(max_codepoint=255)))), st.ip_addresses())
def test_a_stranger_is_never_believed(headers: list[tuple[str, str]], peer: object) -> None:
    """Whatever the headers say, a peer that is no trusted proxy is the client itself."""
    address = ipaddress.ip_address(str(peer))
    if any(address in network for network in TRUSTED):
        return
    mapped = address.ipv4_mapped if address.version == 6 else None
    found = asked(*headers, peer=str(address))
    if mapped is None or not any(mapped in network for network in TRUSTED):
        assert found == Client(str(mapped or address))


@given(st.lists(st.text(st.sampled_from(list('0123456789abf.:,;="[]\\ forunkw_')), max_size=60), max_size=4))
def test_what_a_client_writes_never_hides_what_the_proxy_appends(lines: list[str]) -> None:
    """The proxy appends to the last line, or adds a line of its own: its entry is what counts."""
    for name, entry in (
        ("x-forwarded-for", CLIENT),
        ("forwarded", f"for={CLIENT}"),
        ("forwarded", f'for="{CLIENT}:1"'),
    ):
        sent = [(name, line) for line in lines]
        assert asked(*sent, (name, entry)).address == CLIENT
        if sent:
            assert asked(*sent[:-1], (name, f"{lines[-1]}, {entry}")).address == CLIENT
