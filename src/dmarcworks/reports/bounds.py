"""The bounds of reading, as one value: always passed as an argument, never a global (see docs/reading.md)."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024
# Bounds that no setting changes.
_FIXED = ("json_depth", "json_bytes")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that one mail may use. Sizes are in bytes; the error for an exceeded bound names its field."""

    mail_bytes: int = 25 * _MIB
    inflated_bytes: int = 256 * _MIB
    members: int = 100
    nesting: int = 5
    xml_depth: int = 50
    records: int = 1_000_000
    json_depth: int = 50
    json_bytes: int = 4 * _MIB
    mime_depth: int = 20
    header_bytes: int = 100 * 1024
    header_fields: int = 1000
    header_parameters: int = 1000
    encoded_words: int = 1000

    def named(self, name: str) -> str:
        """A bound for a message: its name and value, and the setting that changes it."""
        setting = f" (setting DMARCWORKS_{name.upper()})" if name not in _FIXED else ""
        return f"{name} = {getattr(self, name)}{setting}"
