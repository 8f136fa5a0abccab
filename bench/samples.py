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
    (r"_put\b.*objects\.py|_put_\w+.*objects\.py|_written.*objects\.py", "objects: put (write, fsync, name, fsync)"),
    (r"_get\b.*objects\.py", "objects: get"),
    (r"_gate.*dmarc\.py|get_with_metadata.*kv\.py", "gate: KV look-up"),
    (r"(send|_commit|_insert) .*bindings/queue\.py", "queue: send"),
    (r"receive .*bindings/queue\.py", "queue: receive"),
    (r"ack .*bindings/queue\.py", "queue: ack"),
    (r"\bread_mail|\bread_bytes", "read: mail → reports"),
    (r"rows_of|columns\.py|rows\.py", "rows: report → columns"),
    (r"record_report", "catalogue: record_report(s)"),
    (r"mark_published", "catalogue: mark_published"),
    (r"record_mails", "catalogue: record_mails"),
    (r"insert .*engine\.py|insert .*chdb\.py", "analytics: insert"),
    (r"(read|check) .*engine\.py", "analytics: query"),
    (r"_archive|new_report|summary", "archive: the rest"),
    (r"aiosmtpd|routing/smtp", "SMTP conversation"),
    (r"structlog", "log"),
    (r"workers/", "worker: the rest"),
    (r"uvicorn|fastapi|starlette", "HTTP"),
    (r"connect.*aiosqlite|run \(aiosqlite|aiosqlite", "SQLite (worker thread)"),
    (r"run_forever|_run_once|uvloop", "event loop"),
]
# Threads that wait for work: py-spy cannot always tell.
_WAITS = re.compile(
    r"^(_worker \(concurrent/futures/thread|_connection_worker_thread|Runner\.run|Condition\.wait|select \(|_run_once)"
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
        frames = [frame for frame in stack.split(";") if frame]
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
