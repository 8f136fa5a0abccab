"""The default settings as a commented TOML file: pure text from the definitions.

Every line of a setting is a comment, so that the file as printed changes nothing, and a line without its `#` is valid.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from pydantic.fields import FieldInfo

from dmarcworks.settings.definitions import Settings
from dmarcworks.settings.tables import TABLES

__all__ = ["example"]

_HEAD = """\
# Settings of dmarcworks, with their defaults. Remove the "# " before a setting to change it.
# The file is used when DMARCWORKS_CONFIG names it; a DMARCWORKS_… variable of the environment takes precedence.
# `dmarcworks settings` prints the values in effect and their sources.
"""
# A table is more than one line: its example is kept here, one for each kind.
_TABLES = {
    "mailboxes": [
        "[[mailbox]]",
        'name = "reports"',
        'url = "imaps://reports%40example.com@imap.example.com/INBOX"',
        'password_file = "/etc/dmarcworks/mailbox-password"',
        'settle = "seen"',
    ]
}
_SIGNS = (("ge", "at least"), ("gt", "more than"), ("le", "at most"))


def example() -> str:
    """The file; settings in the order of the table, tables at the end, as TOML requires."""
    tables = {kind.setting for kind in TABLES.values()}
    names = [name for name in Settings.model_fields if name not in tables]
    return "\n".join([_HEAD, *map(_setting, [*names, *sorted(tables)])])


def _setting(name: str) -> str:
    field = Settings.model_fields[name]
    words = (field.description or "") + _bounds(field)
    lines = textwrap.wrap(words, 116, break_long_words=False, break_on_hyphens=False)
    lines += _TABLES.get(name) or [f"{name} = {_value(field.default)}"]
    return "".join(f"# {line}\n" for line in lines)


def _bounds(field: FieldInfo) -> str:
    bounds = [
        f"{words} {getattr(limit, sign):,}"
        for limit in field.metadata
        for sign, words in _SIGNS
        if getattr(limit, sign, None) is not None
    ]
    return f" ({', '.join(bounds)})" if bounds else ""


def _value(default: object) -> str:
    # JSON's text, numbers, true and false are TOML's too.
    return json.dumps(str(default) if isinstance(default, Path) else default, ensure_ascii=False)
