"""THE worker: a DMARC report mail becomes archived originals, catalogue rows and exact figures.

`email()` is the post's first half: the recipient's KV entry names account and domain; the raw mail goes to Objects and
an item into the Queue, and only then the sender hears 250. `queue()` is the second half: read every report in the mail,
archive each attachment as received, note it in the catalogue, publish its rows, acknowledge. Each step is idempotent;
what cannot be read is kept under `inbox/` and listed as a problem.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pyarrow as pa
import structlog

from dmarcworks import failpoints
from dmarcworks.analytics import schema
from dmarcworks.analytics.rows import Report, rows_of
from dmarcworks.catalogue.arrivals import MailRow, ReportRow
from dmarcworks.errors import DmarcworksError, StoreError
from dmarcworks.reports.model import FailureReport, Item
from dmarcworks.reports.read import read_mail
from dmarcworks.workers.message import Message
from dmarcworks.workers.notes import foreign, inbox_key, new_report, safe_name
from dmarcworks.workers.private import private
from dmarcworks.workers.runtime import BatchMessage, Env

log = structlog.get_logger("dmarcworks.dmarc")

# Rows of several reports share an insert; past this many they leave at once, so that memory stays flat.
PUBLISH_ROWS = 100_000
ADDRESS_LENGTH = 320


async def recipient(address: str, env: Env) -> bool:
    """Whether the address is a rua address of ours (asked at RCPT)."""
    return await _gate(address, env) is not None


async def email(message: Message, env: Env) -> str:
    """Take a mail durably: raw mail into Objects, an item into the Queue; the mail's id."""
    gate = await _gate(message.to, env)
    if gate is None:
        message.set_reject("This address takes no reports")
        return "unknown rua address"
    received = env.now()
    mail_id = uuid.uuid4().hex
    key = inbox_key(mail_id, gate["domain_id"], received)
    raw = await message.raw()
    await env.objects.put(key, raw, create_only=True)
    failpoints.hit("accept.put")
    await env.queue.send(
        {
            "mail_id": mail_id,
            "object_key": key,
            "account_id": gate["account_id"],
            "domain_id": gate["domain_id"],
            "domain": gate["domain"],
            "recipient": message.to,
            "sender": message.from_,
            "peer": message.peer,
            "received": received.timestamp(),
            "size": message.raw_size,
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
    )
    failpoints.hit("accept.sent")
    return mail_id


async def queue(batch: Sequence[BatchMessage], env: Env) -> None:
    """Read, archive, note and publish a batch of mails; each is acknowledged once its rows are in Analytics."""
    publisher = _Publisher(env)
    for message in batch:
        try:
            await _mail(message, env, publisher)
        except StoreError as error:
            log.warning("mails wait for a store", mails=1, error=str(error))
            message.retry(str(error), temporary=True)
        # One poisonous mail must not stop its neighbours: it is tried again and then listed as a problem.
        except Exception as error:
            log.exception("mail failed", id=message.body.get("mail_id"))
            message.retry(repr(error))
        if publisher.rows >= PUBLISH_ROWS:
            await publisher.flush()
    await publisher.flush()


async def dead(message: BatchMessage, env: Env) -> None:
    """A mail is given up: a person sees why, and the raw mail stays."""
    body = message.body
    await env.problems.add(
        account_id=body["account_id"],
        domain_id=body["domain_id"],
        mail_id=body["mail_id"],
        reason="gave_up",
        where="mail",
        detail=f"Reading this mail failed {message.failures} times; the last error was: {message.error}",
        object_key=body["object_key"],
    )


async def _gate(address: str, env: Env) -> dict[str, str] | None:
    if not address.isascii() or len(address) > ADDRESS_LENGTH:
        return None  # none of ours looks so, and no store need be asked
    entry = await env.kv.get(f"dmarc:{address.strip('<>').lower()}")
    if entry is None:
        return None
    gate: dict[str, str] = json.loads(entry)
    return gate


@dataclass(slots=True)
class _Mail:
    """A mail on its way through the steps."""

    message: BatchMessage
    body: dict[str, Any]
    received: datetime
    started: float
    reports: int
    instead: bytes | None
    records: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    problems: int = 0

    def count(self, outcome: str) -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


async def _mail(message: BatchMessage, env: Env, publisher: _Publisher) -> None:
    body = dict(message.body)
    raw = await env.objects.get(body["object_key"])
    received = datetime.fromtimestamp(body["received"], UTC)
    started = time.perf_counter()
    if raw is None:
        await _problem(env, body, "raw_missing", "mail", "The raw mail is gone from the object store.")
        message.ack()
        return
    reading = await asyncio.to_thread(read_mail, raw, env.bounds)
    failpoints.hit("read.done")
    instead = None
    if any(isinstance(item.report, FailureReport) for item in reading.items):
        reading, instead = await asyncio.to_thread(private, raw, reading, env.failure_originals, env.bounds)
    mail = _Mail(message, body, received, started, len(reading.items), instead)
    if body.get("again"):
        # A person asked for another try: what is still wrong is noted anew below.
        await env.problems.close_mail(body["mail_id"])
    for problem in reading.problems:
        mail.problems += 1
        await _problem(env, body, problem.reason, problem.where, problem.detail)
    rows: list[tuple[ReportRow, Report]] = []
    for item in reading.items:
        row = await _archive(item, mail, env)
        mail.records += row.records
        if not row.published:
            rows.append((row, item.report))
    await publisher.add(mail, rows)


async def _archive(item: Item, mail: _Mail, env: Env) -> ReportRow:
    """The attachment as received under YYYY/M/<sha256>/<safe name>, and a row in the catalogue."""
    body, part = mail.body, item.part
    digest = hashlib.sha256(part.content).hexdigest()
    key = f"{mail.received.year}/{mail.received.month}/{digest}/{safe_name(part.name)}"
    await env.objects.put(key, part.content, create_only=True)
    failpoints.hit("archive.put")
    report = new_report(item, body, mail.received, key)
    recorded = await env.arrivals.record_report(report)
    failpoints.hit("report.recorded")
    mail.count(recorded.outcome if report.state == "counted" else report.state)
    if report.state == "foreign":
        mail.problems += 1
        await _problem(
            env,
            body,
            "other_domain",
            part.where,
            foreign(item, body, mail.received),
        )
    return recorded.row


# A report's rows and the table that they are for.
_Rows: TypeAlias = tuple[str, pa.Table]


class _Publisher:
    """Gathers reports' rows over mails, inserts them in one block and then acknowledges the mails."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._mails: list[tuple[_Mail, list[ReportRow]]] = []
        self._tables: dict[str, _Rows] = {}
        self.rows = 0

    async def add(self, mail: _Mail, rows: Sequence[tuple[ReportRow, Report]]) -> None:
        """Take a mail whose reports are archived and noted."""
        for row, report in rows:
            if row.key in self._tables:
                continue
            # Some 4 µs a record: in a thread, so that a large report does not hold up the SMTP conversations.
            name, table = await asyncio.to_thread(
                rows_of,
                report,
                account_id=row.account_id,
                domain_id=row.domain_id,
                domain=mail.body["domain"],
                received=row.received,
                report_key=row.key,
                object_key=row.object_key,
                report_id=row.report_id,
            )
            self._tables[row.key] = name, table
            self.rows += table.num_rows
        self._mails.append((mail, [row for row, _ in rows]))

    async def flush(self) -> None:
        """Insert what was gathered, mark it published, note and acknowledge the mails."""
        mails, gathered = self._mails, self._tables
        self._mails, self._tables, self.rows = [], {}, 0
        await self._flush(mails, gathered)

    async def _flush(self, mails: Sequence[tuple[_Mail, list[ReportRow]]], gathered: dict[str, _Rows]) -> None:
        try:
            await self._publish(mails, gathered)
        except DmarcworksError as error:
            if error.temporary or len(mails) == 1:
                log.warning("mails wait for a store", mails=len(mails), error=str(error))
                for mail, _ in mails:
                    mail.message.retry(str(error), temporary=error.temporary)
                return
            # The engine refuses something in here: mail by mail, so that only the one that holds it waits.
            for one in mails:
                await self._flush([one], gathered)
            return
        await self._done([mail for mail, _ in mails])

    async def _publish(self, mails: Sequence[tuple[_Mail, list[ReportRow]]], gathered: dict[str, _Rows]) -> None:
        """One insert per table; what is in leaves `gathered`, so that nothing goes in twice after a refusal."""
        keys: dict[str, None] = {}
        for mail, rows in mails:
            for row in rows:
                if row.key in keys:
                    continue
                keys[row.key] = None
                name, table = gathered[row.key]
                # Only what was on its way before can be in Analytics already: a redelivery, a retry that a person
                # asked for, or another mail's report.
                before = mail.message.attempts > 1 or bool(mail.body.get("again"))
                if table.num_rows and (before or row.mail_id != mail.body["mail_id"]):
                    where = (row.account_id, row.domain_id, row.day, row.key)
                    if await schema.published(self._env.analytics, *where, table=name):
                        gathered[row.key] = name, table.slice(0, 0)
        by_table: dict[str, list[str]] = {}
        for key in keys:
            name, table = gathered[key]
            if table.num_rows:
                by_table.setdefault(name, []).append(key)
        for name, filled in by_table.items():
            failpoints.hit("insert.before")
            await self._env.analytics.insert(name, pa.concat_tables([gathered[key][1] for key in filled]))
            failpoints.hit("insert.after")
            for key in filled:
                gathered[key] = name, gathered[key][1].slice(0, 0)
        if keys:
            await self._env.arrivals.mark_published(list(keys))
            failpoints.hit("published.marked")

    async def _done(self, mails: Sequence[_Mail]) -> None:
        """Note the mails and acknowledge them; one that cannot be noted must not take its neighbours along."""
        try:
            for mail in mails:
                if mail.instead is not None:
                    await self._env.objects.put(mail.body["object_key"], mail.instead)
            await self._env.arrivals.record_mails([_row(mail) for mail in mails])
        except StoreError as error:
            log.warning("mails wait for a store", mails=len(mails), error=str(error))
            for mail in mails:
                mail.message.retry(str(error), temporary=True)
            return
        # As in queue(): whatever is wrong with one mail, it is tried again alone and then listed as a problem.
        except Exception as error:
            if len(mails) == 1:
                log.exception("mail failed", id=mails[0].body["mail_id"])
                mails[0].message.retry(repr(error))
                return
            for mail in mails:
                await self._done([mail])
            return
        for mail in mails:
            mail.message.ack()
            if self._env.metrics is not None:
                self._env.metrics.read(mail.reports, mail.records, time.perf_counter() - mail.started)
            log.info(
                "mail read",
                id=mail.body["mail_id"],
                recipient=mail.body["recipient"],
                outcome=_outcome(mail),
                reports=mail.reports,
                records=mail.records,
                problems=mail.problems,
                ms=round((time.perf_counter() - mail.started) * 1000, 1),
                **mail.outcomes,
            )


def _outcome(mail: _Mail) -> str:
    return "read" if mail.reports else "not read"


def _row(mail: _Mail) -> MailRow:
    body = mail.body
    return MailRow(
        id=body["mail_id"],
        account_id=body["account_id"],
        domain_id=body["domain_id"],
        recipient=body["recipient"],
        sender=body["sender"],
        peer=body["peer"],
        received=mail.received,
        size=body["size"],
        object_key=body["object_key"],
        outcome=_outcome(mail),
        reports=mail.reports,
        problems=mail.problems,
        sha256=body.get("sha256") if mail.instead is None else hashlib.sha256(mail.instead).hexdigest(),
    )


async def _problem(env: Env, body: dict[str, Any], reason: str, where: str, detail: str) -> None:
    await env.problems.add(
        account_id=body["account_id"],
        domain_id=body["domain_id"],
        mail_id=body["mail_id"],
        reason=reason,
        where=where,
        detail=detail,
        object_key=body["object_key"],
        file_name=where.rsplit(" > ", 1)[-1] if " > " in where else "",
    )
