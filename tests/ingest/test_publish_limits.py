"""Small mails may hold much: with so many reports or records in hand no further mail is read, and none is left over."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

import pytest

from dmarcworks.ingest import processing, steps
from tests.support.harness import Harness
from tests.support.mails import document, mail, report_mail

pytestmark = pytest.mark.asyncio(loop_scope="package")
ACCEPTED = "250 2.0.0 Accepted"


def many(name: str, reports: int) -> bytes:
    """A mail with a zip of so many reports of two records and five messages."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(reports):
            archive.writestr(f"{number}.xml", document(f"{name}-{number}"))
    return mail(("reports.zip", held.getvalue()))


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """How many reports each mail held of those that took their steps together."""
    seen: list[list[int]] = []
    archive = steps.archive

    async def told(mails: Sequence[steps.PipelineMail], env: Any) -> None:
        seen.append([len(one.reading.items) for one in mails])
        await archive(mails, env)

    monkeypatch.setattr(steps, "archive", told)
    return seen


async def test_no_more_is_read_when_two_thousand_reports_are_in_hand(
    harness: Harness, groups: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """43 mails of 49 reports and two of one: 41 reach the bound, the rest follows in the same batch; each raw mail is
    fetched once."""
    get, fetched = harness.objects._inner.get, []

    async def counted(key: str) -> bytes | None:
        fetched.append(key)
        return await get(key)

    monkeypatch.setattr(harness.objects._inner, "get", counted)
    for number in range(43):
        assert await harness.mail(many(f"m{number}", 49)) == ACCEPTED
    for name in ("one", "two"):
        assert await harness.mail(report_mail(name)) == ACCEPTED
    assert await harness.process_batch() == 45
    assert groups == [[49] * 41, [49, 49, 1, 1]]
    assert len(fetched) == len(set(fetched)) == 45
    reports = 43 * 49 + 2
    assert await harness.total() == (reports, 2 * reports, 5 * reports)
    assert (await harness.stats()).ready == 0


async def test_nor_when_many_records_are(
    harness: Harness, groups: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records count by themselves; one mail beyond the bound goes alone."""
    monkeypatch.setattr(processing, "PUBLISH_ROWS", 4)
    for number in range(2):
        assert await harness.mail(many(f"m{number}", 3)) == ACCEPTED
    for name in ("one", "two", "three"):
        assert await harness.mail(report_mail(name)) == ACCEPTED
    assert await harness.process_batch() == 5
    assert groups == [[3], [3], [1, 1], [1]]
    assert await harness.total() == (9, 18, 45)


async def test_a_failure_is_that_of_the_mails_at_hand(
    harness: Harness, groups: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error while the first mails are noted: they go one by one; those that wait for their turn are not touched."""
    monkeypatch.setattr(processing, "PUBLISH_ROWS", 4)
    for name in ("one", "two", "three"):
        assert await harness.mail(report_mail(name)) == ACCEPTED
    harness.analytics.before["insert"] = [RuntimeError("once")]
    assert await harness.process_batch() == 3
    assert groups == [[1, 1], [1], [1], [1]]
    assert await harness.total() == (3, 6, 15)
    assert (await harness.stats()).ready == 0
