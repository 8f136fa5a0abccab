"""Runs in the environment of openapi-python-client, on the client that it generated; prints what it found as JSON.

python tests/support/generated_client.py FOLDER URL TOKEN DOMAIN REPORT MAIL
"""

from __future__ import annotations

import importlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

folder, url, token, domain, report, mail = sys.argv[1:]
sys.path.insert(0, folder)


def part(name: str) -> Any:
    """A module of the generated client."""
    return importlib.import_module(f"generated.{name}")


client = part("client").AuthenticatedClient(base_url=f"{url}/api/v1", token=token, raise_on_unexpected_status=True)
File = part("types").File
states = []
for path in (report, mail):
    body = File(payload=io.BytesIO(Path(path).read_bytes()))
    sent = part("api.uploads.upload_report").sync(client=client, domain=domain, name=Path(path).name, body=body)
    deadline = time.monotonic() + 60
    while (status := part("api.uploads.get_upload").sync(sent.mail_id, client=client)).state == "queued":
        assert time.monotonic() < deadline, "the upload is not read"
        time.sleep(0.1)
    states.append([status.state.value, len(status.reports), len(status.problems)])
domains = part("api.domains.list_domains").sync(client=client).items
reports = part("api.reports.list_reports").sync(client=client, domain=domain)
export = part("api.exports.export")
formats = part("models.export_format").ExportFormat
kind = part("models.export_kind").ExportKind.RECORDS
text = {form: export.sync_detailed(kind, client=client, format_=formats(form)).content for form in ("csv", "jsonl")}
parquet = export.sync_detailed(kind, client=client, format_=formats("parquet")).content
print(
    json.dumps(
        {
            "uploads": states,
            "domains": [one.name for one in domains],
            "reports": sorted(one.report_id for one in reports.items),
            "csv": export.sync(kind, client=client) == text["csv"].decode(),
            "lines": [len(text["csv"].splitlines()), len(text["jsonl"].splitlines())],
            "parquet": parquet[:4].decode(),
        }
    )
)
