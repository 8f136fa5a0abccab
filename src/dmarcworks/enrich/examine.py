"""The work of the checks on a stranger's bytes, as one function for an isolated process: an argument in, a value out.

A client calls it through `Work`: `("facts", raw, now)`, `("verify", claims)` or `("spf", peer, helo, sender, answers)`;
or `("group", steps)` for the results of several of these, at least the first one's.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dmarcworks.enrich.dkim.arc import Chain
from dmarcworks.enrich.dkim.signature import Claim, Signed
from dmarcworks.enrich.facts import Facts, facts, verify
from dmarcworks.enrich.spf_check import Needed, spf_step

__all__ = ["RESULTS", "TARGET", "Work", "run"]

TARGET = "dmarcworks.enrich.examine:run"
RESULTS = (Facts, Signed, Claim, Chain, Needed)
Work = Callable[[Any], Awaitable[Any]]
"""Runs `run` on an argument, in another process."""

# Of processor time, after which no further step of a group is begun.
_GROUP_SECONDS = 0.25
_STEPS: dict[str, Callable[..., Any]] = {"facts": facts, "verify": verify, "spf": spf_step}


def run(argument: tuple[Any, ...]) -> Any:
    """The named step on its arguments."""
    return _STEPS[argument[0]](*argument[1:])


def _group(steps: Sequence[tuple[Any, ...]]) -> list[Any]:
    until = time.process_time() + _GROUP_SECONDS
    results: list[Any] = []
    for step in steps:
        results.append(run(step))
        if time.process_time() > until:
            break
    return results


_STEPS["group"] = _group
