"""A report card as JSON, and as text for people: grouped by check, words first, each fix below its finding. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck, Severity
from dmarcworks.policy.dns_records.report_card import ReportCard

__all__ = ["card_document", "card_text"]

_TITLES = {
    RecordCheck.dmarc: "DMARC: what receivers do with mail that is not yours",
    RecordCheck.spf: "SPF: who may send mail in your name",
    RecordCheck.dkim: "DKIM: the keys that your mail is signed with",
    RecordCheck.mx: "MX: where mail to you is delivered",
    RecordCheck.mta_sts: "MTA-STS: whether mail to you must be encrypted",
    RecordCheck.tls_rpt: "TLS-RPT: who reports failed encryption to you",
    RecordCheck.bimi: "BIMI: your logo next to your mail",
    RecordCheck.dnssec: "DNSSEC: whether these answers can be forged",
    RecordCheck.report_host: "Report host: whether reports reach this system",
}
_MARKS = {
    Severity.error: "✗ error",
    Severity.warning: "! warning",
    Severity.notice: "· notice",
    Severity.good: "✓ good",
}
_COLOURS = {Severity.error: "31", Severity.warning: "33", Severity.notice: "36", Severity.good: "32"}
_WIDTH = max(len(mark) for mark in _MARKS.values())
_LINES = 20


def card_document(card: ReportCard) -> dict[str, Any]:
    """The object that `check --json` prints."""
    return {
        "domain": card.domain,
        "findings": [asdict(finding) for finding in card.findings],
        "effective": asdict(card.effective),
        "spf": card.spf,
    }


def card_text(card: ReportCard, *, colour: bool) -> str:
    """The card for people. Text from DNS is shown without control characters."""
    lines = [_plain(card.domain), _verdict(card)]
    for check in RecordCheck:
        findings = [finding for finding in card.findings if finding.check is check]
        if findings:
            lines += ["", _painted(_TITLES[check], "1", colour)]
            lines += [line for finding in findings for line in _finding(finding, colour)]
    return "\n".join(lines)


def _verdict(card: ReportCard) -> str:
    if not card.answered:
        return "DNS did not answer everything that matters; try again later."
    counts = [
        _counted(sum(finding.severity is severity for finding in card.findings), severity)
        for severity in (Severity.error, Severity.warning)
    ]
    shown = " and ".join(count for count in counts if count)
    return f"{shown} to look at." if shown else "No errors and no warnings."


def _counted(number: int, severity: Severity) -> str:
    return f"{number} {severity}{'s' if number > 1 else ''}" if number else ""


def _finding(finding: DnsFinding, colour: bool) -> Iterator[str]:
    mark = _painted(f"{_MARKS[finding.severity]:<{_WIDTH}}", _COLOURS[finding.severity], colour)
    yield f"  {mark}  {_plain(finding.message)}"
    indent = " " * (_WIDTH + 4)
    if finding.fix:
        if finding.record:
            yield from (f"{indent}now: {_plain(line)}" for line in finding.record.split("\n")[:_LINES])
        yield from (f"{indent}fix: {_plain(line)}" for line in finding.fix.split("\n")[:_LINES])
    if finding.severity in (Severity.error, Severity.warning):
        reference = f", {finding.reference}" if finding.reference else ""
        yield f"{indent}({finding.code}{reference})"


def _plain(text: str) -> str:
    """Text of strangers as one line: control and direction characters become a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _painted(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text
