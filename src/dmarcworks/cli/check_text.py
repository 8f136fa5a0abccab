"""A report card as JSON, and as text for people: grouped by check, words first, each fix below its finding. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dmarcworks.policy.dns_records.finding import DnsFinding, RecordCheck, Severity
from dmarcworks.policy.dns_records.report_card import ReportCard
from dmarcworks.policy.dns_records.spf_tree import SpfNode

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
_INDENT = " " * (_WIDTH + 4)


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
            lines += [f"{_INDENT}{_plain(line)}" for line in _details(card, check)]
    return "\n".join(lines)


def _details(card: ReportCard, check: RecordCheck) -> list[str]:
    """What follows the findings: the DMARC policy that applies, the look-ups of SPF, and its evaluation."""
    if check is RecordCheck.dmarc and card.effective.policy is not None:
        policy = card.effective
        testing = ", in test mode (t=y)" if policy.testing else ""
        return [f"applies: {policy.tag}={policy.policy}{testing}, from the record of {policy.record_domain}"]
    if check is not RecordCheck.spf:
        return []
    lines = []
    if card.spf_tree is not None and card.spf_tree.children:
        lines += ["look-ups:", *_tree(card.spf_tree)]
    if "result" in card.spf:
        by = f", by {card.spf['mechanism']}" if card.spf["mechanism"] else ""
        lines += [f"evaluated: {card.spf['result']}{by}", *(f"  {step}" for step in card.spf["trace"])]
        if card.spf["explanation"]:
            lines.append(f"  explanation for the sender: {card.spf['explanation']}")
    return lines


def _tree(node: SpfNode, indent: str = "  ") -> Iterator[str]:
    """A line for each term that costs look-ups, with its cost, the sending service and what is wrong."""
    for place, child in enumerate(node.children):
        last = place == len(node.children) - 1
        notes = [str(child.lookups), *(note for note in (child.sender, child.problem) if note)]
        yield f"{indent}{'└─' if last else '├─'} {child.term}  ({', '.join(notes)})"
        yield from _tree(child, f"{indent}{'   ' if last else '│  '}")


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
    if finding.fix:
        if finding.record:
            yield from (f"{_INDENT}now: {_plain(line)}" for line in finding.record.split("\n")[:_LINES])
        yield from (f"{_INDENT}fix: {_plain(line)}" for line in finding.fix.split("\n")[:_LINES])
    if finding.severity in (Severity.error, Severity.warning):
        reference = f", {finding.reference}" if finding.reference else ""
        yield f"{_INDENT}({finding.code}{reference})"


def _plain(text: str) -> str:
    """Text of strangers as one line: control and direction characters become a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _painted(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text
