"""Where a running process spends its time: py-spy's folded stacks, summed by our steps and by function.

A sample counts for the step of the innermost frame that names one, so what a library does stands with the step that
called it. Shares are of all samples in which a thread was at work.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

from reading import peer_python

# The frame that names a step, innermost first: (pattern of "function (file)", step).
STEPS = [
    (r"bindings/folder_writer\.py|process/syncfs\.py", "objects: put (write, sync, name, sync)"),
    (r"_get\w*[ .].*bindings/folder\.py", "objects: get"),
    (r"bindings/folder\.py", "objects: the rest"),
    (r"gate_of .*dmarc\.py|bindings/kv\.py|routing/gates\.py", "gate: KV look-up"),
    (r"send\w* .*bindings/queue\.py", "queue: send"),
    (r"bindings/queue_leasing\.py|receive .*bindings/queue\.py", "queue: receive"),
    (r"settle\w* .*bindings/queue\.py|_report .*consumer\.py", "queue: settle"),
    (r"bindings/queue", "queue: the rest"),
    (r"reports/read\.py|ingest/read_source\.py|ingest/read_child\.py", "read: mail → reports"),
    (r"ingest/reading|process/(isolated|running|pipes|frames|child|forking|fork_server|limits)\.py", "child processes"),
    (r"enrich/|ingest/authentication\.py|catalogue/authenticity\.py", "checks of report mail"),
    (r"analytics/(rows|columns|arrays)\.py", "rows: report → columns"),
    (r"record_reports|catalogue/recording\.py", "catalogue: record_reports"),
    (r"mark_published", "catalogue: mark_published"),
    (r"record_mails", "catalogue: record_mails"),
    (r"insert .*(clickhouse_engine|chdb)\.py", "analytics: insert"),
    (r"bindings/(clickhouse_engine|chdb)\.py", "analytics: query"),
    (r"archive .*ingest/steps\.py|_name .*ingest/steps\.py|new_report|reports/summary\.py", "archive: the rest"),
    (r"routing/smtp|wiring/smtp_process\.py", "SMTP conversation"),
    (r"structlog|process/log_writer\.py", "log"),
    (r"ingest/|workers/", "worker: the rest"),
    (r"uvicorn|fastapi|starlette|dmarcworks/api/", "HTTP"),
    (r"aiosqlite|bindings/sqlite|bindings/bulk_insert\.py|sqlalchemy", "SQLite (worker thread)"),
    (r"run_forever|_run_once|uvloop", "event loop"),
]
# Threads that wait for work: py-spy cannot always tell.
_WAITS = re.compile(
    r"^(_worker \(concurrent/futures/thread|_connection_worker_thread|Runner\.run|Condition\.wait"
    r"|\w*\.?wait \(threading|\w*\.?select \(|_run_once|read_frame \(|_Slot\._serve \(|_received \("
    r"|_serve \(dmarcworks/enrich/resolver|_SocketThread\._serve \(|_Lines\._later \(|serve \(dmarcworks/cli/serve)"
)
_STEPS = [(re.compile(pattern), step) for pattern, step in STEPS]


def py_spy() -> Path:
    """The sampler, installed beside the peer at the first use."""
    program = peer_python().parent / "py-spy"
    if not program.exists():
        subprocess.run([str(peer_python()), "-m", "pip", "install", "--quiet", "py-spy>=0.4,<1"], check=True)
    return program


def tables(folded: str, functions: int = 25) -> list[str]:
    """Two Markdown tables: steps, and functions by their own time."""
    by_step: Counter[str] = Counter()
    by_function: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [frame for frame in stack.split(";") if frame and not frame.startswith("process ")]
        if not frames or _WAITS.search(frames[-1]):
            continue
        by_step[_step(frames)] += int(count)
        by_function[re.sub(r":\d+\)$", ")", frames[-1])] += int(count)
    total = sum(by_step.values()) or 1
    return [
        "| step | share |",
        "|---|---|",
        *(f"| {step} | {count / total:.1%} |" for step, count in by_step.most_common()),
        "",
        "| function (own time) | share |",
        "|---|---|",
        *(f"| `{name}` | {count / total:.1%} |" for name, count in by_function.most_common(functions)),
    ]


def _step(frames: list[str]) -> str:
    for frame in reversed(frames):
        for pattern, step in _STEPS:
            if pattern.search(frame):
                return step
    return "other"
