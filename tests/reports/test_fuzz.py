"""No bytes whatever make reading raise, pass its bounds or take long; the properties stand in fuzz/properties.py."""

from __future__ import annotations

import importlib.util
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dmarcworks.reports import mail
from dmarcworks.reports.model import FailureReport
from dmarcworks.reports.read import read_mail

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "fuzz"))

import properties  # noqa: E402

# A child begins with its parent's peak memory (getrusage), and a long test run is large: a small shell in between.
SMALL_PARENT = ("/bin/sh", "-c", '"$0" "$@"; exit $?')
_SEEDS = list(properties.seeds(ROOT / "tests" / "corpus"))


def test_the_corpus_holds_the_properties_in_every_wrapping() -> None:
    """Each sample, as it is and wrapped anew, is read within the small bounds of fuzzing."""
    assert len(_SEEDS) > 200
    for seed in _SEEDS:
        properties.check(seed)


def test_damaged_samples_hold_the_properties() -> None:
    """2,000 samples, each cut, doubled, changed or crossed with another (the same ones each time)."""
    chance = random.Random(20260922)
    for _ in range(2_000):
        data = bytearray(chance.choice(_SEEDS))
        for _ in range(chance.randint(1, 4)):
            begin = chance.randrange(len(data))
            end = min(len(data), begin + chance.choice((1, 4, 40, 400)))
            other = chance.choice(_SEEDS)
            there = chance.randrange(len(other))
            data[begin:end] = chance.choice(
                (b"", data[begin:end] * 3, other[there : there + 200], chance.randbytes(3), b"\0", b"<", b'"')
            )
            if not data:
                break
        properties.check(bytes(data))


@pytest.mark.parametrize(
    ("subject", "read"),
    [
        (b"=?utf\xff\xff-8?q?Rechnung?=", "=?utf\xff\xff-8?q?Rechnung?="),
        (b"=?utf-7?q?+2AA-?=", "=?utf-7?q?+2AA-?="),
        (b"=?unicode_escape?q?a=5Cud800?=", "=?unicode_escape?q?a=5Cud800?="),
        (b"=?punycode?q?abc?=", "=?punycode?q?abc?="),
        (b"=?idna?q?abc?=", "=?idna?q?abc?="),
        (b"=?iso-8859-1*de?q?=FC?=", "ü"),
        (b"=?zlib?b?eJw=?=", "=?zlib?b?eJw=?="),
    ],
)
def test_a_subject_in_an_odd_charset_costs_no_report(subject: bytes, read: str) -> None:
    """Found by fuzzing: a charset that is no ASCII ended the reading; one that holds half a character, the storing.

    Neither is decoded, nor is what is no charset.
    """
    said = b"A message claiming to be from you has failed the published DMARC policy\n\n--- copy of the headers\n\n"
    reading = read_mail(b"Content-Type: text/plain\n\n" + said + b"From: a@example.com\nSubject: " + subject + b"\n\n")
    assert reading.problems == ()
    (item,) = reading.items
    assert isinstance(item.report, FailureReport)
    assert item.report.subject == read


@pytest.mark.parametrize("parse", [mail.parts, mail.slow_parts])
def test_a_file_name_is_text_that_a_store_takes(parse: Callable[[bytes], mail.MailPart]) -> None:
    """RFC 2231 in utf-7 can name half a character: it is replaced, by either parser."""
    part = parse(b"Content-Disposition: attachment; filename*=utf-7''a%2B2AA-.xml.gz\n\nabc")
    assert part.name.encode("utf-8").decode() == part.name
    assert (part.name[0], part.name[-7:]) == ("a", ".xml.gz")


@pytest.mark.skipif(not os.environ.get("DMARCWORKS_TEST_ALL"), reason="DMARCWORKS_TEST_ALL=1 runs it")
def test_fuzzing_for_20_seconds_finds_nothing() -> None:
    """A little of `make fuzz`, which goes on for longer; it says how many inputs it tried."""
    assert importlib.util.find_spec("atheris"), "make dev installs atheris"
    done = subprocess.run(
        [*SMALL_PARENT, sys.executable, str(ROOT / "fuzz" / "fuzz_reading.py"), "-max_total_time=20"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    tried = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    assert tried is not None
    assert int(tried.group(1)) > 100
