"""The golden corpus: reading each file gives what stands beside it, and the numbers that a person wrote down for it.

`make golden` renews it; the difference is to be read before it is committed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dmarcworks.cli.parse import totals

ROOT = Path(__file__).parent.parent.parent
CORPUS = ROOT / "tests" / "corpus"
sys.path.insert(0, str(ROOT / "scripts"))

import corpus  # noqa: E402
from corpus_samples import SAMPLES, Sample  # noqa: E402

_IDS = [sample.name for sample in SAMPLES]


def test_the_corpus_is_what_the_script_writes() -> None:
    """Every sample is a file with its expected JSON, byte for byte, and there is no other file (run `make golden`)."""
    written = {str(path.relative_to(CORPUS)): path.read_bytes() for path in CORPUS.rglob("*") if path.is_file()}
    stated = {sample.name: sample.data for sample in SAMPLES}
    assert len(stated) == len(SAMPLES)
    assert written.keys() == stated.keys() | {f"{name}.expected.json" for name in stated}
    assert {name for name in stated if written[name] != stated[name]} == set()


@pytest.mark.parametrize("sample", SAMPLES, ids=_IDS)
def test_a_sample_is_read_as_the_json_next_to_it_states(sample: Sample) -> None:
    """Every value, warning and problem is the expected one."""
    path = CORPUS / sample.name
    found = corpus.expected(corpus.read(sample.name, path.read_bytes()))
    assert found == json.loads(path.with_name(path.name + ".expected.json").read_text())


@pytest.mark.parametrize("sample", SAMPLES, ids=_IDS)
def test_a_sample_holds_what_a_person_wrote_down(sample: Sample) -> None:
    """Kind, reports, records, messages and problems, and the codes of all warnings and problems."""
    reading = corpus.read(sample.name, sample.data)
    codes = {warning.code for item in reading.items for warning in item.report.warnings}
    codes |= {problem.reason for problem in reading.problems}
    assert (totals(reading), codes) == (sample.counts, sample.codes)
