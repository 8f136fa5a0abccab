"""The API's words for what became of a mail are the log's: none is left out of a sum or refused in an answer."""

from __future__ import annotations

from typing import get_args

from dmarcworks.api.rest.activity_models import ActivityStep, ActivitySummary, Outcome
from dmarcworks.catalogue.activity import OUTCOMES


def test_every_outcome_of_the_log_is_one_of_the_api() -> None:
    """In the log's order, as values of a line and as figures of a summary and its steps."""
    assert get_args(Outcome) == OUTCOMES
    assert list(ActivityStep.model_fields) == ["received", *OUTCOMES, "start"]
    assert list(ActivitySummary.model_fields) == ["received", *OUTCOMES, "since", "until", "step", "series"]
