"""No bytes make reading slow: every pattern takes time in proportion to its text, and so does the whole reader."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dmarcworks.reports
from dmarcworks.reports.read import read_bytes, read_mail
from tests.support.mails import document

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
    for info in pkgutil.walk_packages(dmarcworks.reports.__path__, "dmarcworks.reports."):
        module = importlib.import_module(info.name)
        source = inspect.getsource(module)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                methods = set(
                    re.findall(rf"\b{name}\.(match|fullmatch|search|sub|subn|split|finditer|findall)\b", source)
                )
                found.append((f"{info.name.removeprefix('dmarcworks.reports.')}.{name}", value, methods))
    return found


# What a linear pattern does in a moment and a quadratic one not within an hour; a child that is still at it is hung.
_LENGTH = 400_000
_PATIENCE = 600
_CHILD = """
import faulthandler, importlib, sys
from tests.reports import test_linear
getattr(test_linear, sys.argv[1])(sys.argv[2])
print("done")
"""


def _in_time(work: str, argument: str) -> bool:
    """Run one of the functions below in a process of its own; False when it hangs."""
    root = Path(__file__).parents[2]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root / "src"), str(root)))}
    command = [sys.executable, "-c", _CHILD, work, argument]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return False
    assert done.stdout.endswith("done\n"), done.stderr
    return True


def run_patterns(module: str) -> None:
    """Every pattern of a module over every pumped text."""
    for name, pattern, methods in _patterns():
        if name.rpartition(".")[0] == module:
            for piece in _PUMPED.split():
                for before in ("", "application/", "<?xml "):
                    _search(pattern, methods, before + _pumped(piece) + "!\n")


def _pumped(piece: str) -> str:
    unit = piece.replace("¤", " ").replace("¶", "\n")
    return unit * (_LENGTH // len(unit))


def _search(pattern: Pattern, methods: set[str], text: str) -> None:
    subject = text.encode() if isinstance(pattern.pattern, bytes) else text
    for method in methods:
        if method in ("match", "fullmatch", "search"):
            getattr(pattern, method)(subject)
        else:
            for _ in pattern.finditer(subject):  # type: ignore[arg-type]
                pass


def run_after_a_report(mark: str) -> None:
    """A good report with openings behind it that never end."""
    reading = read_bytes(document() + mark.encode() * (_LENGTH // len(mark)))
    assert len(reading.items) + len(reading.problems) > 0


def run_inside(piece: str) -> None:
    """What the mending looks for, over and over between the root's tags."""
    assert read_bytes(b"<?xml version='1.0'?><feedback>" + piece.encode() * _LENGTH + b"</feedback>").problems


def run_text_form(line: str) -> None:
    """Megabytes of the plain text failure report's own marks."""
    said = b"A message claiming to be from you has failed the published DMARC policy\n\nSender Domain: a.example\n"
    marks = line.encode() * (4_000_000 // len(line))
    reading = read_mail(b"Content-Type: text/plain\n\n" + said + marks)
    assert [item.report.kind for item in reading.items] == ["failure"]


def run_backtracking(_: str) -> None:
    """What must be seen as hung: a quadratic search."""
    re.compile(r"a*b").search("a" * 40 * _LENGTH)


_ALL = _patterns()


def test_the_patterns_are_found() -> None:
    """The room has patterns, and each is used."""
    assert len(_ALL) > 20
    assert [name for name, _, methods in _ALL if not methods] == []


def test_a_pattern_that_is_not_linear_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measure of these tests: a quadratic search over such a text never comes back."""
    monkeypatch.setattr(sys.modules[__name__], "_PATIENCE", 5)
    assert not _in_time("run_backtracking", "")


@pytest.mark.parametrize("module", sorted({name.rpartition(".")[0] for name, _, _ in _ALL}))
def test_a_pattern_takes_time_in_proportion_to_its_text(module: str) -> None:
    """400,000 characters of whatever is repeated in a report: no pattern of the module hangs."""
    assert _in_time("run_patterns", module)


@pytest.mark.parametrize(
    "mark", ["<!--", "<?", "<!-- -", "<feedback>", "</feedback>", "<record>", "&", "<", "]]>", "<![CDATA["]
)
def test_text_after_a_report_does_not_make_it_slow(mark: str) -> None:
    """Openings without an end behind a good report: the reader comes back (once it took minutes for half of that)."""
    assert _in_time("run_after_a_report", mark)


@pytest.mark.parametrize(
    "piece", ["<", "&", "<a", "<feedback", "<!--", "<?", "<![CDATA[", "</feedback", "&#", "<record "]
)
def test_text_inside_a_report_does_not_make_it_slow(piece: str) -> None:
    """Hundreds of thousands of what the mending looks for: named as a problem, and the reader comes back."""
    assert _in_time("run_inside", piece)


@pytest.mark.parametrize("line", ["-", "---\n", "--- copy of\n", "a: b\n"])
def test_a_long_plain_text_failure_report_does_not_make_it_slow(line: str) -> None:
    """Megabytes of the text form's own marks are read."""
    assert _in_time("run_text_form", line)
