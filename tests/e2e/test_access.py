"""Tokens, uploads, switches and imports on the real system: what one token may see is the same on every API."""

from __future__ import annotations

import gzip
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.mails import mail
from tests.support.rest import aggregate
from tests.support.system import System

ONE, TWO = "one.example", "two.example"


def ask(system: System, token: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON (or text) of a call."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
    request = urllib.request.Request(system.http + path, data=data, method=method, headers=sent)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
            plain = "ndjson" in answer.headers["Content-Type"]
            return answer.status, text if plain else json.loads(text)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return error.code, json.loads(text) if text.startswith("{") else text


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("access") / "home")
    running.start()
    running.add_domains(ONE, TWO)
    yield running
    if running.alive:
        running.stop()


@pytest.fixture(scope="module")
def tokens(served: System) -> dict[str, str]:
    return {
        "admin": served.json("token", "create", "--scope", "admin")["token"],
        "limited": served.json("token", "create", "--scope", "write", "--domain", ONE, "--expires", "1h")["token"],
    }


def test_an_upload_by_curl_is_counted_with_the_mails(served: System, tokens: dict[str, str], tmp_path: Path) -> None:
    """The documented command; then SMTP; both count once, and the upload's page says what was in it."""
    (tmp_path / "report.xml").write_bytes(aggregate(ONE, "by-curl", count=3))
    done = subprocess.run(
        [
            "curl", "-sS", "-H", f"Authorization: Bearer {tokens['limited']}", "--data-binary",
            f"@{tmp_path / 'report.xml'}", f"{served.http}/api/v1/reports?domain={ONE}&name=report.xml",
        ],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert served.send(served.rua[TWO], mail(("report.xml", aggregate(TWO, "by-smtp", count=5))))[0][0] == 250
    served.settle()
    status, upload = ask(served, tokens["limited"], "GET", told["status_url"])
    assert (status, upload["state"], len(upload["reports"])) == (200, "read", 1)
    assert (served.total(ONE), served.total(TWO)) == (6, 10)


def test_a_token_of_one_domain_is_that_on_every_api(served: System, tokens: dict[str, str]) -> None:
    """SQL, GraphQL and REST count its domain only; the other's zone is not there."""
    limited, account = tokens["limited"], served.account_id
    sql = f"/client/v4/accounts/{account}/analytics_engine/sql"
    count = b"SELECT toUInt32(sum(count)) AS n FROM dmarc_reports"
    assert ask(served, tokens["admin"], "POST", sql, count)[1]["data"] == [{"n": 16}]
    assert ask(served, limited, "POST", sql, count)[1]["data"] == [{"n": 6}]
    query = (
        "query Q($zone: String!) { viewer { zones(filter: {zoneTag: $zone}) { dmarcReportsSourcesAdaptiveGroups("
        'limit: 10, filter: {date_geq: "2026-11-01"}) { sum { totalMatchingMessages } } } } }'
    )
    ids = {d["name"]: d["id"] for d in ask(served, tokens["admin"], "GET", "/api/v1/domains")[1]["items"]}
    mine = ask(served, limited, "POST", "/client/v4/graphql", {"query": query, "variables": {"zone": ids[ONE]}})[1]
    assert "totalMatchingMessages" in json.dumps(mine)
    other = ask(served, limited, "POST", "/client/v4/graphql", {"query": query, "variables": {"zone": ids[TWO]}})[1]
    assert "totalMatchingMessages" not in json.dumps(other)
    assert ask(served, limited, "GET", f"/api/v1/domains/{TWO}/figures")[0] == 404
    assert ask(served, limited, "GET", f"/client/v4/zones/{ids[TWO]}/email/security/dmarc-reports")[0] == 404
    lines = ask(served, limited, "GET", "/api/v1/exports/records?format=jsonl")[1].splitlines()
    assert {json.loads(line)["domain_id"] for line in lines} == {ids[ONE]}


def test_a_disabled_zone_refuses_mail_and_loses_nothing(served: System, tokens: dict[str, str]) -> None:
    """PATCH as the original's clients send it: 550 at RCPT while off, 250 again when on, over a restart too."""
    zone = ask(served, tokens["admin"], "GET", f"/api/v1/domains/{TWO}")[1]["id"]
    path = f"/client/v4/zones/{zone}/email/security/dmarc-reports"
    before = served.total(TWO)
    off = ask(served, tokens["admin"], "PATCH", path, {"enabled": False})
    assert (off[0], off[1]["success"], off[1]["result"]["enabled"]) == (200, True, False)
    assert served.send(served.rua[TWO], mail(("report.xml", aggregate(TWO, "off"))))[0][0] == 550
    assert served.stop() == 0
    served.start()
    assert served.send(served.rua[TWO], mail(("report.xml", aggregate(TWO, "off"))))[0][0] == 550
    assert served.total(TWO) == before
    assert ask(served, tokens["admin"], "PATCH", path, {"enabled": True})[1]["result"]["rua"] == served.rua[TWO]
    assert served.send(served.rua[TWO], mail(("report.xml", aggregate(TWO, "on", count=1))))[0][0] == 250
    served.settle()
    assert served.total(TWO) == before + 2


def test_an_import_goes_through_the_running_system(served: System, tmp_path: Path) -> None:
    """The command waits until the server has read everything; what came by mail before is a duplicate."""
    (tmp_path / "a.xml").write_bytes(aggregate(ONE, "imported", count=4))
    (tmp_path / "b.eml").write_bytes(mail(("report.xml", aggregate(TWO, "by-smtp", count=5))))
    before = served.total()
    told = served.json("import", str(tmp_path))
    assert told["reports"] == {"new": 1, "duplicate": 1, "foreign": 0}
    assert (told["files"], told["mails"], told["known"], told["left"], told["problems"]) == (2, 2, 0, [], [])
    assert served.total() == before + 8
    again = served.json("import", str(tmp_path))
    assert (again["known"], again["reports"]["new"]) == (2, 0)
    assert served.total() == before + 8


def test_every_change_is_in_the_log_and_no_secret(served: System, tokens: dict[str, str]) -> None:
    """Commands, tokens and their addresses; a revoked token ends at once, the log tells by whom."""
    made = ask(served, tokens["admin"], "POST", "/api/v1/tokens", {"name": "short"})[1]
    assert ask(served, made["token"], "GET", "/api/v1/domains")[0] == 200
    assert served.cli("token", "revoke", made["info"]["id"]).returncode == 0
    assert ask(served, made["token"], "GET", "/api/v1/domains")[0] == 401
    entries = ask(served, tokens["admin"], "GET", "/api/v1/audit?limit=1000")[1]["items"]
    seen = [(entry["actor"], entry["action"]) for entry in entries]
    assert seen[:2] == [("command", "token.revoke"), ("token", "token.create")]
    assert entries[1]["peer"] == "127.0.0.1"
    assert {("token", "domain.disable"), ("token", "domain.enable"), ("token", "report.upload")} <= set(seen)
    assert ("command", "report.import") in seen
    log = served.log.read_text() + served.output.read_text() + json.dumps(entries)
    for secret in (*tokens.values(), made["token"]):
        assert secret not in log


def test_the_commands_of_the_page_work(served: System, tokens: dict[str, str], tmp_path: Path) -> None:
    """Every curl line of docs/api.md, run as it stands in a shell, is answered with success."""
    served.add_domains("example.com")
    (tmp_path / "report.xml.gz").write_bytes(gzip.compress(aggregate("example.com", "page")))
    (tmp_path / "mail.eml").write_bytes(mail(("r.xml", aggregate("example.com", "page"))))
    zone = ask(served, tokens["admin"], "GET", "/api/v1/domains/example.com")[1]["id"]
    environment = {"PATH": "/usr/bin:/bin", "URL": served.http, "TOKEN": tokens["admin"], "ZONE": zone}
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    lines = [line.strip() for line in page.splitlines() if line.startswith("    curl ")]
    assert len(lines) >= 10
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", line.replace("curl ", "curl --fail-with-body ", 1)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert (tmp_path / "records.csv").read_text().startswith('"domain_id",')
    assert (tmp_path / "records.parquet").read_bytes().startswith(b"PAR1")
