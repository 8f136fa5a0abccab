"""Promise: RFC 7208's published test suite passes over real DNS on loopback too, through our resolver."""

from __future__ import annotations

import time
from itertools import groupby

import pytest

from dmarcworks.enrich.resolver import Dns
from dmarcworks.policy.dns_records.spf import evaluate_spf
from tests.support.outside import Names, answering
from tests.support.spf_suite import SuiteCase, served, suite_cases

SCENARIOS = [(name, list(cases)) for name, cases in groupby(suite_cases(), key=lambda case: case.scenario)]


@pytest.mark.parametrize(("name", "cases"), SCENARIOS, ids=lambda value: value if isinstance(value, str) else "")
async def test_each_case_has_an_allowed_result_over_dns(name: str, cases: list[SuiteCase]) -> None:
    """Every case of a scenario against a server with the scenario's zone; a time-out is a server that fails."""
    names = Names()
    names.records, names.failing = served(cases[0].zone)
    wrong = []
    with answering(names):
        resolver = Dns(names.server)
        for case in cases:
            evaluation = await evaluate_spf(case.host, case.mail_from, case.helo, resolver, time.monotonic() + 10)
            explained = case.explanation is None or evaluation.result != "fail"
            explained = explained or evaluation.explanation == (
                "" if case.explanation == "DEFAULT" else case.explanation
            )
            if evaluation.result not in case.results or not explained:
                wrong.append((case.name, evaluation))
        resolver.close()
    assert wrong == []
