"""Promise of the rules: who gets a mail is decided by a table that anyone can read, and nobody is relayed for."""

from __future__ import annotations

import pytest

from dmarcworks.catalogue.routes import RoutingRule
from dmarcworks.routing.rules import Drop, Forward, Match, Reject, ToWorker, normal_address, route

UNKNOWN = Reject("550 5.1.1 No such recipient here")
DMARC = ToWorker("dmarc")


def rule(
    address: str,
    action: str = "worker",
    value: str = "w",
    *,
    created: float = 1.0,
    enabled: bool = True,
    priority: int = 0,
) -> RoutingRule:
    name = f"{address}{created}{value}"
    return RoutingRule(name, "a", "d", "example.com", address, "", enabled, priority, action, value, created, created)


A, A_DETAIL, HOST = "a@example.com", "a+x@example.com", "0f@reports.example.net"
CATCH_ALL = rule("", "drop", "")


@pytest.mark.parametrize(
    ("address", "rules", "rua", "subaddressing", "action"),
    [
        # The four actions, and none.
        (A, [rule(A)], False, False, ToWorker("w")),
        (A, [rule(A, "forward", "b@example.org")], False, False, Forward("b@example.org")),
        (A, [rule(A, "drop", "")], False, False, Drop()),
        (A, [rule(A, "reject", "Gone")], False, False, Reject("550 5.7.1 Gone")),
        (A, [rule(A, "reject", "")], False, False, Reject("550 5.7.1 Mail to this address is not taken")),
        (A, [], False, False, UNKNOWN),
        (A, [rule("b@example.com")], False, True, UNKNOWN),
        # Of two on one address the newest wins, whatever their order; a lower priority is first; disabled is not there.
        (A, [rule(A, value="old"), rule(A, value="new", created=2)], False, False, ToWorker("new")),
        (A, [rule(A, value="new", created=2), rule(A, value="old")], False, False, ToWorker("new")),
        (A, [rule(A, value="old"), rule(A, value="new", created=2, priority=5)], False, False, ToWorker("old")),
        (A, [rule(A, value="old"), rule(A, value="new", created=2, enabled=False)], False, False, ToWorker("old")),
        (A, [rule(A, enabled=False)], False, False, UNKNOWN),
        # Subaddressing is a setting; the rule on the whole address goes first.
        (A_DETAIL, [rule(A)], False, False, UNKNOWN),
        (A_DETAIL, [rule(A)], False, True, ToWorker("w")),
        (A_DETAIL, [rule(A), rule(A_DETAIL, value="exact")], False, True, ToWorker("exact")),
        (A_DETAIL, [rule(A), rule(A_DETAIL, value="exact", enabled=False)], False, True, ToWorker("w")),
        ("a+x+y@example.com", [rule(A)], False, True, ToWorker("w")),
        ("+x@example.com", [rule("@example.com")], False, True, UNKNOWN),
        # The catch-all is last.
        (A, [CATCH_ALL, rule(A)], False, False, ToWorker("w")),
        (A_DETAIL, [CATCH_ALL, rule(A)], False, True, ToWorker("w")),
        (A, [CATCH_ALL], False, False, Drop()),
        # A rua address goes to the DMARC worker, whatever rules there are.
        (HOST, [], True, False, DMARC),
        (HOST, [CATCH_ALL], True, False, DMARC),
        (HOST, [rule(HOST, "drop", "", priority=-1)], True, False, DMARC),
        (HOST, [rule(HOST, "drop", "", enabled=False)], True, False, DMARC),
        ("0f+x@reports.example.net", [rule(HOST)], True, True, DMARC),
        # What is no address never is one.
        ("", [CATCH_ALL], False, True, UNKNOWN),
        ("example.com", [CATCH_ALL], False, True, UNKNOWN),
        ("@example.com", [CATCH_ALL], False, True, UNKNOWN),
        ("ä@example.com", [CATCH_ALL], False, True, UNKNOWN),
        ("a" * 320 + "@example.com", [CATCH_ALL], False, True, UNKNOWN),
    ],
)
def test_a_recipient_gets_one_action(
    address: str, rules: list[RoutingRule], rua: bool, subaddressing: bool, action: object
) -> None:
    """Rua address, exact rule, rule without the detail, catch-all, nobody: in this order."""
    found = route(address, rules, rua=rua, subaddressing=subaddressing)
    assert found.action == action
    assert isinstance(found, Match)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("<A@Example.COM>", "a@example.com"),
        ("  a@example.com ", "a@example.com"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@" + "ü" * 70 + ".example", "a@" + "ü" * 70 + ".example"),
        ("<>", ""),
        ("a@example.com.", "a@example.com"),
        ("a@example.com..", "a@example.com."),
        ('"a"@example.com', "a@example.com"),
        ('"a\\b"@example.com', "ab@example.com"),
        ('"a b"@example.com', '"a b"@example.com'),
        ('"a@x"@example.com', '"a@x"@example.com'),
        ("a@ＥＸＡＭＰＬＥ．com", "a@example.com"),
        ("a@example\N{ONE DOT LEADER}com", "a@example.com"),
        ("a@example。com。", "a@example.com"),
        ("a@evil.example＠example.com", "a@evil.example＠example.com"),
    ],
)
def test_an_address_has_one_form(written: str, normal: str) -> None:
    """Case, brackets and internationalised domains make no other address."""
    assert normal_address(written) == normal
