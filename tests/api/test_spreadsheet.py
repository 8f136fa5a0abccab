"""No text of a stranger is a formula when a CSV file is opened; numbers stay numbers."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmarcworks.api.spreadsheet import PATTERN, harmless
from dmarcworks.cli.parse import _csv_line
from dmarcworks.dashboard.sql_result import Result, csv_of

RUN = [
    "=1+1", "+1", "-1", "@SUM(A1)", "|calc", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20SUM(A1)", "\uff5ccalc",
    "\t=1", "\r=1", "\n=1", "\tx", "\rx", " =1", "\u3000\uff1d1", "\u200b=1", "\ufeff+1", "\x00-1", "\u202e@x", "\"=1",
    "\u201c=1", "'=1", "\u22121", "\ufe63\u0031", "\u207a1", "\xa0\xad|x",
]  # fmt: skip
PLAIN = [
    "",
    "plain",
    "1",
    "a=b",
    "1-2",
    "192.0.2.1",
    "\u65e5\u672c",
    "'tis",
    '"quoted"',
    "#x",
    "\u200bx",
]


@pytest.mark.parametrize("text", RUN)
def test_what_could_be_run_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == "'" + text
    assert next(csv.reader(io.StringIO(_csv_line([text]), newline=""))) == ["'" + text]


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays(text: str) -> None:
    assert harmless(text) == text


@settings(deadline=None)
@given(st.text(max_size=20))
def test_arrow_and_python_decide_alike(text: str) -> None:
    """The exports ask Arrow's engine, the pages Python's."""
    (found,) = pc.match_substring_regex(pa.array([text]), pattern=PATTERN).to_pylist()
    assert found == harmless(text).startswith("'" + text)


def test_the_lists_are_those_of_unicode() -> None:
    """Each sign in every compatibility form, after each character that shows nothing."""
    chars = [chr(code) for code in range(0x1_0000) if not 0xD800 <= code < 0xE000]
    signs = [char for char in chars if unicodedata.normalize("NFKC", char)[:1] in tuple("=+-@|")]
    before = [char for char in chars if unicodedata.category(char) in ("Cc", "Cf", "Zs", "Zl", "Zp")]
    assert [sign for sign in signs if not re.match(PATTERN, sign)] == []
    assert [char for char in before if not re.match(PATTERN, char + "=")] == []


def test_the_pages_csv_keeps_numbers_and_guards_text() -> None:
    body = {
        "meta": [
            {"name": "=name", "type": "String"},
            {"name": "n", "type": "Int64"},
            {"name": "big", "type": "Nullable(Int256)"},
            {"name": "list", "type": "Array(String)"},
        ],
        "data": [
            ["\uff1d1", -5, "-170141183460469231731687303715884105728", ["=1"]],
            ["|x", -0.5, None, []],
            ["-5", 1, "-x", []],
        ],
    }
    assert csv_of(Result.of(json.dumps(body).encode())) == (
        "'=name,n,big,list\r\n"
        '\'\uff1d1,-5,-170141183460469231731687303715884105728,"[""=1""]"\r\n'
        "'|x,-0.5,,[]\r\n"
        "'-5,1,'-x,[]\r\n"
    )
