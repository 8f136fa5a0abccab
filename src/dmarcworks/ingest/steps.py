"""The steps of `workers.dmarc.queue` over mails that go through them together: archive → note → publish → finish.

In: what was read in the mails. Each step is idempotent and raises its error, `StoreError` when a store is unavailable;
after `finish` the mails are acknowledged. A report's rows go into one block; what may be in Analytics already (a
redelivery, another try, another mail's report) is looked up before it is inserted.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import structlog

from dmarcworks.analytics import schema
from dmarcworks.analytics.rows import Placed, row_count, table_of, tables_of
from dmarcworks.catalogue.arrivals import MailRow, NewReport, ReportRow
from dmarcworks.catalogue.problems import OTHER
from dmarcworks.ingest.environment import Delivery, Env
from dmarcworks.ingest.item import MailItem
from dmarcworks.ingest.report_rows import assigned, foreign, new_report, own_policies, safe_name, tls_owner
from dmarcworks.process import failpoints
from dmarcworks.reports.model import Item, Problem, Reading
from dmarcworks.reports.problems import OTHER_MAIL

__all__ = ["MISSING", "PUBLISH_ROWS", "PipelineMail", "archive", "finish", "note", "publish", "side_by_side"]

log = structlog.get_logger("dmarcworks.dmarc")

# Rows of several reports share an insert; past this many they leave at once, so that memory stays flat.
PUBLISH_ROWS = 100_000
_Result = TypeVar("_Result")
MISSING = Reading((), (Problem("raw_missing", "mail", "The raw mail is gone from the object store."),))


@dataclass(slots=True)
class PipelineMail:
    """A mail on its way: `instead` replaces the raw mail (`private`), `noted` is a row per report."""

    message: Delivery
    item: MailItem
    reading: Reading
    instead: bytes | None = None
    started: float = field(default_factory=time.perf_counter)
    keys: list[str] = field(default_factory=list)
    noted: list[ReportRow] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    problems: int = 0
    # The raw mail while it is processed, its DMARC result, and whether that keeps its reports apart.
    raw: bytes = b""
    proof: str = ""
    quarantined: bool = False
    # Whether it goes back into the queue before its next step.
    waits: bool = False

    @property
    def received(self) -> datetime:
        """When the mail came, UTC."""
        return self.item.received_at

    @property
    def outcome(self) -> str:
        """A word for the catalogue and the log."""
        return "read" if self.reading.items else "not read"


async def archive(mails: Sequence[PipelineMail], env: Env) -> None:
    """Each attachment as received under YYYY/M/<sha256>/<safe name>; equal ones once."""
    contents: dict[str, bytes] = {}
    # In a thread: a mail may hold many reports, and an attachment of 25 MB takes its time.
    await asyncio.to_thread(_name, mails, contents)

    async def put(key: str, content: bytes) -> None:
        await env.objects.put(key, content, create_only=True)
        failpoints.hit("archive.put")

    await side_by_side(put(key, content) for key, content in contents.items())


def _name(mails: Sequence[PipelineMail], contents: dict[str, bytes]) -> None:
    for mail in mails:
        # Many reports may share an attachment, whose bytes are there once.
        digests: dict[int, str] = {}
        mail.keys = []
        for item in mail.reading.items:
            content = item.part.content
            if (digest := digests.get(id(content))) is None:
                digest = digests[id(content)] = hashlib.sha256(content).hexdigest()
            key = f"{mail.received.year}/{mail.received.month}/{digest}/{safe_name(item.part.name)}"
            mail.keys.append(key)
            contents[key] = content


async def side_by_side(work: Iterable[Awaitable[_Result]]) -> list[_Result]:
    """All results in order; when one fails the others are waited for, so that nothing runs on unseen."""
    results = await asyncio.gather(*work, return_exceptions=True)
    done: list[_Result] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        done.append(result)
    return done


async def note(mails: Sequence[PipelineMail], env: Env) -> None:
    """A row in the catalogue for every report, and a problem for whatever was not read or is not counted."""
    reports: list[NewReport] = []
    others: dict[int, list[Problem]] = {}
    for mail in mails:
        # What a person has adopted is counted, whatever its mail is.
        apart = mail.quarantined and not mail.item.adopt
        domains = await env.arrivals.account_domains(mail.item.account_id) if mail.item.by_rule else {}
        items = []
        for item, key in zip(mail.reading.items, mail.keys, strict=True):
            owner = tls_owner(item, mail.item, domains)
            own, sentence = own_policies(item, owner.domain)
            items.append(own)
            if sentence:
                others.setdefault(id(mail), []).append(Problem("other_policies", item.part.where, sentence))
            reports.append(new_report(own, assigned(own, owner, domains), key, quarantined=apart))
        if items:
            mail.reading = Reading(tuple(items), mail.reading.problems)
        if mail.item.adopt:
            await env.arrivals.adopt(mail.item.account_id, mail.item.adopt)
    recorded = await env.arrivals.record_reports(reports)
    failpoints.hit("report.recorded")
    entries = iter(zip(reports, recorded, strict=True))
    for mail in mails:
        if mail.item.again:
            # A person requested another try: what is still wrong is noted again below, the rest is solved at the end.
            await env.problems.tried_mail(mail.item.mail_id)
        mail.noted, mail.outcomes = [], {}
        problems: list[tuple[Problem, str | None]] = [
            (problem, None) for problem in (*mail.reading.problems, *others.get(id(mail), ()))
        ]
        for item in mail.reading.items:
            _, entry = next(entries)
            mail.noted.append(entry.row)
            state = entry.row.state
            outcome = entry.outcome if state == "counted" else state
            mail.outcomes[outcome] = mail.outcomes.get(outcome, 0) + 1
            if state == "foreign":
                problem = Problem("other_domain", item.part.where, foreign(item, mail.item))
                problems.append((problem, entry.row.key))
        mail.problems = len(problems)
        for problem, report_key in problems:
            await env.problems.add(
                account_id=mail.item.account_id,
                domain_id=mail.item.domain_id,
                mail_id=mail.item.mail_id,
                reason=problem.reason,
                where=problem.where,
                detail=problem.detail,
                object_key=mail.item.object_key,
                file_name=problem.where.rsplit(" > ", 1)[-1] if " > " in problem.where else "",
                report_key=report_key,
                state=OTHER if problem.reason in OTHER_MAIL else "open",
            )


async def publish(mails: Sequence[PipelineMail], env: Env, *, check: bool = False) -> None:
    """The rows of what is not published yet, in as few inserts as memory allows; `check` looks up every report."""
    reports: dict[str, Placed[Any]] = {}
    suspects: dict[str, list[ReportRow]] = {}
    names = await _names(mails, env)
    for mail in mails:
        # Only what was on its way before can be in Analytics already.
        before = check or mail.message.deliveries > 1 or mail.item.again
        for item, row in zip(mail.reading.items, mail.noted, strict=True):
            if row.published or row.key in reports:
                continue
            reports[row.key] = _placed(item, row, names.get(row.domain_id, mail.item.domain), mail.proof)
            if before or row.mail_id != mail.item.mail_id:
                suspects.setdefault(table_of(item.report), []).append(row)
    keys = list(reports)
    for table, rows in suspects.items():
        for key in await schema.published_keys(env.analytics, rows, table=table):
            del reports[key]
    waiting: list[Placed[Any]] = []
    rows_waiting = 0
    for placed in reports.values():
        waiting.append(placed)
        rows_waiting += row_count(placed.report)
        if rows_waiting >= PUBLISH_ROWS:
            await _insert(waiting, env)
            waiting, rows_waiting = [], 0
    await _insert(waiting, env)
    if keys:
        await env.arrivals.mark_published(keys)
        failpoints.hit("published.marked")


async def _names(mails: Sequence[PipelineMail], env: Env) -> dict[str, str]:
    """Of reports that belong to another domain of the account than the one their mail came to."""
    others = {row.domain_id for mail in mails for row in mail.noted if row.domain_id != mail.item.domain_id}
    return await env.arrivals.domain_names(sorted(others)) if others else {}


def _placed(item: Item, row: ReportRow, domain: str, proof: str) -> Placed[Any]:
    return Placed(
        item.report,
        account_id=row.account_id,
        domain_id=row.domain_id,
        domain=domain,
        received=row.received,
        report_key=row.key,
        object_key=row.object_key,
        report_id=row.report_id,
        report_authentic=proof or None,
    )


async def _insert(placed: Sequence[Placed[Any]], env: Env) -> None:
    if not placed:
        return
    enrichment = None if env.enricher is None else await env.enricher.prepared(placed)
    # In a thread, so that a large report does not hold up the SMTP conversations.
    for name, table in (await asyncio.to_thread(tables_of, placed, enrichment)).items():
        if table.num_rows:
            failpoints.hit("insert.before")
            await env.analytics.insert(name, table)
            failpoints.hit("insert.after")


async def finish(mails: Sequence[PipelineMail], env: Env) -> None:
    """The mails' own rows in the catalogue, then the acknowledgements."""
    for mail in mails:
        if mail.instead is not None:
            await env.objects.put(mail.item.object_key, mail.instead)
    await env.arrivals.record_mails([_row(mail) for mail in mails if mail.reading is not MISSING])
    for mail in mails:
        if mail.item.again:
            # Only now: a person who reads "solved" finds its reports in the figures.
            await env.problems.close_mail(mail.item.mail_id)
        mail.message.ack()
        records = sum(row.records for row in mail.noted)
        seconds = time.perf_counter() - mail.started
        if env.metrics is not None:
            env.metrics.read(len(mail.noted), records, seconds)
        log.info(
            "mail read",
            id=mail.item.mail_id,
            recipient=mail.item.recipient,
            outcome=mail.outcome,
            reports=len(mail.noted),
            records=records,
            problems=mail.problems,
            ms=round(seconds * 1000, 1),
            **mail.outcomes,
        )


def _row(mail: PipelineMail) -> MailRow:
    return MailRow(
        id=mail.item.mail_id,
        account_id=mail.item.account_id,
        domain_id=mail.item.domain_id,
        recipient=mail.item.recipient,
        sender=mail.item.sender,
        peer=mail.item.peer,
        received=mail.received,
        size=mail.item.size,
        object_key=mail.item.object_key,
        outcome=mail.outcome,
        reports=len(mail.noted),
        problems=mail.problems,
        sha256=mail.item.sha256 if mail.instead is None else hashlib.sha256(mail.instead).hexdigest(),
    )
