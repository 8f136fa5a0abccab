"""The operator's own table: a CSV file of `base PTR domain,name,type`, the form that other tools share.

Its rows are the weakest evidence, and apply to a confirmed PTR only. The file is bounded. A row that cannot be used is
left out with its reason; the others count.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from dmarcworks.enrich.senders.index import SuffixIndex
from dmarcworks.enrich.senders.model import SenderKind
from dmarcworks.enrich.senders.names import name_of
from dmarcworks.errors import SettingsError

__all__ = ["FILE_BYTES", "NO_BASE_DOMAINS", "ROWS", "BaseDomain", "BaseDomains", "base_domains", "load_base_domains"]

FILE_BYTES = 32 * 1024 * 1024
ROWS = 500_000
_LINE = 1_000
_NAME = 100
# Reasons that are kept; of a file that is wrong throughout, the first ones show why.
_SKIPPED = 20
# The types that shared tables use, as our kinds; anything else is "other".
_KINDS = {
    "email provider": SenderKind.mailbox_provider,
    "email security": SenderKind.security_gateway,
    "mssp": SenderKind.security_gateway,
    "education": SenderKind.education,
    "event planning": SenderKind.events,
    "finance": SenderKind.finance,
    "government": SenderKind.government,
    "government media": SenderKind.government,
    "iaas": SenderKind.hosting,
    "isp": SenderKind.isp,
    "marketing": SenderKind.marketing,
    "paas": SenderKind.hosting,
    "retail": SenderKind.commerce,
    "social media": SenderKind.social,
    "staffing": SenderKind.hr,
    "web host": SenderKind.hosting,
    "web hosting": SenderKind.hosting,
}


class BaseDomain(NamedTuple):
    """A row of the table."""

    name: str
    kind: SenderKind


@dataclass(frozen=True, slots=True)
class BaseDomains:
    """The table. `skipped` counts the rows that were left out, `reasons` states the first of them with their lines."""

    index: SuffixIndex[BaseDomain]
    rows: int = 0
    skipped: int = 0
    reasons: tuple[str, ...] = ()

    def find(self, host: str) -> BaseDomain | None:
        """The row of the host's base domain: the longest suffix on label borders."""
        return self.index.find(host) if self.rows else None


NO_BASE_DOMAINS = BaseDomains(SuffixIndex(()))


def load_base_domains(path: Path) -> BaseDomains:
    """Read the file; `SettingsError` when it cannot be read, is too large, is not text, or has no usable row."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"the sender file {path} cannot be read: {error.strerror}") from None
    try:
        return base_domains(data)
    except ValueError as error:
        raise SettingsError(f"the sender file {path} {error}") from None


def base_domains(data: bytes) -> BaseDomains:
    """The table of a file's content; ValueError when it is too large, not UTF-8, or without a usable row."""
    if len(data) > FILE_BYTES:
        raise ValueError(f"is larger than {FILE_BYTES:,} bytes; remove rows that are not needed")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8; save it as CSV in UTF-8") from None
    if text.count("\n") > ROWS:
        raise ValueError(f"has more than {ROWS:,} rows; remove rows that are not needed")
    rows: dict[str, BaseDomain] = {}
    skipped = 0
    reasons: list[str] = []
    for number, line in _lines(text):
        reason = _add(line, rows)
        if reason and not (number == 1 and _heading(line)):
            skipped += 1
            if len(reasons) < _SKIPPED:
                reasons.append(f"line {number}: {reason}")
    if not rows:
        why = f" ({reasons[0]})" if reasons else ""
        raise ValueError(f"has no usable row{why}; each row is base domain,name,type")
    return BaseDomains(SuffixIndex(rows.items()), len(rows), skipped, tuple(reasons))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.removesuffix("\r")


def _heading(line: str) -> bool:
    """Whether a first line without a domain is the names of the columns."""
    return line.lower().replace(" ", "").endswith(",name,type")


def _add(line: str, rows: dict[str, BaseDomain]) -> str:
    """Add a row, or give the reason why it cannot be used."""
    if len(line) > _LINE:
        return f"it is longer than {_LINE:,} characters"
    # A row ends with its line: a quote that is never closed must not swallow the rest of the file.
    try:
        cells = next(csv.reader([line], strict=True)) if '"' in line else line.split(",")
    except (csv.Error, StopIteration):
        return "its quotes are not balanced"
    if len(cells) not in (2, 3):
        return f"it has {len(cells)} columns instead of 3"
    domain, name = name_of(cells[0].strip()), cells[1].strip()
    if domain is None:
        return "its first column is not a domain name"
    if not name or len(name) > _NAME or not name.isprintable():
        return f"its name is empty, longer than {_NAME} characters, or not printable"
    if _public(domain):
        return f"{domain} is a public suffix, under which anybody can have a name"
    kind = _kind(cells[2] if len(cells) == 3 else "")
    if rows.setdefault(domain, BaseDomain(name, kind)).name != name:
        return f"{domain} has another name in an earlier row"
    return ""


def _kind(text: str) -> SenderKind:
    word = text.strip().lower()
    try:
        return _KINDS.get(word) or SenderKind(word.replace(" ", "_"))
    except ValueError:
        return SenderKind.other


def _public(domain: str) -> bool:
    # Imported when a file is read: no other use of the identification needs the list.
    from dmarcworks.enrich.senders.suffixes import registry_suffix

    return registry_suffix(domain)
