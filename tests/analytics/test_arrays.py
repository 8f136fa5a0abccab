"""What goes into an array comes out of it again: every text, every number in range, and absent as absent."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.analytics.arrays import INT64, UINT64, counts, lists, made, texts
from dmarcworks.analytics.tables import INSTANT, TABLES, TEXT, TEXTS

_TEXT = st.none() | st.text(st.characters(blacklist_categories=["Cs"]), max_size=12) | st.sampled_from(["", "pass"])
_SURROGATE = st.text(st.sampled_from("aé\ud800\udfff€😀"), max_size=6)


pa.array([""])  # loads pandas, which takes longer than one example may


def _same(array: pa.Array[Any], values: list[Any], kind: pa.DataType) -> None:
    array.validate(full=True)
    assert array.type == kind
    assert array.equals(pa.array(values, kind))


@given(st.lists(_TEXT, max_size=40))
def test_texts_are_what_arrow_makes_of_them(values: list[str | None]) -> None:
    _same(texts(values), values, TEXT)


@given(st.lists(_SURROGATE, max_size=10))
def test_a_lone_surrogate_becomes_a_question_mark(values: list[str]) -> None:
    _same(texts(values), [text.encode("utf-8", "replace").decode() for text in values], TEXT)


@given(st.lists(st.none() | st.lists(_TEXT, max_size=4), max_size=20))
def test_lists_are_what_arrow_makes_of_them(values: list[list[str | None] | None]) -> None:
    _same(lists(values), values, TEXTS)


@given(st.lists(st.none() | st.integers(-(2**70), 2**70), max_size=20))
def test_numbers_are_held_inside_their_range(values: list[int | None]) -> None:
    def held(low: int, high: int) -> list[int | None]:
        return [None if value is None else min(max(value, low), high) for value in values]

    _same(counts(values), held(*UINT64), pa.uint64())
    _same(made(values, pa.int64()), held(*INT64), pa.int64())


@given(st.lists(st.none() | st.dates(), max_size=20))
def test_days_are_what_arrow_makes_of_them(values: list[date | None]) -> None:
    _same(made(values, pa.date32()), values, pa.date32())


@given(st.lists(st.none() | st.datetimes(timezones=st.just(UTC)), max_size=20))
def test_moments_lose_what_is_less_than_a_millisecond(values: list[datetime | None]) -> None:
    cut = [None if value is None else value - timedelta(microseconds=value.microsecond % 1000) for value in values]
    _same(made(values, INSTANT), cut, INSTANT)


@given(st.lists(st.none() | st.booleans(), max_size=40))
def test_flags_are_what_arrow_makes_of_them(values: list[bool | None]) -> None:
    _same(made(values, pa.bool_()), values, pa.bool_())


@given(st.lists(st.none() | st.floats(0, 1, width=32), max_size=20))
def test_shares_are_what_arrow_makes_of_them(values: list[float | None]) -> None:
    _same(made(values, pa.float32()), values, pa.float32())


def test_every_column_of_every_table_is_made_here_or_named() -> None:
    """A new column's type is known, or this test names it: structs."""
    others = set()
    for table in TABLES.values():
        for column in table.columns:
            try:
                assert made([None], column.arrow).to_pylist() == [None]
            except KeyError:
                others.add(column.name)
    assert others == {"reasons", "dkim", "spf", "failures"}


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(KeyError):
        made([1.5], pa.float64())


def test_reading_to_rows_loads_no_pandas() -> None:
    """50 MB that a report of 200,000 records would need beside itself."""
    code = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from dmarcworks.analytics.rows import rows_of\n"
        "from dmarcworks.reports.read import read_bytes\n"
        "xml = b'<feedback><report_metadata><org_name>o</org_name><email>a@b.example</email><report_id>1</report_id>"
        "<date_range><begin>1</begin><end>2</end></date_range></report_metadata><policy_published>"
        "<domain>example.com</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip>"
        "<count>3</count><policy_evaluated><disposition>none</disposition></policy_evaluated></row><identifiers>"
        "<header_from>example.com</header_from></identifiers><auth_results/></record></feedback>'\n"
        "(item,) = read_bytes(xml, 'x.xml').items\n"
        "name, table = rows_of(item.report, account_id='a', domain_id='d', domain='example.com',"
        " received=datetime(2026, 1, 1, tzinfo=UTC), report_key='k', object_key='o')\n"
        "assert table.column('count').to_pylist() == [3]\n"
        "print('pandas' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
