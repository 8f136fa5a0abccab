"""The settings that a running server shares with the commands of its data directory, through `running.json`.

A command's own environment may differ from the server's: it would print the records of another host, or open another
store. Secrets are not shared; where the server has one, the command must have the same.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dmarcworks.errors import SettingsError
from dmarcworks.settings.definitions import Settings
from dmarcworks.settings.shown import shown_value

__all__ = ["shared_settings", "with_shared"]

# Each process has its own.
_OWN = ("home", "log_format", "log_level", "mailboxes")
_ALWAYS = ("hostname", "public_url", "operator_account")
_STORES = ("database_url", "objects_url", "analytics_url")


def shared_settings(settings: Settings) -> dict[str, Any]:
    """`values` to use as they are, and `hidden`: settings with a secret as they may be shown."""
    values = settings.model_dump(mode="json", exclude=set(_OWN))
    hidden = {name: shown_value(name, str(value)) for name, value in values.items()}
    hidden = {name: shown for name, shown in hidden.items() if shown != str(values[name])}
    return {"values": {name: value for name, value in values.items() if name not in hidden}, "hidden": hidden}


def with_shared(settings: Settings, sources: Collection[str], shared: object) -> Settings:
    """A command's settings with those of the running server; `sources` are the names that were set for the command.

    The server's host name, public address and operator account always count. `SettingsError` when a store that was set
    for the command is not the server's.
    """
    if not isinstance(shared, dict):  # a server of a version that shares none
        return settings
    known = {name: value for name, value in shared.get("values", {}).items() if name in Settings.model_fields}
    theirs = {**known, **{name: url for name, url in shared.get("hidden", {}).items() if name in _STORES}}
    server = settings.model_copy(update=theirs)
    for name, ours, served in zip(_STORES, _urls(settings), _urls(server), strict=True):
        if (name in sources or name not in known) and shown_value("_url", ours) != shown_value("_url", served):
            raise SettingsError(
                f"the server of {settings.home.resolve()} uses {shown_value('_url', served)};"
                f" DMARCWORKS_{name.upper()} must name the same store"
            )
    adopted = {name: value for name, value in known.items() if name in _ALWAYS or name not in sources}
    return settings.model_copy(update=adopted)


def _urls(settings: Settings) -> tuple[str, str, str]:
    return settings.database, settings.objects, settings.analytics
