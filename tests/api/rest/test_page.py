"""docs/api.md names every route of the OpenAPI document and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.harness import Harness

pytestmark = pytest.mark.asyncio(loop_scope="package")

PAGE = Path(__file__).parents[3] / "docs" / "api.md"


async def test_the_page_names_every_route(harness: Harness) -> None:
    """Each path stands in the table of routes, and each path in the table is answered."""
    document = await harness.get("read", "/openapi.json")
    told = set(re.findall(r"`(?:GET|POST|PATCH|DELETE) (/[^`?…]*)", PAGE.read_text()))
    there = set(document["paths"])
    assert there - told == set()
    assert {path for path in told - there if not path.startswith(("/client/", "/activity", "/api/"))} == set()
