"""Every setting with its value, source and meaning; secrets are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dmarcworks.settings import PREFIX, TABLES, Settings, shown_value

__all__ = ["SettingValue", "describe", "shown_url"]


@dataclass(frozen=True, slots=True)
class SettingValue:
    """A setting: its value for display (secrets hidden) and its source."""

    name: str
    variable: str
    value: str
    source: str
    default: str
    help: str


def describe(settings: Settings, sources: Mapping[str, str]) -> list[SettingValue]:
    """Every setting with its value and source, in the order of the table."""
    rows = []
    tables = {kind.setting: f"[[{kind.key}]]" for kind in TABLES.values()}
    for name, field in Settings.model_fields.items():
        rows.append(
            SettingValue(
                name=name,
                variable=tables.get(name, PREFIX + name.upper()),
                value=_shown(name, getattr(settings, name)),
                source=sources.get(name, "default"),
                default=_shown(name, field.default),
                help=field.description or "",
            )
        )
    return rows


def _shown(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(table) for table in value)
    return shown_value(name, str(value))


def shown_url(url: str) -> str:
    """A store's URL for messages and logs, without its password."""
    return shown_value("_url", url)
