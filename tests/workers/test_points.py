"""Promise of data points: the original's limits and words, and what is taken stands in the table as it was."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dmarcworks.bindings.contracts import Analytics
from dmarcworks.workers.point_writer import PointWriter
from dmarcworks.workers.points import DataPointOwner, DataPoints, checked


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"indexes": ["a", "b"]}, "Maximum of 1 indexes supported."),
        ({"indexes": ["ä" * 48 + "x"]}, "Size of indexes[0] exceeds 96 bytes)."),
        ({"blobs": ["x"] * 21}, "Maximum of 20 blobs supported."),
        ({"blobs": ["x" * 16_000, "y"]}, "Cumulative size of blobs exceeds 16000 bytes)."),
        ({"doubles": [1] * 21}, "Maximum of 20 doubles supported."),
    ],
)
def test_over_a_limit_it_is_refused_in_the_original_words(event: dict[str, Any], words: str) -> None:
    """One over each limit, in UTF-8 bytes."""
    with pytest.raises(TypeError) as refused:
        checked(event)
    assert str(refused.value) == f"writeDataPoint(): {words}"


def test_at_the_limits_it_is_taken() -> None:
    """As many and as large as may be; a missing index is "", a null blob too."""
    index, blobs, doubles = checked({"indexes": ["ä" * 48], "blobs": ["x" * 800] * 20, "doubles": [1] * 20})
    assert (len(index), len(blobs), len(doubles)) == (48, 20, 20)
    assert checked({"blobs": [None, b"b"]}) == ("", ("", "b"), ())
    assert checked({}) == ("", (), ())


@pytest.mark.asyncio(loop_scope="package")
async def test_points_stand_in_the_table(analytics: Analytics) -> None:
    """Written by `stop`, with their owner and dataset; an unused column is empty."""
    points = DataPoints()
    writer = PointWriter(points, analytics)
    running = asyncio.create_task(writer.run())
    points.write(DataPointOwner("a" * 32, "d" * 32), "mini", {"indexes": ["i"], "blobs": ["a", "b"], "doubles": [1.5]})
    await writer.stop()
    await running
    found = await analytics.query(
        "SELECT account_id, domain_id, dataset, index1, blob1, blob2, blob20, double1, double2, _sample_interval"
        " FROM data_points"
    )
    assert json.loads(found) == {
        "account_id": "a" * 32,
        "domain_id": "d" * 32,
        "dataset": "mini",
        "index1": "i",
        "blob1": "a",
        "blob2": "b",
        "blob20": "",
        "double1": 1.5,
        "double2": 0,
        "_sample_interval": 1,
    }
