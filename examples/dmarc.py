"""A minimal DMARC worker: look up the address, parse the mail, archive the report, write a data point per record.

The built-in worker does the same with a queue between accepting and parsing, counts a repeated report once, and keeps
mail that it cannot parse; this example shows how little code is needed.

DMARCWORKS_WORKERS=mini=examples/dmarc.py
DMARCWORKS_WORKER_BINDINGS=mini.KV_DMARC_REPORTS=kv,mini.R2_DMARC_REPORTS=objects,mini.DMARC_ANALYTICS=analytics:mini
"""

import json
import re
from datetime import UTC, datetime

from dmarcworks import read_mail

UNSAFE = re.compile(r"[^A-Za-z0-9._!-]+")


async def email(message, env, ctx):
    """The eight steps."""
    # 1 and 2: the address names the domain; mail to an unknown address is rejected.
    rua_id = message.to
    account_info = await env.KV_DMARC_REPORTS.get(f"dmarc:{rua_id}")
    if account_info is None:
        message.set_reject("Unknown report address")
        return
    account = json.loads(account_info)
    # 3, 4, 6 and 7: the whole mail, its parts, and every report in them, however they are compressed.
    reading = read_mail(await message.raw())
    now = datetime.now(UTC)
    for item in reading.items:
        # 5: the attachment as received.
        name = UNSAFE.sub("_", item.part.name).lstrip(".") or "report"
        await env.R2_DMARC_REPORTS.put(f"{now.year}/{now.month}/{name}", item.part.content)
        # 8: a point per record.
        report = item.report
        for index, record in enumerate(getattr(report, "records", ())):
            env.DMARC_ANALYTICS.write_data_point(
                {
                    "indexes": [f"{report.report_id}-{index}"[:32]],
                    "blobs": [report.report_id, report.org_name, "", account["domain"], record.source_ip],
                    "doubles": [report.begin, report.end, record.count],
                }
            )


async def recipient(address, env):
    """Called at RCPT, before the mail is sent: an unknown address is rejected immediately."""
    return await env.KV_DMARC_REPORTS.get(f"dmarc:{address}") is not None
