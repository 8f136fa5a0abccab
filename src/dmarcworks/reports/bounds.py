"""The bounds of reading, as one value: an argument everywhere, a global nowhere (DESIGN §6)."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one mail may ask for. Sizes in bytes; an error that hits one names it by its field."""

    mail_bytes: int = 25 * _MIB
    inflated_bytes: int = 256 * _MIB
    members: int = 100
    nesting: int = 5
    xml_depth: int = 50
    records: int = 1_000_000
    json_depth: int = 50
    json_bytes: int = 4 * _MIB
