"""The query of the original worker's README, verbatim, by curl, over reports by SMTP: each column equals the XML."""

# ruff: noqa: E501 - XML stands as it is sent

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

from tests.support.mails import mail
from tests.support.readme_query import README_QUERY
from tests.support.system import System, skip

BEGIN = 1_790_553_600
REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<feedback><report_metadata><org_name>Enterprise Outlook</org_name><email>dmarcreport@microsoft.example</email>
<report_id>{report_id}</report_id><date_range><begin>{begin}</begin><end>{end}</end></date_range>{errors}</report_metadata>
<policy_published><domain>example.com</domain><adkim>{adkim}</adkim><aspf>{aspf}</aspf><p>{p}</p><sp>{sp}</sp><pct>{pct}</pct>
</policy_published>{records}</feedback>"""
RECORD = """<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated><disposition>{disposition}</disposition>
<dkim>{dkim}</dkim><spf>{spf}</spf>{reason}</policy_evaluated></row><identifiers><envelope_to>{to}</envelope_to>
<header_from>{from_}</header_from></identifiers><auth_results><spf><domain>example.com</domain><result>{spf}</result></spf>
</auth_results></record>"""
REASONS = ("other", "forwarded", "sampled_out", "trusted_forwarder", "mailing_list", "local_policy")


def documents() -> list[str]:
    """Three reports which between them have every value that the query's codes stand for."""
    policies = [
        ("r", "s", "none", "quarantine", 100),
        ("s", "r", "quarantine", "reject", 50),
        ("r", "r", "reject", "none", 0),
    ]
    made = []
    for number, (adkim, aspf, p, sp, pct) in enumerate(policies):
        records = "".join(
            RECORD.format(
                ip=f"192.0.2.{number * 10 + index}",
                count=1 + number * 1000 + index,
                disposition=("none", "quarantine", "reject")[index % 3],
                dkim=("pass", "fail")[index % 2],
                spf=("fail", "pass")[(index // 2) % 2],
                reason=f"<reason><type>{reason}</type></reason>",
                to=f"rcpt{index}.example.net",
                from_=f"s{index}.example.com",
            )
            for index, reason in enumerate(REASONS)
        )
        errors = "<error>could not read everything</error>" if number == 1 else ""
        begin = BEGIN + number * 86_400
        made.append(
            REPORT.format(
                report_id=f"id-{number}-of-three", begin=begin, end=begin + 86_399, errors=errors, adkim=adkim, aspf=aspf,
                p=p, sp=sp, pct=pct, records=records,
            )
        )  # fmt: skip
    return made


def told(document: str) -> list[dict[str, Any]]:
    """What the query should answer, taken from the XML by its paths alone."""
    root = ET.fromstring(document)
    words = {"none": 0, "quarantine": 1, "reject": 2, "r": 0, "s": 1, "fail": 0, "pass": 1}

    def text(path: str, node: ET.Element = root) -> str:
        return node.findtext(path) or ""

    def moment(path: str) -> str:
        return datetime.fromtimestamp(int(text(path)), UTC).strftime("%Y-%m-%d %H:%M:%S")

    error = text("report_metadata/error")
    return [
        {
            "reportMetadataReportId": text("report_metadata/report_id").replace("-", "_", 1),
            "reportMetadataOrgName": text("report_metadata/org_name"),
            "reportMetadataDateRangeBegin": moment("report_metadata/date_range/begin"),
            "reportMetadataDateRangeEnd": moment("report_metadata/date_range/end"),
            "reportMetadataError": json.dumps(error) if error else "",
            "policyPublishedDomain": text("policy_published/domain"),
            "policyPublishedADKIM": words[text("policy_published/adkim")],
            "policyPublishedASPF": words[text("policy_published/aspf")],
            "policyPublishedP": words[text("policy_published/p")],
            "policyPublishedSP": words[text("policy_published/sp")],
            "policyPublishedPct": int(text("policy_published/pct")),
            "recordRowSourceIP": text("row/source_ip", record),
            "recordRowCount": int(text("row/count", record)),
            "recordRowPolicyEvaluatedDKIM": words[text("row/policy_evaluated/dkim", record)],
            "recordRowPolicyEvaluatedSPF": words[text("row/policy_evaluated/spf", record)],
            "recordRowPolicyEvaluatedDisposition": words[text("row/policy_evaluated/disposition", record)],
            "recordRowPolicyEvaluatedReasonType": REASONS.index(text("row/policy_evaluated/reason/type", record)),
            "recordIdentifiersEnvelopeTo": text("identifiers/envelope_to", record),
            "recordIdentifiersHeaderFrom": text("identifiers/header_from", record),
        }
        for record in root.iter("record")
    ]


def test_every_column_equals_the_xml(system: System) -> None:
    if not shutil.which("curl"):
        skip("there is no curl")
    system.add_domains("example.com")
    sent = documents()
    replies = system.send(
        system.rua["example.com"],
        *(mail(("report.xml.gz", gzip.compress(document.encode(), mtime=0))) for document in sent),
    )
    assert replies == [(250, "")] * 3
    system.settle()
    command = [
        "curl", "--silent", "--show-error", "--fail-with-body",
        f"{system.http}/client/v4/accounts/{system.account_id}/analytics_engine/sql",
        "--header", f"Authorization: Bearer {system.token}", "--data", README_QUERY,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    rows = [{name: value for name, value in row.items() if name != "timestamp"} for row in answer["data"]]
    expected = [row for document in sent for row in told(document)]
    assert len(expected) == 18
    assert answer["rows"] == 18

    def place(row: dict[str, Any]) -> str:
        return str(row["recordRowSourceIP"])

    assert sorted(rows, key=place) == sorted(expected, key=place)
    now = datetime.now(UTC).timestamp()
    for row in answer["data"]:
        taken = datetime.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        assert now - 600 < taken <= now + 1
