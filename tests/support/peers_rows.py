"""Records in the database of a report generator against those that its reports brought to us."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.system import System

__all__ = ["counted", "ours"]


def counted(records: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Messages by everything else that a record states; `count` is 1 where it is not given."""
    sums: Counter[str] = Counter()
    for record in records:
        key = {name: value for name, value in record.items() if name != "count"}
        sums[json.dumps(key, sort_keys=True)] += record.get("count", 1)
    return dict(sums)


def ours(system: System, columns: Iterable[str]) -> dict[str, int]:
    """The same of what was counted here, by these columns."""
    return counted(system.sql(f"SELECT {', '.join(columns)} FROM dmarc_reports"))
