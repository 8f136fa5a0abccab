"""No bytes make reading slow: every pattern takes time in proportion to its text, and so does the whole reader."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import time

import pytest
from tests.mails import document

import dmarcworks.reports
from dmarcworks.reports.read import read_bytes, read_mail

# What is repeated; "¤" is a space, "¶" a line break.
_PUMPED = """
< <? <?xml¤ <!-- <!--¤- & &# &#x1; zip xml a a. a: - ---¤ ¤ ¶ 0 0. 1: . \\ " \\" [ ( feedback <feedback </feedback
<record¤ <record> <a:record </record¤ <dkim> <a></a> encoding= 1.1. ff: 2026-09-22 A¤ a:¤b¶ feedback-type: ¶source-ip:
copy¤of --- ---¶
"""
Pattern = re.Pattern[str] | re.Pattern[bytes]


def _patterns() -> list[tuple[str, Pattern, set[str]]]:
    """Every pattern of the room, and the ways in which its module uses it."""
    found = []
    for info in pkgutil.iter_modules(dmarcworks.reports.__path__):
        module = importlib.import_module(f"dmarcworks.reports.{info.name}")
        source = inspect.getsource(module)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                ways = set(re.findall(rf"\b{name}\.(match|fullmatch|search|sub|subn|split|finditer|findall)\b", source))
                found.append((f"{info.name}.{name}", value, ways))
    return found


def _seconds(pattern: Pattern, ways: set[str], text: str) -> float:
    subject = text.encode() if isinstance(pattern.pattern, bytes) else text
    start = time.process_time()
    for way in ways:
        if way in ("match", "fullmatch", "search"):
            getattr(pattern, way)(subject)
        else:
            for _ in pattern.finditer(subject):  # type: ignore[arg-type]
                pass
    return time.process_time() - start


_ALL = _patterns()


def test_the_patterns_are_found() -> None:
    """The room has patterns, and each is used."""
    assert len(_ALL) > 20
    assert [name for name, _, ways in _ALL if not ways] == []


@pytest.mark.parametrize(("name", "pattern", "ways"), _ALL, ids=[name for name, _, _ in _ALL])
def test_a_pattern_takes_time_in_proportion_to_its_text(name: str, pattern: Pattern, ways: set[str]) -> None:
    """Four times the text takes about four times as long, whatever is repeated in it; sixteen times is refused."""
    for piece in _PUMPED.split():
        for before in ("", "application/", "<?xml "):
            pumped = piece.replace("¤", " ").replace("¶", "\n")
            text = before + pumped * (16_000 // len(pumped)) + "!\n"
            long = _seconds(pattern, ways, text)
            if long > 0.05:
                short = min(_seconds(pattern, ways, text[: len(text) // 4] + "!\n") for _ in range(2))
                assert min(long, _seconds(pattern, ways, text)) < 9 * short, (name, before + pumped)


@pytest.mark.parametrize(
    "mark", ["<!--", "<?", "<!-- -", "<feedback>", "</feedback>", "<record>", "&", "<", "]]>", "<![CDATA["]
)
def test_text_after_a_report_does_not_make_it_slow(mark: str) -> None:
    """200 kB of openings without an end behind a good report: read within two seconds (once it took minutes)."""
    start = time.process_time()
    reading = read_bytes(document() + mark.encode() * (200_000 // len(mark)))
    assert time.process_time() - start < 2
    assert len(reading.items) + len(reading.problems) > 0


@pytest.mark.parametrize(
    "line", [b"-" * 1_000_000, b"---\n" * 250_000, b"--- copy of\n" * 100_000, b"a: b\n" * 200_000]
)
def test_a_long_plain_text_failure_report_does_not_make_it_slow(line: bytes) -> None:
    """A megabyte of the text form's own marks is read within two seconds."""
    start = time.process_time()
    said = b"A message claiming to be from you has failed the published DMARC policy\n\n"
    reading = read_mail(b"Content-Type: text/plain\n\n" + said + line)
    assert time.process_time() - start < 2
    assert [item.report.kind for item in reading.items] == ["failure"]
