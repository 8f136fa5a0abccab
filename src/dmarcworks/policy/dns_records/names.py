"""The name of a domain to check, as a person types it."""

from __future__ import annotations

import re

from dmarcworks.errors import UsageError
from dmarcworks.reports.a_labels import a_labels

__all__ = ["domain_to_check"]

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_SHOWN = 80


def domain_to_check(text: str) -> str:
    """The name in A-labels and lower case without a last dot; `UsageError` for what is no domain."""
    name = (a_labels(text.strip()) or "").removesuffix(".").lower()
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise UsageError(f"{text[:_SHOWN]!r} is not a domain name; write it as in example.com")
    return name
