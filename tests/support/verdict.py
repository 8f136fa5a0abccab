"""The promise, checked from outside: what was answered with 250 is counted exactly once or stands under Problems.

In: the crowd's stories and the system, which has read all it took. Out: a `Verdict` with every mail and report that
breaks the promise. Asked are the SQL API (rows and messages per report), the problems and the folder of objects.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.killable import Story
from tests.support.load import AGGREGATE, FAILURE, TLS, Counted, number_of
from tests.support.system import System

_ASK = {
    AGGREGATE: "SELECT report_id AS id, COUNT() AS n, SUM(count) AS messages FROM dmarc_reports GROUP BY report_id",
    TLS: "SELECT report_id AS id, COUNT() AS n, SUM(successful_sessions + failed_sessions) AS messages"
    " FROM tls_reports GROUP BY report_id",
    FAILURE: "SELECT message_id AS id, COUNT() AS n, COUNT() AS messages FROM failure_reports GROUP BY message_id",
}


@dataclass
class Verdict:
    """Counts for the table, and whatever breaks the promise, by name."""

    accepted: int = 0
    counted: int = 0
    problems: int = 0
    reports: int = 0
    orphans: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def difference(self) -> int:
        """Mails that were taken and are neither counted nor listed."""
        return len(self.lost)

    def check(self) -> None:
        """Fail with what is wrong."""
        assert (self.lost[:20], self.doubled[:20], self.wrong[:20]) == ([], [], [])


def counted(system: System) -> dict[tuple[str, str], Counted]:
    """Every report in the totals, as the SQL API tells it."""
    return {
        (table, row["id"]): Counted(int(row["n"]), int(row["messages"]))
        for table, query in _ASK.items()
        for row in system.sql(query)
    }


def judge(system: System, stories: Iterable[Story]) -> Verdict:
    """Compare what was answered with what is there."""
    verdict = Verdict()
    found = counted(system)
    objects = _objects_folder(system)
    problems: dict[int, dict[str, Counter[str]]] = {}
    for row in (*system.problems(), *system.other_mail()):
        raw = (objects / row["object_key"]).read_bytes()
        problems.setdefault(number_of(raw), {}).setdefault(row["mail_id"], Counter())[row["reason"]] += 1
    for story in stories:
        _mail(story, found, problems.pop(story.parcel.number, {}), verdict)
    verdict.doubled += [f"{key}: {counted}, and nobody sent it" for key, counted in found.items()]
    verdict.wrong += [f"parcel {number}: problems, and nobody sent it" for number in problems]
    _stores(system, objects, verdict)
    return verdict


def _mail(
    story: Story, found: dict[tuple[str, str], Counted], problems: Mapping[str, Counter[str]], verdict: Verdict
) -> None:
    """One parcel: its reports leave `found`."""
    parcel, taken = story.parcel, story.accepted > 0
    name = f"parcel {parcel.number} ({parcel.kind}, {' '.join(story.tries) or 'never sent'})"
    complete = True
    for key, expected in parcel.reports.items():
        there = found.pop(key, None)
        if there is None:
            complete = False
        elif there != expected:
            known = there.rows > expected.rows or there.messages > expected.messages
            (verdict.doubled if known else verdict.lost).append(f"{name}: {key[1]} is {there}, not {expected}")
        else:
            verdict.reports += 1
    # Tries that brought no 250 may have been taken all the same; each that was has its own entry, once.
    for mail_id, reasons in problems.items():
        if reasons != Counter(parcel.problems):
            verdict.wrong.append(f"{name}: problems of {mail_id} are {dict(reasons)}, not {parcel.problems}")
    if len(problems) > len(story.tries):
        verdict.wrong.append(f"{name}: problems of {len(problems)} mails")
    listed = len(problems) >= story.accepted if parcel.problems else True
    if taken:
        verdict.accepted += 1
        if not complete or not listed:
            verdict.lost.append(f"{name}: reports {'all' if complete else 'not all'} counted, {len(problems)} listed")
        elif parcel.reports:
            verdict.counted += 1
        else:
            verdict.problems += 1


def _objects_folder(system: System) -> Path:
    url = system.settings.get("DMARCWORKS_OBJECTS_URL", f"file://{system.home / 'objects'}")
    return Path(url.removeprefix("file://"))


def _stores(system: System, objects: Path, verdict: Verdict) -> None:
    """No torn file, no archived report that is not what its name says, nothing noted that is not there."""
    keys = set()
    for path in objects.rglob("*"):
        if not path.is_file():
            continue
        key = path.relative_to(objects).as_posix()
        keys.add(key)
        if key == "system/id":
            if len(path.read_bytes().strip()) != 32:
                verdict.wrong.append(f"{key} is torn")
        elif key.startswith("domains/"):
            json.loads(path.read_bytes())
        elif key.startswith("inbox/"):
            if not path.read_bytes().rstrip().endswith(b"--"):
                verdict.wrong.append(f"{key} is torn")
        elif key.startswith(".tmp/"):
            verdict.wrong.append(f"{key} is left over")
        elif key.split("/")[2] != hashlib.sha256(path.read_bytes()).hexdigest():
            verdict.wrong.append(f"{key} is not what its name says")
    mails: list[dict[str, Any]] = system.rows("SELECT id, object_key FROM mails")
    reports = system.rows("SELECT key, object_key, state, published FROM reports")
    named = [row["object_key"] for row in (*mails, *reports)]
    verdict.wrong += [f"{key} is noted and not there" for key in named if key not in keys]
    verdict.wrong += [f"report {row['key']} is not published" for row in reports if not row["published"]]
    verdict.orphans = len({key for key in keys if key.startswith("inbox/")} - {row["object_key"] for row in mails})
