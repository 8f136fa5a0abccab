"""Promise: a hundred mails from one reporter ask DNS once, and nothing is believed for longer than told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from dmarcworks.enrich.resolver import Dns, NoAnswerError
from tests.support.dns_server import dns_server
from tests.support.outside import Names, answering


@pytest.fixture
async def names() -> AsyncIterator[Names]:
    there = Names()
    there.add({("example.com", "TXT"): "v=spf1 -all"})
    with answering(there):
        yield there


@pytest.fixture
async def opened(names: Names) -> AsyncIterator[Callable[[list[float]], Dns]]:
    made: list[Dns] = []

    def make(now: list[float]) -> Dns:
        made.append(Dns(names.server, clock=lambda: now[0]))
        return made[-1]

    yield make
    for resolver in made:
        resolver.close()


async def asked(resolver: Dns, name: str, kind: str = "TXT") -> list[object]:
    return await resolver(name, kind, time.monotonic() + 5)


Opened = Callable[[list[float]], Dns]


async def test_those_who_ask_at_once_share_an_answer(names: Names, opened: Opened) -> None:
    resolver = opened([0.0])
    answers = await asyncio.gather(*(asked(resolver, name) for name in ["example.com", "Example.com."] * 50))
    assert answers == [[b"v=spf1 -all"]] * 100
    assert names.asked == [("example.com", "TXT")]


async def test_a_name_in_other_letters_is_asked_as_a_labels(names: Names, opened: Opened) -> None:
    """IDNA 2008, not 2003; what is no name in DNS has no records, and nobody is asked."""
    names.add({("xn--strae-oqa.example", "TXT"): "here"})
    resolver = opened([0.0])
    assert await asked(resolver, "straße.example") == [b"here"]
    assert await asked(resolver, "😀.example") == []
    assert names.asked == [("xn--strae-oqa.example", "TXT")]


async def test_an_answer_is_forgotten_with_its_ttl(names: Names, opened: Opened) -> None:
    now = [1000.0]
    resolver = opened(now)
    assert await asked(resolver, "example.com") == [b"v=spf1 -all"]
    names.add({("example.com", "TXT"): "v=spf1 +all"})
    now[0] += 58  # the server says 60
    assert await asked(resolver, "example.com") == [b"v=spf1 -all"]
    now[0] += 3
    assert await asked(resolver, "example.com") == [b"v=spf1 +all"]


async def test_what_is_absent_is_asked_again_after_a_minute(names: Names, opened: Opened) -> None:
    now = [1000.0]
    resolver = opened(now)
    assert await asked(resolver, "nobody.example") == await asked(resolver, "example.com", "MX") == []
    names.add({("nobody.example", "TXT"): "here"})
    assert await asked(resolver, "nobody.example") == []
    now[0] += 61
    assert await asked(resolver, "nobody.example") == [b"here"]


async def test_a_failure_holds_for_seconds_and_is_its_own_for_each_who_asks(names: Names, opened: Opened) -> None:
    now = [1000.0]
    resolver = opened(now)
    names.failing.add("example.com")
    failures = await asyncio.gather(*(asked(resolver, "example.com") for _ in range(4)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [NoAnswerError] * 4
    assert len({id(failure) for failure in failures}) == 4
    count = len(names.asked)
    with pytest.raises(NoAnswerError):
        await asked(resolver, "example.com")
    assert len(names.asked) == count
    names.failing.clear()
    now[0] += 6
    assert await asked(resolver, "example.com") == [b"v=spf1 -all"]


async def test_an_answer_that_is_too_late_for_one_mail_serves_the_next(names: Names, opened: Opened) -> None:
    """The question goes on when the mail's own time has passed: no failure stays behind, and nothing is asked twice."""
    names.slow.add("example.com")
    names.slow_seconds = 1.0
    resolver = opened([0.0])
    with pytest.raises(NoAnswerError):
        await resolver("example.com", "TXT", time.monotonic() + 0.2)
    assert await asked(resolver, "example.com") == [b"v=spf1 -all"]
    assert names.asked == [("example.com", "TXT")]
    with pytest.raises(NoAnswerError):
        await resolver("example.org", "TXT", time.monotonic() - 1)


async def test_whether_dns_is_alive_is_asked_of_the_root(names: Names, opened: Opened) -> None:
    """No such name is an answer; a server that fails or says nothing is none."""
    resolver = opened([0.0])
    assert await resolver.alive()
    assert names.asked == [(".", "NS")]
    names.add({(".", "NS"): ["a.root-servers.net."]})
    assert await resolver.alive()
    names.broken.add("")
    assert not await resolver.alive()
    nobody = Dns("127.0.0.1:9")
    assert not await nobody.alive()
    nobody.close()


async def test_whether_a_name_exists_is_known_apart_from_its_records() -> None:
    """NXDOMAIN is another answer than no record of that type (RFC 8020)."""
    with dns_server({("a.example.com", "TXT"): ['"x"'], ("b.example.com", "CNAME"): ["gone.example.com."]}) as port:
        resolver = Dns(f"127.0.0.1:{port}")
        names = ("a.example.com", "example.com", "x.example.com", "b.example.com", "😀.example")
        answers = [await resolver.lookup(name, "A", time.monotonic() + 5) for name in names]
        resolver.close()
    assert [answer.records for answer in answers] == [[]] * 5
    assert [answer.exists for answer in answers] == [True, True, False, False, False]


async def test_a_closed_resolver_gives_no_answer(names: Names, opened: Opened) -> None:
    """Look-ups that wait for their turn while the server ends are no errors."""
    resolver = opened([0.0])
    assert await asked(resolver, "example.com") == [b"v=spf1 -all"]
    resolver.close()
    with pytest.raises(NoAnswerError, match=r"DNS gave no answer about other\.example: OSError"):
        await asked(resolver, "other.example")
