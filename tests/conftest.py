"""With DMARCWORKS_TEST_ALL=1 (as in CI) a part that is missing is a failure: no test is skipped in silence."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from dmarcworks.enrich.network import setup

pytest.register_assert_rewrite("tests.support")
# How long an example takes depends on what else the machine does.
hypothesis_settings.register_profile(
    "untimed", parent=hypothesis_settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("untimed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip's reason becomes what failed."""
    report = yield
    if report.skipped and os.environ.get("DMARCWORKS_TEST_ALL") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"DMARCWORKS_TEST_ALL=1, but {item.nodeid} is skipped: {reason}"
    return report


@pytest.fixture(autouse=True, scope="session")
def _no_installed_ip_data() -> Generator[None]:
    """No test depends on the IP data file that was installed; who needs one names it in the settings."""
    before, setup.INSTALLED = setup.INSTALLED, Path("/nonexistent")
    yield
    setup.INSTALLED = before
