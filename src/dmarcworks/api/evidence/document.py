"""A document for an auditor as HTML: a page that needs nothing else, or its content alone for the dashboard.

Names and comments in reports are written by strangers: each is shown as text, isolated from the direction of the text
around it, without control characters, and cut at a bound.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dmarcworks import __version__
from dmarcworks.enrich.shares import percent
from dmarcworks.policy.evidence import EvidenceDocument

__all__ = ["evidence_body", "evidence_html", "plain"]

# Characters of a stranger's text that are shown.
SHOWN = 200
# Reporters that a policy is attributed to by name.
REPORTERS = 8


def evidence_html(evidence: EvidenceDocument) -> str:
    """The document as a page of its own, with its style in it."""
    return _environment().get_template("document.html").render(evidence=evidence, version=__version__)


def evidence_body(evidence: EvidenceDocument) -> str:
    """The content alone."""
    return _environment().get_template("body.html").render(evidence=evidence, version=__version__)


def plain(text: object) -> str:
    """A text without control characters and marks of direction, cut at `SHOWN` characters."""
    shown = str(text)
    cut = shown[:SHOWN] + ("…" if len(shown) > SHOWN else "")
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in cut)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=plain, number=_number, share=percent, moment=_moment, reporters=_reporters)
    return environment


def _number(value: int) -> str:
    return f"{value:,}"


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _reporters(names: Any) -> list[str]:
    """The first names, and how many more there are."""
    shown = [plain(name) for name in names[:REPORTERS]]
    return [*shown, f"{len(names) - REPORTERS:,} more"] if len(names) > REPORTERS else shown
