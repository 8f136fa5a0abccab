"""`dmarcworks problems retry`: the mail goes back into the queue with its own id, once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from dmarcworks.bindings.contracts import SYSTEM_QUEUE
from dmarcworks.catalogue.stores import opened
from dmarcworks.settings import load
from tests.support.commands import run


def test_retry_queues_the_mail_once_and_names_what_is_missing(tmp_path: Path) -> None:
    """Two problems of one mail are one mail to read again; an unknown number is exit status 1, none at all 2."""
    told = json.loads(run(tmp_path, "domain", "add", "example.com", "--json").stdout)
    settings, _ = load({"DMARCWORKS_HOME": str(tmp_path), "DMARCWORKS_HOSTNAME": "reports.example.net"})

    async def prepare() -> int:
        async with opened(settings) as stores:
            await stores.objects.put("inbox/2026/11/24/m1.eml", b"Subject: x\r\n\r\nnothing")
            for where in ("part 1", "part 2"):
                number = await stores.problems.add(
                    account_id=told["account_id"],
                    domain_id=told["domain_id"],
                    mail_id="m1",
                    reason="no_report",
                    where=where,
                    detail="Nothing here.",
                    object_key="inbox/2026/11/24/m1.eml",
                )
            return number

    number = asyncio.run(prepare())
    done = run(tmp_path, "problems", "retry", "--all")
    assert (done.returncode, done.stdout.split(";")[0]) == (0, "1 mail queued for reprocessing")

    async def queued() -> list[dict[str, object]]:
        async with opened(settings) as stores:
            return [json.loads(message.body) for message in await stores.queue.receive(SYSTEM_QUEUE, limit=10)]

    (body,) = asyncio.run(queued())
    assert (body["mail_id"], body["domain"], body["again"], body["size"]) == ("m1", "example.com", True, 21)
    assert run(tmp_path, "problems", "retry", str(number)).returncode == 0
    unknown = run(tmp_path, "problems", "retry", "99")
    assert (unknown.returncode, "there is no problem 99" in unknown.stderr) == (1, True)
    assert run(tmp_path, "problems", "retry").returncode == 2
