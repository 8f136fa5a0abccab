"""The rules send our own addresses to the DMARC worker and everybody else away: this host relays for nobody."""

from __future__ import annotations

import pytest

from dmarcworks.routing.rules import Reject, ToWorker, normal_address, route


@pytest.mark.parametrize("address", ["abc@reports.example.net", "<ABC@Reports.Example.NET>", "a@reports.example.net."])
def test_our_addresses_go_to_the_worker(address: str) -> None:
    """Case and a trailing dot make no difference."""
    assert route(address, "Reports.example.net") == ToWorker("dmarc")


@pytest.mark.parametrize(
    "address",
    ["", "abc", "@reports.example.net", "abc@", "abc@example.org", "a@b@sub.reports.example.net", "a@reports"],
)
def test_every_other_address_is_refused(address: str) -> None:
    """No relay, no wildcard, no subdomain."""
    assert route(address, "reports.example.net") == Reject("550 5.1.1 No such recipient here")


def test_an_address_is_looked_up_in_one_form() -> None:
    """Brackets, blanks and case are gone."""
    assert normal_address(" <AbC@Reports.Example.Net> ") == "abc@reports.example.net"
