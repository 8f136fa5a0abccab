"""The words of scripts/language.toml: the check passes on the tree, and it does find what it looks for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("language_script", ROOT / "scripts" / "language.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


language = _module()
RULES, EXCUSES = language.load()
ALL = ("docstring", "comment", "string")


def _found(path: str, source: str, kinds: tuple[str, ...] = ALL) -> list[tuple[int, str]]:
    return [(hit.line, hit.words) for hit in language.check(path, source, RULES, EXCUSES, kinds)]


def test_the_tree_has_no_hit() -> None:
    """What `make lint` runs: every scope."""
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "language.py"], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.returncode) == ("", 0)


OLD = """# What a page looked like

SMTP listens on 127.0.0.1:2525 until you say otherwise; [operating](docs/operating-told.md) tells more, `told` and
`dmarcworks ask` do not count. A store that is
away uses up no tries, a mail that was given up stands under Problems.

    make demo     the same on a throw-away home, beside the yardstick

The whole way is read again and made anew: the color of its behavior was canceled.
"""


def test_a_page_is_found_out() -> None:
    """Words, phrases over a line's end and American spellings, each with its line; code and link targets left out."""
    assert _found("docs/page.md", OLD) == [
        (3, "until you say otherwise"),
        (3, "tells"),
        (4, "is away"),
        (5, "given up"),
        (5, "stands under"),
        (7, "throw-away"),
        (7, "home"),
        (7, "beside"),
        (7, "yardstick"),
        (9, "whole way"),
        (9, "read again"),
        (9, "anew"),
        (9, "color"),
        (9, "behavior"),
        (9, "canceled"),
    ]


def test_a_hit_names_place_and_better_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per hit, exit status 1; with --count the numbers alone."""
    (tmp_path / "README.md").write_text("The store is mended.\n")
    assert language.main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "README.md:1: mended → fix, repair\n"
    assert language.main(["--root", str(tmp_path), "--count"]) == 1
    assert capsys.readouterr().out == "     1  docs: text\n     1  in all\n"
    (tmp_path / "README.md").write_text("The store is repaired.\n")
    assert language.main(["--root", str(tmp_path)]) == 0


SOURCE = '''"""Tells what was asked."""

# The house has a
# throw-away door.
NAME = "told"
TEXT = f"The store is {NAME} away; say {'told'}"
SPLIT = "the store is " "away now"
APART = ("the store is", "away we go")
QUERY = "SELECT told FROM house WHERE asked"


def mended() -> str:
    """Fix `anew` in dmarcworks/told/anew.py."""
    return "read it again"  # mend
'''


def test_python_is_read_by_kind() -> None:
    """Docstrings, comments and strings apart; names, expressions, SQL, code spans and paths of files are no prose."""
    assert _found("src/a.py", SOURCE, ("docstring",)) == [(1, "Tells"), (1, "asked")]
    assert _found("src/a.py", SOURCE, ("comment",)) == [(3, "house"), (4, "throw-away"), (4, "door"), (14, "mend")]
    assert _found("src/a.py", SOURCE, ("string",)) == [(6, "say"), (7, "is away"), (14, "read it again")]


def test_a_template_and_a_script_are_read_without_their_code() -> None:
    """Text, attributes that people read and sentences in expressions; no tags, classes, names."""
    page = (
        """<div class="house" title="Ask here">{% if told %}<b>Let</b> it go{{ "was asked" if asked else "" }}</div>"""
    )
    assert [words for _, words in _found("a.html", page)] == ["Ask", "Let it go", "asked"]
    assert _found("a.js", "const told = ask('a store is away'); // the door\n") == [(1, "is away"), (1, "door")]
    assert _found("a.css", ".house { color: red } /* the color of a home */\n") == [(1, "color"), (1, "home")]


def test_the_source_is_checked_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Docstrings, comments and strings of every package, without --scope."""
    package = tmp_path / "src" / "dmarcworks" / "reports"
    package.mkdir(parents=True)
    (package / "a.py").write_text('"""A report is built anew."""\n\n# A store is away.\nTEXT = "the report says"\n')
    assert language.main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out == (
        "src/dmarcworks/reports/a.py:1: anew → again, rebuild\n"
        "src/dmarcworks/reports/a.py:3: is away → be unavailable\n"
        "src/dmarcworks/reports/a.py:4: says → show, state, return, print, report\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "The organizational domain is the term of RFC 9989.",
        "A message that fails permanently is dead-lettered; dead letters stay.",
        "Send it as `Authorization: Bearer <token>`.",
        "403: not authorized for that account",
        "The variable DMARCWORKS_HOME names the data directory.",
        "The catalogue's behaviour, its colour and its licence are British.",
    ],
)
def test_terms_of_the_field_are_no_hits(text: str) -> None:
    """Exceptions are few: terms of RFCs, texts that clients compare."""
    assert _found("docs/page.md", text) == []


NAMES = '''class SetAside:
    """A class, a function, an argument, a variable and an attribute."""

    def hands(self, door, dead_letter, *, turnstile):
        for found in door:
            self.house = found


def letters_of(found_reports): ...
'''


def test_names_are_checked_by_their_parts(tmp_path: Path) -> None:
    """What a file defines, not what it uses; the source has more such words than the tests; each name counts once."""
    rules = language.load_names()

    def hits(path: str, which: str) -> list[tuple[int, str]]:
        return [(hit.line, hit.words) for hit in language.check_names(path, NAMES, rules, which)]

    tests = [(1, "the class SetAside"), (4, "the function hands"), (4, "the argument door"), (6, "the attribute house")]
    assert hits("tests/api/test_a.py", "tests") == tests
    assert hits("tests/api/test_shelf.py", "tests") == [(1, "the file test_shelf"), *tests]
    more = [(5, "the variable found"), (9, "the function letters_of")]
    assert sorted(hits("src/dmarcworks/api/a.py", "source")) == sorted([*tests, *more])
    assert language.check_names("src/dmarcworks/settings/receiving.py", "home = 1\n", rules, "source") == []
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("def told() -> None: ...\n")
    run = [sys.executable, ROOT / "scripts" / "language.py", "--root", tmp_path]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (
        "src/a.py:1: the function told → what it is: status, settings, detail\n",
        1,
    )
