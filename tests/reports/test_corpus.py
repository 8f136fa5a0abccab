"""Every file of the shared corpus reads as its index says: exact sums of a report, a named problem of any other."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from dmarcworks.reports.model import REASONS, AggregateReport
from dmarcworks.reports.read import read_bytes, read_mail

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def index() -> list[dict[str, str]]:
    with open(CORPUS / "INDEX.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    if not (CORPUS / "INDEX.tsv").is_file():
        message = f"the shared corpus is not at {CORPUS}"
        pytest.skip(message)
    return index()


def test_every_file_of_the_shared_corpus_reads_as_its_index_says(rows: list[dict[str, str]]) -> None:
    """Valid and quirky: one report of the kind, records and messages to the unit. Invalid: only named problems."""
    wrong: list[str] = []
    seen: Counter[str] = Counter()
    for row in rows:
        data = (CORPUS / row["path"]).read_bytes()
        name = row["path"].rsplit("/", 1)[-1]
        reading = read_mail(data) if row["container"] == "eml" else read_bytes(data, name)
        seen[row["expected"]] += 1
        if row["expected"] == "invalid":
            if (
                reading.items
                or not all(problem.reason in REASONS for problem in reading.problems)
                or not reading.problems
            ):
                wrong.append(f"{row['path']}: {reading}")
            continue
        found = [item.report for item in reading.items]
        if reading.problems or [report.kind for report in found] != [row["kind"]]:
            wrong.append(f"{row['path']}: {[report.kind for report in found]} {reading.problems}")
        elif isinstance(found[0], AggregateReport):
            sums = (str(len(found[0].records)), str(found[0].messages))
            if sums != (row["records"], row["messages"]):
                wrong.append(f"{row['path']}: {sums}, the index says {row['records']}, {row['messages']}")
    assert wrong == []
    assert seen["valid"] + seen["quirky"] >= 350
    assert seen["invalid"] >= 2
