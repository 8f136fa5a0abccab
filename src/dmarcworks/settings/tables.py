"""Lists of tables in the TOML file: settings of which there may be several, each with a name.

A kind of table is a frozen dataclass of text fields, registered in `TABLES`; fields without a default are required.
Refused with `SettingsError`, which names file and table: what is no list of tables, an unknown key, a value that is no
text, a missing or repeated name, and whatever the kind's own check refuses.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from dmarcworks.errors import SettingsError
from dmarcworks.settings.shown import shown_value

__all__ = ["TABLES", "MailboxTable", "TableKind"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NAME_FORM = "a name has letters, digits, dots, hyphens and underscores, at most 63"
_ON_HOSTS = ("imaps", "imap+starttls", "imap", "pop3s")
_SCHEMES = (*_ON_HOSTS, "graph", "gmail", "s3", "file")
_SETTLE = re.compile(r"leave|seen|delete|move:[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class MailboxTable:
    """A mailbox to fetch reports from; `settle` is what becomes of a mail that was fetched."""

    name: str
    url: str
    password_file: str = ""
    settle: str = "leave"
    account: str = "default"

    def check(self) -> None:
        """`ValueError` with a sentence for what cannot be right. The URL is quoted without its password."""
        shown = shown_value("_url", self.url)
        try:
            parts = urlsplit(self.url)
            host, password = parts.hostname or "", parts.password
            _ = parts.port
        except ValueError:
            raise ValueError(f"url={shown} is not a URL; write it like imaps://user@host:993/INBOX") from None
        if parts.scheme not in _SCHEMES:
            raise ValueError(f"url={shown} begins with none of {', '.join(f'{scheme}:' for scheme in _SCHEMES)}")
        if parts.scheme in _ON_HOSTS and not host:
            raise ValueError(f"url={shown} has no host; write it like {parts.scheme}://user@host/INBOX")
        if parts.scheme == "imap" and not _loopback(host):
            raise ValueError(f"url={shown} would send the password unencrypted; use imaps: or imap+starttls:")
        if password is not None and self.password_file:
            raise ValueError("the password is in the URL and in password_file; keep only password_file")
        if not _SETTLE.fullmatch(self.settle):
            raise ValueError(f"settle={self.settle} is none of leave, seen, move:FOLDER and delete")

    def check_name(self) -> None:
        """`ValueError` for a name that is not allowed."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r}: {_NAME_FORM}")

    def without_password(self) -> tuple[str, str]:
        """The URL without its password, and that password, or ""."""
        parts = urlsplit(self.url)
        if parts.password is None:
            return self.url, ""
        user, _, host = parts.netloc.rpartition("@")
        netloc = f"{user.partition(':')[0]}@{host}"
        return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment)), unquote(parts.password)

    def __str__(self) -> str:
        """The table for display, without a password."""
        more = [f"{key}={value}" for key, value in (("settle", self.settle), ("account", self.account))]
        return " ".join([f"{self.name}={shown_value('_url', self.url)}", *more])


@dataclass(frozen=True, slots=True)
class TableKind:
    """A kind of table: its key in the file, the setting that holds the list, and the type of one."""

    key: str
    setting: str
    type: Callable[..., MailboxTable]

    def read(self, path: str, tables: object) -> tuple[MailboxTable, ...]:
        """The tables of the file at `path`, checked, in their order."""
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise SettingsError(f"{path}: {self.key} is not a list of tables; begin each with [[{self.key}]]")
        made: dict[str, MailboxTable] = {}
        for number, table in enumerate(tables, 1):
            name = table.get("name")
            where = f"{path}: [[{self.key}]] {name if isinstance(name, str) else number}"
            one = self._one(where, table)
            if one.name in made:
                raise SettingsError(f"{where}: there are two tables with this name; give each its own")
            made[one.name] = one
        return tuple(made.values())

    def _one(self, where: str, table: Mapping[str, Any]) -> MailboxTable:
        known = {field.name: field for field in fields(self.type)}  # type: ignore[arg-type]  # a dataclass
        for key, value in table.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise SettingsError(f"{where}: {key} is not a key of this table; {hint}")
            if not isinstance(value, str):
                raise SettingsError(f"{where}: {key} is not text; write it in quotation marks")
        if absent := [key for key, field in known.items() if field.default is MISSING and not table.get(key)]:
            raise SettingsError(f"{where}: {' and '.join(absent)} must be given")
        if not _NAME.fullmatch(table["name"]):
            raise SettingsError(f"{where}: {_NAME_FORM}")
        one = self.type(**table)
        try:
            one.check()
        except ValueError as error:
            raise SettingsError(f"{where}: {error}") from None
        return one


TABLES = {kind.key: kind for kind in (TableKind("mailbox", "mailboxes", MailboxTable),)}
"""Every kind by its key in the file."""


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
