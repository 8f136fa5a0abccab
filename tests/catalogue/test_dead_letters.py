"""A message that a worker gave up, as a person sees it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dmarcworks.bindings.contracts import DeadLetter
from dmarcworks.catalogue.dead_letters import excerpt


@pytest.mark.parametrize(
    ("kind", "body", "shown", "more"),
    [
        ("text", "abcd", "abcd", False),
        ("text", "abcde", "abcd", True),
        ("text", "abc…", "abc…", False),
        ("text", "\U0001f600" * 4, "\U0001f600" * 4, False),
        ("text", "\U0001f600" * 5, "\U0001f600" * 4, True),
        ("json", "a\x00\nb", "a\ufffd\nb", False),
        ("bytes", "\x00" * 2000, "2,000 bytes", False),
    ],
)
def test_a_cut_body_says_so(kind: str, body: str, shown: str, more: bool) -> None:
    """Exactly what does not fit is left out, whatever it ends with and however long its characters are."""
    now = datetime.now(UTC)
    assert excerpt(DeadLetter(1, "q", kind, body.encode(), now, 1, 1, "", now), 4) == (shown, more)
