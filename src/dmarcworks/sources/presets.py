"""Providers of mailboxes by name, from `presets.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from dmarcworks.errors import UsageError

__all__ = ["MailboxPreset", "preset", "presets"]


@dataclass(frozen=True, slots=True)
class MailboxPreset:
    """A provider: its URL with {user} in it, and what must be done there first."""

    id: str
    name: str
    url: str
    about: str

    def filled(self, user: str) -> str:
        """The URL for a user."""
        return self.url.replace("{user}", quote(user, safe="@"))


@cache
def presets() -> tuple[MailboxPreset, ...]:
    """All of them, in the order of the file."""
    text = (Path(__file__).parent / "presets.toml").read_text(encoding="utf-8")
    return tuple(MailboxPreset(**entry) for entry in tomllib.loads(text)["preset"])


def preset(name: str) -> MailboxPreset:
    """The one with that id; `UsageError` names those that there are."""
    for one in presets():
        if one.id == name:
            return one
    raise UsageError(f"there is no preset {name}; there are {', '.join(one.id for one in presets())}")
