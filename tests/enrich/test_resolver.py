"""Promise: a hundred mails from one reporter ask DNS once, and nothing is believed for longer than told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dmarcworks.enrich.resolver import Dns, NoAnswerError
from outside import Names, answering


@pytest.fixture
def names() -> Iterator[Names]:
    there = Names()
    there.add({("example.com", "TXT"): "v=spf1 -all"})
    with answering(there):
        yield there


def asked(resolver: Dns, name: str, kind: str = "TXT") -> list[object]:
    return resolver(name, kind, time.monotonic() + 5)


def test_those_who_ask_at_once_share_an_answer(names: Names) -> None:
    resolver = Dns(names.server)
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda name: asked(resolver, name), ["example.com", "Example.com."] * 50))
    assert answers == [[b"v=spf1 -all"]] * 100
    assert names.asked == [("example.com", "TXT")]


def test_an_answer_is_forgotten_with_its_ttl(names: Names) -> None:
    now = [1000.0]
    resolver = Dns(names.server, clock=lambda: now[0])
    assert asked(resolver, "example.com") == [b"v=spf1 -all"]
    names.add({("example.com", "TXT"): "v=spf1 +all"})
    now[0] += 58  # the server says 60
    assert asked(resolver, "example.com") == [b"v=spf1 -all"]
    now[0] += 3
    assert asked(resolver, "example.com") == [b"v=spf1 +all"]


def test_what_is_absent_is_asked_again_after_a_minute(names: Names) -> None:
    now = [1000.0]
    resolver = Dns(names.server, clock=lambda: now[0])
    assert asked(resolver, "nobody.example") == asked(resolver, "example.com", "MX") == []
    names.add({("nobody.example", "TXT"): "here"})
    assert asked(resolver, "nobody.example") == []
    now[0] += 61
    assert asked(resolver, "nobody.example") == [b"here"]


def test_a_failure_holds_for_seconds_and_is_its_own_for_each_who_asks(names: Names) -> None:
    now = [1000.0]
    resolver = Dns(names.server, clock=lambda: now[0])
    names.failing.add("example.com")
    with ThreadPoolExecutor(4) as threads:
        failures = [future.exception() for future in [threads.submit(asked, resolver, "example.com") for _ in range(4)]]
    assert [type(failure) for failure in failures] == [NoAnswerError] * 4
    assert len({id(failure) for failure in failures}) == 4
    count = len(names.asked)
    with pytest.raises(NoAnswerError):
        asked(resolver, "example.com")
    assert len(names.asked) == count
    names.failing.clear()
    now[0] += 6
    assert asked(resolver, "example.com") == [b"v=spf1 -all"]


def test_a_question_cut_short_by_its_mail_leaves_no_failure_behind() -> None:
    with answering(Names()) as names:
        names.failing.add("slow.example")
        resolver = Dns(names.server)
        with pytest.raises(NoAnswerError):
            resolver("slow.example", "TXT", time.monotonic() + 0.5)
        names.failing.clear()
        names.add({("slow.example", "TXT"): "here"})
        assert asked(resolver, "slow.example") == [b"here"]
