"""Promise: what a worker's queue gave up is seen by command and figure, and delivered again or removed by command."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.routing_mail import add, mail, metric, send
from tests.support.system import COMMAND, System, wait_for

WORKER = """
import pathlib

FIXED = pathlib.Path(__file__).with_name("fixed")

async def email(message, env, ctx):
    await env.QUEUE.send({"subject": message.headers.get("subject")})
    await env.QUEUE.send(b"\\x00\\xff", content_type="bytes")

async def queue(batch, env, ctx):
    if not FIXED.exists():
        raise RuntimeError("no hands today")
    for message in batch.messages:
        await env.KV.put("done", message.body["subject"])
"""
KEPT = "SELECT CAST(value AS BLOB) AS value FROM kv WHERE key = CAST('worker:mine:done' AS BLOB)"
DEAD = 'dmarcworks_worker_queue_messages{state="dead"}'


def test_what_was_dead_lettered_is_repaired(tmp_path: Path) -> None:
    """Two messages die and are told everywhere; one is delivered again once the worker works, the other is removed."""
    worker = tmp_path / "mine.py"
    worker.write_text(WORKER)
    system = System(
        tmp_path / "home",
        {
            "DMARCWORKS_WORKERS": f"mine={worker}",
            "DMARCWORKS_WORKER_QUEUES": "mine.max_batch_timeout=0,mine.max_retries=1,mine.retry_delay=0",
        },
    )
    system.start()
    assert system.json("queue", "list") == []
    assert system.cli("queue").stdout == "The queues are empty.\n"
    assert metric(system, DEAD) == 0
    system.add_domain("example.com")
    add(system, "mine@example.com", "--worker", "mine")
    wait_for(lambda: send(system, "mine@example.com", mail("one"))[0] == 250, "the rule in effect")
    wait_for(lambda: metric(system, DEAD) == 2, "both given up")
    assert metric(system, 'dmarcworks_worker_queue_messages{state="ready"}') == 0
    (queue,) = system.json("queue", "list")
    assert {name: queue[name] for name in ("queue", "ready", "delayed", "leased", "dead")} == {
        "queue": "mine",
        "ready": 0,
        "delayed": 0,
        "leased": 0,
        "dead": 2,
    }
    letters = {letter["type"]: letter for letter in system.json("queue", "dead", "mine")}
    assert (letters["json"]["body"], letters["bytes"]["body"]) == ({"subject": "one"}, "AP8=")
    assert {(one["queue"], one["attempts"], one["error"]) for one in letters.values()} == {
        ("mine", 2, "RuntimeError('no hands today')")
    }
    assert system.json("queue", "dead", "other") == []
    table = system.cli("queue", "dead").stdout
    assert '{"subject":"one"}' in table
    assert "2 bytes" in table
    good, bad = str(letters["json"]["id"]), str(letters["bytes"]["id"])
    assert system.json("queue", "show", good) == letters["json"]
    raw = subprocess.run(
        [*COMMAND, "queue", "show", bad, "--raw"], env=system.environment, capture_output=True, timeout=60, check=True
    )
    assert raw.stdout == b"\x00\xff"

    (tmp_path / "fixed").touch()
    assert system.cli("queue", "retry", good).stdout == "1 message requeued\n"
    wait_for(lambda: system.rows(KEPT), "delivered")
    assert [bytes(row["value"]) for row in system.rows(KEPT)] == [b"one"]
    asked = system.cli("queue", "discard", bad)  # nobody is there to say yes
    assert (asked.returncode, f"Message {bad} of mine: RuntimeError('no hands today')" in asked.stderr) == (1, True)
    assert metric(system, DEAD) == 1
    assert system.json("queue", "discard", bad, "--yes") == {"messages": 1}
    wait_for(lambda: system.json("queue", "list") == [], "empty")
    assert metric(system, DEAD) == 0
    audit = system.json("audit", "--action", "worker_queue")
    assert [(line["action"], line["target"], line["actor"]) for line in audit] == [
        ("worker_queue.discard", bad, "command"),
        ("worker_queue.retry", good, "command"),
    ]
    assert system.stop() == 0


def test_without_a_server_and_all_at_once(tmp_path: Path) -> None:
    """Nothing dead is nothing to do; what is not there is status 1, wrong usage 2."""
    system = System(tmp_path / "home")
    system.start()
    assert system.stop() == 0
    assert system.json("queue", "retry", "--all") == {"messages": 0}
    assert system.cli("queue", "discard", "--all", "--queue", "mine", "--yes").stdout == "0 messages deleted\n"
    for arguments in (("retry", "7"), ("discard", "7", "--yes"), ("show", "7")):
        done = system.cli("queue", *arguments)
        assert done.returncode == 1
        assert done.stderr == "dmarcworks: no dead letter 7: none has this id, or it was handled already\n"
    for wrong in (("retry",), ("retry", "7", "--all"), ("discard", "7", "--queue", "mine")):
        assert system.cli("queue", *wrong).returncode == 2
