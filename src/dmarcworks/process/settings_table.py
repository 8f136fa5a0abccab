"""Every setting with its value, source and meaning; secrets are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dmarcworks.settings import PREFIX, Settings, shown_value

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
    for name, field in Settings.model_fields.items():
        rows.append(
            SettingValue(
                name=name,
                variable=PREFIX + name.upper(),
                value=shown_value(name, str(getattr(settings, name))),
                source=sources.get(name, "default"),
                default=str(field.default),
                help=field.description or "",
            )
        )
    return rows


def shown_url(url: str) -> str:
    """A store's URL for messages and logs, without its password."""
    return shown_value("_url", url)
