"""Promise: RFC 7208's published test suite passes in full, with the explanations."""

from __future__ import annotations

from collections import Counter

import pytest

from dmarcworks.enrich.spf.client import spf_client
from tests.support.spf_suite import SUITE, SuiteCase, evaluated, suite_cases

CASES = list(suite_cases())


def test_the_suite_is_whole() -> None:
    """203 cases of 16 scenarios; without it nothing here is proved."""
    if not SUITE.exists():
        pytest.skip(f"the SPF test suite is not at {SUITE}")
    assert len(CASES) == 203
    assert len(Counter(case.scenario for case in CASES)) == 16


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.scenario}: {case.name}")
def test_each_case_has_an_allowed_result(case: SuiteCase) -> None:
    """The result is one that the case allows, the explanation is the one it states; DEFAULT is an empty one."""
    client = spf_client(case.host, case.mail_from, case.helo)
    assert client is not None
    evaluation, _ = evaluated(client, case.zone)
    assert evaluation.result in case.results, evaluation.trace
    if case.explanation is not None and evaluation.result == "fail":
        assert evaluation.explanation == ("" if case.explanation == "DEFAULT" else case.explanation)
