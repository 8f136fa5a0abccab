"""docs/graphql.md and docs/graphql-fields.md say what the API does: the examples run, no field is missing."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.api.graphql import limits
from dmarcworks.api.graphql.schema import NODES

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "graphql.md").read_text()


async def test_the_list_of_fields_is_the_tables() -> None:
    """docs/graphql-fields.md is what scripts/docs.py writes now (run `make docs` after a change)."""
    spec = importlib.util.spec_from_file_location("docs_script", ROOT / "scripts" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "graphql-fields.md").read_text() == module.fields()
    assert [name for name in NODES if f"`{name}`" not in PAGE] == []


async def test_every_example_runs(place: Any) -> None:
    examples = re.findall(r"```graphql\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 3
    known = {
        "zone": place.mine.domains["a.example"].id,
        "account": place.mine.account_id,
        "since": "2026-03-01",
        "when": "2026-03-01T00:00:00Z",
    }
    for example in examples:
        variables = {name: known[name] for name in re.findall(r"\$(\w+):", example)}
        data = await place.mine.ask(example, variables)
        (top,) = next(iter(data["viewer"].values()))
        assert any(top.values()), example


async def test_every_bound_is_told() -> None:
    numbers = (
        limits.NODES, limits.NODE_FIELDS, limits.FIELDS, limits.ZONES, limits.TOKENS, limits.DEFINITIONS,
        limits.INTROSPECTION_DEPTH,
    )  # fmt: skip
    bounds = PAGE.partition("## Bounds")[2].partition("##")[0]
    assert [number for number in numbers if f"{number:,}" not in bounds] == []
