"""A policy as reporters found it, as tags of a record: never more than DMARC knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmarcworks.analytics.questions.policy import PublishedPolicy

TEXT = st.none() | st.text(max_size=20) | st.sampled_from(["none", "quarantine", "reject", "r", "s"])


@pytest.mark.parametrize(
    ("policy", "tags"),
    [
        (PublishedPolicy("a.example", "reject", "reject", None, "r", "r", 100), "p=reject"),
        (
            PublishedPolicy("a.example", "none", "reject", "reject", "s", "s", 100),
            "p=none; sp=reject; np=reject; adkim=s; aspf=s",
        ),
        (PublishedPolicy("a.example", "quarantine", None, None, None, None, 25), "p=quarantine; pct=25"),
        (PublishedPolicy("a.example", "reject; rua=mailto:x@evil.example", None, None, None, None, None), "p=none"),
        (PublishedPolicy("a.example", None, None, None, None, None, -1), "p=none"),
    ],
)
def test_tags_are_those_that_differ_from_the_defaults(policy: PublishedPolicy, tags: str) -> None:
    assert policy.tags == tags


@given(TEXT, TEXT, TEXT, TEXT, TEXT, st.none() | st.integers(-(2**63), 2**63 - 1))
def test_a_strangers_text_is_never_part_of_a_record(
    p: str | None, sp: str | None, np: str | None, adkim: str | None, aspf: str | None, pct: int | None
) -> None:
    """Each tag has a known name and a known value."""
    for tag in PublishedPolicy("a.example", p, sp, np, adkim, aspf, pct).tags.split("; "):
        name, _, value = tag.partition("=")
        assert name in ("p", "sp", "np", "adkim", "aspf", "pct")
        assert value in ("none", "quarantine", "reject", "s") or (name == "pct" and 0 <= int(value) < 100)
