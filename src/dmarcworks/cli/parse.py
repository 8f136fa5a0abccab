"""`dmarcworks parse`: parse reports from files, mails, folders, mbox and Maildir; needs no server and no store."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dmarcworks.api.spreadsheet import harmless
from dmarcworks.errors import UsageError
from dmarcworks.process import garbage
from dmarcworks.reports.model import AggregateReport, FailureReport, Reading, TlsReport
from dmarcworks.reports.plain import plain
from dmarcworks.sources.files import SourceFile, count, members, read

# Starting a process costs more than parsing a few files.
_ALONE = 8
_CSV = (
    *("path", "org_name", "org_email", "report_id", "begin", "end", "domain", "p", "sp", "adkim", "aspf", "pct"),
    *("source_ip", "count", "disposition", "dkim_aligned", "spf_aligned", "header_from", "envelope_from"),
    *("envelope_to", "reasons", "dkim", "spf"),
)


class Format(StrEnum):
    """The output format of `parse`."""

    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    summary = "summary"


@dataclass(frozen=True, slots=True)
class Parsed:
    """One member, printed: its text and how many problems it had."""

    text: str
    problems: int


def parse(
    paths: list[str] = typer.Argument(help="Files, mails, folders, mbox files or Maildirs.", show_default=False),
    format: Format | None = typer.Option(None, "--format", "-f", help="The output format; json by default."),
    jobs: int = typer.Option(0, "--jobs", "-j", min=0, max=256, help="Processes; 0: one per core."),
    as_json: bool = typer.Option(False, "--json", help="Same as --format json."),
) -> None:
    """Parse reports and print them. Exit status 1 when a problem was found."""
    if as_json and format is not None:
        raise UsageError("--json and --format exclude each other; use one")
    format = format or Format.json
    problems = 0
    first = True
    output = sys.stdout
    total = count(paths)
    if format is Format.csv:
        output.write(_csv_line(list(_CSV)))
    if format is Format.json:
        output.write("[")
    console = Console(stderr=True)
    columns = (TextColumn("reading"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal or total < 2) as progress:
        bar = progress.add_task("reading", total=total)
        for parsed in _all(paths, format, jobs or os.cpu_count() or 1, total):
            problems += parsed.problems
            if parsed.text and format is Format.json:
                output.write(("\n" if first else ",\n") + parsed.text)
                first = False
            else:
                output.write(parsed.text)
            progress.advance(bar)
    if format is Format.json:
        output.write("]\n" if first else "\n]\n")
    output.flush()
    if problems:
        raise typer.Exit(1)


def _all(paths: list[str], format: Format, jobs: int, total: int) -> Iterator[Parsed]:
    """Every member in order; with several processes a bounded number is in progress."""
    garbage.rarely()
    if jobs < 2 or total < _ALONE:
        yield from (render(member, format) for member in members(paths))
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=garbage.rarely) as pool:
        flying: list[Future[Parsed]] = []
        for member in members(paths):
            flying.append(pool.submit(render, member, format))
            if len(flying) >= jobs * 16:
                yield flying.pop(0).result()
        for future in flying:
            yield future.result()


def render(member: SourceFile, format: Format) -> Parsed:
    """One member in the format's text."""
    reading = read(member)
    if format is Format.summary:
        text = "\t".join(str(value) for value in (_one_line(member.path), *totals(reading))) + "\n"
    elif format is Format.csv:
        text = "".join(_records(member.path, reading))
    else:
        documents = [
            *({"path": member.path, "kind": item.report.kind, **_plain(item.report)} for item in reading.items),
            *({"path": member.path, "kind": "problem", **plain(problem)} for problem in reading.problems),
        ]
        lines = [json.dumps(document, ensure_ascii=False) for document in documents]
        text = ",\n".join(lines) if format is Format.json else "".join(line + "\n" for line in lines)
    return Parsed(text, len(reading.problems))


def totals(reading: Reading) -> tuple[str, int, int, int, int]:
    """Kind, reports, records, messages and problems, as the summary counts them (docs/reading.md)."""
    kinds = {item.report.kind for item in reading.items}
    kind = "none" if not kinds else kinds.pop() if len(kinds) == 1 else "mixed"
    records = messages = 0
    for item in reading.items:
        report = item.report
        if isinstance(report, AggregateReport):
            records += len(report.records)
            messages += report.messages
        elif isinstance(report, TlsReport):
            records += len(report.policies)
            messages += report.sessions
        elif isinstance(report, FailureReport):
            records += 1
            messages += 1
    return kind, len(reading.items), records, messages, len(reading.problems)


def _plain(report: AggregateReport | FailureReport | TlsReport) -> dict[str, Any]:
    document: dict[str, Any] = plain(report)
    if isinstance(report, AggregateReport):
        document["messages"] = report.messages
    return document


def _records(path: str, reading: Reading) -> Iterator[str]:
    for item in reading.items:
        report = item.report
        if not isinstance(report, AggregateReport):
            continue
        policy = report.policy
        head = [path, report.org_name, report.email, report.report_id, report.begin, report.end, policy.domain]
        head += [policy.p, policy.sp, policy.adkim, policy.aspf, policy.pct]
        for record in report.records:
            row = [record.source_ip, record.count, record.disposition, record.dkim_aligned, record.spf_aligned]
            row += [record.header_from, record.envelope_from, record.envelope_to]
            row += [
                "; ".join(f"{reason.type or ''}: {reason.comment or ''}" for reason in record.reasons),
                "; ".join(f"{dkim.domain or ''}/{dkim.selector or ''}={dkim.result or ''}" for dkim in record.dkim),
                "; ".join(f"{spf.domain or ''}/{spf.scope or ''}={spf.result or ''}" for spf in record.spf),
            ]
            yield _csv_line([*head, *row])


def _csv_line(values: list[Any]) -> str:
    """A CSV line (RFC 4180); text that a spreadsheet would run as a formula gets a leading apostrophe."""
    out = io.StringIO()
    cells = [harmless(value) if isinstance(value, str) else value for value in values]
    # With CR in the line's end the writer quotes a cell that has one; bare, a spreadsheet would begin a row there.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
