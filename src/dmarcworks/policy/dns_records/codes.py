"""Tables of codes, and findings made from them: the text, severity and clause of each code are fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck, Severity

__all__ = ["FindingCode", "code_table", "finding_from", "shortened"]

_VALUE_CHARACTERS = 200
_RECORD_CHARACTERS = 4_096


@dataclass(frozen=True, slots=True)
class FindingCode:
    """One row: `message` has the places `{name}` for what differs between findings."""

    check: RecordCheck
    code: str
    severity: Severity
    message: str
    reference: str = ""


def code_table(check: RecordCheck, rows: Mapping[str, tuple[Severity, str, str]]) -> dict[str, FindingCode]:
    """The codes of one check, by code; each begins with the name of the check."""
    return {f"{check}-{end}": FindingCode(check, f"{check}-{end}", *row) for end, row in rows.items()}


def finding_from(
    table: Mapping[str, FindingCode], code: str, *, record: str = "", fix: str = "", **values: object
) -> DnsFinding:
    """A finding; what strangers wrote is shortened, and otherwise left as it is."""
    row = table[code]
    message = row.message.format(**{name: shortened(str(value)) for name, value in values.items()})
    record, fix = record[:_RECORD_CHARACTERS], fix[:_RECORD_CHARACTERS]
    return DnsFinding(row.check, code, row.severity, message, record, fix, row.reference)


def shortened(text: str, characters: int = _VALUE_CHARACTERS) -> str:
    """Text of a bounded length."""
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
