"""Promise of a worker's queue on the real process: what a mail sent to it is done after 250, also after a restart."""

from __future__ import annotations

from pathlib import Path

from tests.support.routing_mail import add, mail, send
from tests.support.system import System, wait_for

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = "SELECT value FROM kv WHERE key = CAST('worker:jobs:mails from who@sender.example' AS BLOB)"


def counted(system: System) -> int:
    return sum(int(row["value"]) for row in system.rows(KEY))


def test_the_example_with_a_queue(tmp_path: Path) -> None:
    """Three mails are counted; what was sent before a stop is done after the next start; a bad setting is told."""
    system = System(
        tmp_path / "home",
        settings={
            "DMARCWORKS_WORKERS": f"jobs={EXAMPLES / 'jobs.py'}",
            "DMARCWORKS_WORKER_QUEUES": "jobs.max_batch_timeout=0",
        },
    )
    system.start()
    system.add_domain("example.com")
    add(system, "jobs@example.com", "--worker", "jobs")
    wait_for(lambda: send(system, "jobs@example.com", mail("one"))[0] == 250, "the rule in effect")
    assert send(system, "jobs@example.com", mail("two"))[0] == 250
    wait_for(lambda: counted(system) == 2, "two mails counted")
    # A message is acknowledged after its work, which the count is.
    wait_for(lambda: system.rows("SELECT id FROM queue WHERE queue <> 'dmarc'") == [], "both acknowledged")
    system.settings["DMARCWORKS_WORKER_QUEUES"] = "jobs.max_batch_timeout=60"
    assert system.stop() == 0
    system.start()
    assert send(system, "jobs@example.com", mail("three"))[0] == 250
    assert [row["body"] for row in system.rows("SELECT body FROM queue WHERE queue <> 'dmarc'")] == [
        b'{"key":"mails/three@sender.example","from":"who@sender.example"}'
    ]
    assert system.stop() == 0
    system.settings["DMARCWORKS_WORKER_QUEUES"] = "jobs.max_batch_timeout=0"
    system.start()
    wait_for(lambda: counted(system) == 3, "the third one counted")
    assert system.stop() == 0
    system.settings["DMARCWORKS_WORKER_BINDINGS"] = "jobs.OTHER=queue:nobody"
    done = system.cli("serve")
    assert done.returncode == 2
    assert "DMARCWORKS_WORKER_BINDINGS: jobs.OTHER: no worker 'nobody' has a `queue` handler" in done.stderr
