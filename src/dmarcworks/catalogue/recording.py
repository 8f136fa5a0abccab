"""Many reports into the catalogue at once, each as if it came alone: new, known before, or a variant of one.

In: reports in the order of their mails, and the open transaction; out: what each of them is. Two queries and at most
two inserts for all, so that a hundred small mails cost what one does. Idempotent: a redelivered mail finds its rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, select, update

from dmarcworks.bindings.bulk_insert import add
from dmarcworks.catalogue import tables
from dmarcworks.catalogue.reports import NewReport, ReportRow, report_row
from dmarcworks.reports.days import day_of

__all__ = ["Recorded", "adopt", "pieces", "record"]

# Values that one statement may bind, well below what every database takes.
_BOUND = 500
# States of reports that are kept and counted nowhere.
_APART = ("foreign", "quarantined")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a report is: "new", "duplicate" (known before) or "variant" (same identity, other content), and its row."""

    row: ReportRow
    outcome: str


def record(connection: Connection, reports: Sequence[NewReport]) -> list[Recorded]:
    """Record the reports, in their order."""
    identities = [report.identity for report in reports]
    # Only the identity of failure reports has changed since an earlier version.
    former = [report.former_identity if report.kind == "failure" else "" for report in reports]
    known: dict[tuple[str, str], list[tuple[frozenset[str], ReportRow]]] = {}
    for some in pieces(list(dict.fromkeys([*identities, *filter(None, former)]))):
        statement = select(tables.reports).where(tables.reports.c.identity.in_(some))
        for stored in connection.execute(statement).all():
            known.setdefault((stored.account_id, stored.identity), []).append(
                (_hashes(stored.content, stored.alike), report_row(stored))
            )
    seen = _sightings(connection, reports, [row.key for rows in known.values() for _, row in rows])
    added: list[dict[str, Any]] = []
    sighted: list[dict[str, Any]] = []
    adopted: list[ReportRow] = []
    outcomes: list[Recorded] = []
    for report, identity, earlier in zip(reports, identities, former, strict=True):
        variants = known.setdefault((report.account_id, identity), [])
        hashes = _hashes(report.content, report.alike)
        candidates = [*variants, *known.get((report.account_id, earlier), ())]
        same = next((row for stored, row in candidates if stored & hashes), None)
        outcome = "new" if same is None and not variants else "variant" if same is None else ""
        row = same
        if row is not None and row.state in _APART and report.state == "counted":
            # It came to another domain's address before, or in a mail that was not shown to be genuine, and is counted
            # nowhere yet; this address and this mail are the right ones.
            row = replace(row, domain_id=report.domain_id, state="counted", published=False)
            adopted.append(row)
            variants[:] = [(stored, row if other.key == row.key else other) for stored, other in variants]
            outcome = "new"
        if row is None:
            values = _values(report, identity, len(variants))
            added.append(values)
            row = _row(report, values)
            variants.append((hashes, row))
        places = seen.setdefault((row.key, report.mail_id), set())
        where = tables.storable(report.where)[:1024]
        if where not in places:
            places.add(where)
            sighted.append(
                {
                    "report_key": row.key,
                    "mail_id": report.mail_id,
                    "where": where,
                    "received": report.received.timestamp(),
                }
            )
        if not outcome:
            # A crash may redeliver the mail that brought it first: that is no duplicate.
            again = row.mail_id == report.mail_id and len(places) == 1
            outcome = "new" if again else "duplicate"
        outcomes.append(Recorded(row, outcome))
    add(connection, tables.reports, added)
    add(connection, tables.sightings, sighted)
    for row in adopted:
        adopt(connection, row.key, row.domain_id)
    return outcomes


def adopt(connection: Connection, key: str, domain_id: str) -> None:
    """A report that was kept apart belongs to this domain: it is to be published, and no problem any more."""
    table, problems = tables.reports, tables.problems
    connection.execute(
        update(table)
        .where(table.c.key == key, table.c.state.in_(_APART))
        .values(domain_id=domain_id, state="counted", published=False)
    )
    connection.execute(
        update(problems).where(problems.c.report_key == key, problems.c.state == "open").values(state="closed")
    )


def _sightings(
    connection: Connection, reports: Sequence[NewReport], keys: Sequence[str]
) -> dict[tuple[str, str], set[str]]:
    """Where the reports with these keys were seen in these mails before."""
    places: dict[tuple[str, str], set[str]] = {}
    table, mails = tables.sightings, list({report.mail_id for report in reports})
    for some in pieces(keys):
        for few in pieces(mails):
            statement = select(table).where(table.c.report_key.in_(some), table.c.mail_id.in_(few))
            for row in connection.execute(statement).all():
                places.setdefault((row.report_key, row.mail_id), set()).add(row.where)
    return places


def pieces(values: Sequence[_Value]) -> Iterator[Sequence[_Value]]:
    """The values in runs of at most 500: what a statement may name of them."""
    for start in range(0, len(values), _BOUND):
        yield values[start : start + _BOUND]


def _hashes(content: str, alike: str | None) -> frozenset[str]:
    """The hashes of which one is enough to know a document again: of its bytes, and without its line ends."""
    return frozenset((content, alike or content))


def _values(report: NewReport, identity: str, others: int) -> dict[str, Any]:
    warnings: list[Mapping[str, str]] = [dict(warning) for warning in report.warnings]
    if others:
        warnings.append(
            {
                "code": "same_identity_other_content",
                "where": report.where,
                "detail": f"{others} other report(s) with this reporter, domain, id and dates have "
                "other content; all are counted",
            }
        )
    return {
        "key": report.key_of(identity),
        "identity": identity,
        "content": report.content,
        "alike": report.alike or report.content,
        "account_id": report.account_id,
        "domain_id": report.domain_id,
        "kind": report.kind,
        "org_name": tables.storable(report.org_name),
        "org_email": tables.storable(report.org_email),
        "policy_domain": tables.storable(report.policy_domain),
        "report_id": tables.storable(report.report_id),
        "begin": _bigint(report.begin),
        "end": _bigint(report.end),
        "day": day_of(report.begin).isoformat(),
        "received": report.received.timestamp(),
        "records": report.records,
        "messages": _bigint(report.messages),
        "object_key": report.object_key,
        "file_name": tables.storable(report.file_name),
        "mail_id": report.mail_id,
        "state": report.state,
        "published": report.state != "counted",
        "warnings": json.dumps(warnings),
    }


def _row(report: NewReport, values: Mapping[str, Any]) -> ReportRow:
    """The row as it will be read back."""
    kept = {name: value for name, value in values.items() if name not in ("identity", "content", "alike")}
    kept["day"] = date.fromisoformat(values["day"])
    kept["received"] = datetime.fromtimestamp(values["received"], UTC)
    kept["warnings"] = tuple(json.loads(values["warnings"]))
    return ReportRow(**kept)


def _bigint(value: int) -> int:
    """Held inside a signed 64-bit column; the raw value stays in the archived report."""
    return max(-(2**63), min(value, 2**63 - 1))
