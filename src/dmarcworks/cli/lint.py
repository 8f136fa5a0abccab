"""`dmarcworks lint`: each deviation of a report from its RFC, and a text to send to its reporter.

Exit status 0 when there are no deviations, 1 when there are, 2 for wrong usage or a file without a report.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

import typer

from dmarcworks.reports.lint import check as judgement
from dmarcworks.reports.sniff import like_mail
from dmarcworks.sources.files import SourceFile, members


def lint(
    paths: list[str] = typer.Argument(help="Files, mails, folders, mbox files or Maildirs.", show_default=False),
    as_json: bool = typer.Option(False, "--json", help="Print JSON for machines."),
) -> None:
    """Check reports against RFC 7489, RFC 9990 and RFC 8460; print each deviation and a text for the reporter."""
    documents: list[dict[str, Any]] = []
    departed = without = False
    for member in members(paths):
        judged = () if member.error else _judged(member)
        if not judged:
            without = True
            print(
                f"{_one_line(member.path)}: {member.error or 'it contains no aggregate or TLS report'}",
                file=sys.stderr,
            )
        for linted in judged:
            departed = departed or bool(linted.findings)
            if as_json:
                documents.append({"path": member.path, **_document(linted)})
            else:
                print(_text(member.path, linted))
    if as_json:
        print(json.dumps(documents, ensure_ascii=False, indent=2))
    if departed or without:
        raise typer.Exit(2 if without else 1)


def _judged(member: SourceFile) -> tuple[judgement.Linted, ...]:
    if like_mail(member.data):
        return judgement.lint_mail(member.data)
    return judgement.lint_bytes(member.data, os.path.basename(member.path))


def _document(linted: judgement.Linted) -> dict[str, Any]:
    return {
        "kind": linted.kind,
        "where": linted.where,
        **asdict(linted.outline),
        "findings": [asdict(finding) for finding in linted.findings],
        "to": judgement.contact(linted),
        "letter": judgement.letter(linted) if linted.findings else None,
    }


def _text(path: str, linted: judgement.Linted) -> str:
    head = f"{_one_line(path)}: {linted.kind} report {_one_line(linted.outline.report_id)}".rstrip()
    if not linted.findings:
        return f"{head}: no deviations from {linted.outline.standard}"
    number = len(linted.findings)
    lines = [f"{head}: {number} deviation{'s' if number > 1 else ''} from {linted.outline.standard}"]
    for finding in linted.findings:
        at = f":{finding.line}" if finding.line and not finding.where.startswith("line ") else ""
        often = f" ({finding.times} times)" if finding.times > 1 else ""
        lines.append(f"  {finding.severity}  {_one_line(finding.where)}{at}{often}: {_one_line(finding.found)}; "
                     f"{_one_line(finding.should)} [{finding.clause}]")  # fmt: skip
    return "\n".join([*lines, "", "Ready to send:", "", judgement.letter(linted)])


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
