"""The settings that a running server shares with the commands of its data directory, through `running.json`.

A command's own environment may differ from the server's: it would print the records of another host, or open another
store. Secrets are not shared; where the server has one, the command must have the same.
"""

from __future__ import annotations

from typing import Any

from dmarcworks.errors import SettingsError
from dmarcworks.settings.definitions import Settings
from dmarcworks.settings.shown import shown_value

__all__ = ["shared_settings", "with_shared"]

# Each process has its own.
_OWN = ("home", "log_format", "log_level", "mailboxes")
_STORES = ("database_url", "objects_url", "analytics_url")


def shared_settings(settings: Settings) -> dict[str, Any]:
    """`values` to use as they are, and `hidden`: settings with a secret as they may be shown."""
    values = settings.model_dump(mode="json", exclude=set(_OWN))
    hidden = {name: shown_value(name, str(value)) for name, value in values.items()}
    hidden = {name: shown for name, shown in hidden.items() if shown != str(values[name])}
    return {"values": {name: value for name, value in values.items() if name not in hidden}, "hidden": hidden}


def with_shared(settings: Settings, shared: object) -> Settings:
    """A command's settings with those of the running server; `SettingsError` when it cannot reach the same store."""
    if not isinstance(shared, dict):  # a server of a version that shares none
        return settings
    hidden = shared.get("hidden", {})
    for name in _STORES:
        if name in hidden and shown_value(name, getattr(settings, name)) != hidden[name]:
            variable = f"DMARCWORKS_{name.upper()}"
            raise SettingsError(
                f"the server of {settings.home.resolve()} uses {hidden[name]}; set {variable} to the same store"
            )
    known = {name: value for name, value in shared.get("values", {}).items() if name in Settings.model_fields}
    return settings.model_copy(update=known)
