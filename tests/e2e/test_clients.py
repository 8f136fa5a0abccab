"""Other people's clients against the running system: Cloudflare's SDKs, GraphQL clients, a generated OpenAPI client."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudflare
import pytest
from gql import Client, GraphQLRequest
from gql.transport.httpx import HTTPXTransport

from tests.support.mails import document, report_mail
from tests.support.system import System, skip, wait_for

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / "node_modules"
SOURCES = "dmarcReportsSourcesAdaptiveGroups"
RULES = [f"a{n:02}@example.com" for n in range(23)]


@pytest.fixture(scope="module")
def busy(system: System) -> System:
    """23 rules, of which two are off, two destinations, one verified, and a report."""
    system.zone = system.add_domain("example.com")["domain_id"]  # type: ignore[attr-defined]
    system.writer = system.json("token", "create", "--scope", "write")["token"]  # type: ignore[attr-defined]
    client = sdk(system)
    for n, address in enumerate(RULES):
        client.email_routing.rules.create(
            zone_id=system.zone,  # type: ignore[attr-defined]
            matchers=[{"type": "literal", "field": "to", "value": address}],
            actions=[{"type": "drop"}],
            enabled=n > 1,
        )
    system.json("route", "destination", "add", "in@corp.example", "--trust")
    system.json("route", "destination", "add", "out@corp.example")
    system.send(system.rua["example.com"], report_mail())
    wait_for(lambda: total(gql_client(system), system) > 0, "the report is counted")
    return system


def sdk(system: System) -> cloudflare.Cloudflare:
    return cloudflare.Cloudflare(
        api_token=system.writer,  # type: ignore[attr-defined]
        base_url=f"{system.http}/client/v4",
        max_retries=0,
    )


def node(script: str, *arguments: str, given: Any = None) -> Any:
    """A script in tests/clients with the packages of `npm ci`; its JSON."""
    found = shutil.which("node")
    if found is None or not (NODE_MODULES / "cloudflare").is_dir():
        skip("no node, or no node_modules: run `make dev`")
    command = [str(found), str(ROOT / "tests" / "clients" / script), *arguments]
    text = None if given is None else json.dumps(given)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def gql_client(system: System) -> Client:
    headers = {"Authorization": f"Bearer {system.token}"}
    return Client(transport=HTTPXTransport(f"{system.http}/client/v4/graphql", headers=headers))


def example_queries(system: System) -> list[dict[str, Any]]:
    """The examples of docs/graphql.md with values for their variables."""
    known = {
        "zone": system.zone,  # type: ignore[attr-defined]
        "account": system.account_id,
        "since": "2020-01-01",
        "when": "2020-01-01T00:00:00Z",
    }
    examples = re.findall(r"```graphql\n(.*?)```", (ROOT / "docs" / "graphql.md").read_text(), re.DOTALL)
    return [
        {"query": example, "variables": {name: known[name] for name in re.findall(r"\$(\w+):", example)}}
        for example in examples
    ]


def messages(data: Any) -> int:
    return sum(group["sum"]["totalMatchingMessages"] for group in data["viewer"]["zones"][0][SOURCES])


def total(client: Client, system: System) -> int:
    query = example_queries(system)[0]
    return messages(client.execute(GraphQLRequest(query["query"], variable_values=query["variables"])))


def test_cloudflares_python_sdk(busy: System) -> None:
    """Lists end and have everything once; filters filter; an error has its code and message."""
    client, zone = sdk(busy), busy.zone  # type: ignore[attr-defined]
    verified = client.user.tokens.verify()
    assert verified is not None
    assert verified.status == "active"
    assert [one.name for one in client.accounts.list()] == ["default"]
    assert [one.name for one in client.zones.list()] == ["example.com"]
    found = client.zones.get(zone_id=zone)
    assert found is not None
    assert (found.id, found.name, found.account.id) == (zone, "example.com", busy.account_id)
    rules = client.email_routing.rules
    for options in ({}, {"per_page": 5}):
        listed = [one.matchers[0].value for one in rules.list(zone_id=zone, **options) if one.matchers]
        assert listed == RULES, options
    assert len(list(rules.list(zone_id=zone, enabled=True))) == 21
    assert len(list(rules.list(zone_id=zone, enabled=False))) == 2
    addresses = client.email_routing.addresses
    assert [one.email for one in addresses.list(account_id=busy.account_id)] == ["in@corp.example", "out@corp.example"]
    assert [one.email for one in addresses.list(account_id=busy.account_id, verified=True)] == ["in@corp.example"]
    with pytest.raises(cloudflare.NotFoundError) as refused:
        client.zones.get(zone_id="0" * 32)
    assert [(one.code, one.message) for one in refused.value.errors] == [(1003, "there is no such zone")]


def test_cloudflares_node_sdk(busy: System) -> None:
    zone, writer = busy.zone, busy.writer  # type: ignore[attr-defined]
    assert node("cloudflare.mjs", busy.http, writer, busy.account_id, zone) == {
        "verify": "active",
        "accounts": ["default"],
        "account": "default",
        "zones": ["example.com"],
        "zone": "example.com",
        "rules": RULES,
        "enabled": 21,
        "addresses": ["in@corp.example", "out@corp.example"],
        "verified": ["in@corp.example"],
        "settings": True,
        "failed": [404, [{"code": 1003, "message": "there is no such zone"}]],
    }


def test_graphql_clients(busy: System) -> None:
    """graphql-js finds nothing wrong with the docs' examples; three clients read the same figures as gql."""
    queries = example_queries(busy)
    assert len(queries) == 3
    counted = total(gql_client(busy), busy)
    url = f"{busy.http}/client/v4/graphql"
    found = node("graphql.mjs", given={"url": url, "token": busy.token, "queries": queries})
    assert found["invalid"] == []
    assert (messages(found["request"]), messages(found["apollo"])) == (counted, counted)
    assert found["code"] == ["export type SourcesQuery ", "export type AccountQuery ", "export type FilteredQuery "]
    assert found["wrong"].startswith("unknown field")
    assert found["apolloWrong"].startswith("unknown field")


def test_gql_validates_with_the_schema(busy: System) -> None:
    """gql fetches the schema by introspection and checks the query before it sends it."""
    headers = {"Authorization": f"Bearer {busy.token}"}
    transport = HTTPXTransport(f"{busy.http}/client/v4/graphql", headers=headers)
    with Client(transport=transport, fetch_schema_from_transport=True) as session:
        for query in example_queries(busy):
            assert session.execute(GraphQLRequest(query["query"], variable_values=query["variables"]))["viewer"]


def test_routing_that_a_client_disabled_is_shown_by_commands(busy: System) -> None:
    """`email_routing.disable` by the SDK: `route list` says so, `route domain enable` enables it again."""
    client, zone = sdk(busy), busy.zone  # type: ignore[attr-defined]
    with pytest.deprecated_call():  # by the SDK, not by the platform
        off = client.email_routing.disable(zone_id=zone)
    assert off is not None
    assert off.enabled is False
    listed = busy.cli("route", "list").stdout
    assert "has no effect: routing is disabled for example.com." in listed
    enable = "dmarcworks route domain enable example.com"
    assert f"Routing is disabled for example.com. To enable it: `{enable}`." in listed
    assert busy.json("route", "domain", "list") == [{"domain": "example.com", "enabled": False}]
    done = busy.cli("route", "domain", "enable", "example.com")
    assert done.stdout == "routing is enabled for example.com\n"
    settings = client.email_routing.get(zone_id=zone)
    assert settings is not None
    assert settings.enabled is True
    assert settings.created is not None
    assert settings.modified is not None
    assert settings.created <= settings.modified
    assert "disabled for" not in busy.cli("route", "list").stdout
    assert busy.cli("route", "domain", "disable", "nowhere.example").returncode != 0


def test_linters_and_a_generator_take_the_openapi_document(busy: System, tmp_path: Path) -> None:
    """Redocly and Spectral have nothing to say; openapi-typescript knows every operation."""
    document = json.loads(busy.get("/api/v1/openapi.json")[1])
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    found = node("openapi_check.mjs", str(file))
    assert (found["redocly"], found["spectral"]) == ([], [])
    named = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    assert sorted(found["operations"]) == sorted(named)


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with openapi-python-client: it needs another typer than we do."""
    folder = tmp_path_factory.mktemp("generator") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
    command = [
        folder / "bin" / "pip",
        "install",
        "-q",
        "--no-deps",
        "-r",
        ROOT / "tests" / "clients" / "generator.lock",
    ]
    if subprocess.run(command, check=False, timeout=600, capture_output=True).returncode != 0:
        skip("openapi-python-client cannot be installed: no package index")
    return folder / "bin"


def test_a_generated_python_client_uploads_lists_and_exports(busy: System, generator: Path, tmp_path: Path) -> None:
    """openapi-python-client takes every operation without a warning, and its client works."""
    document_ = json.loads(busy.get("/api/v1/openapi.json")[1])
    (tmp_path / "openapi.json").write_text(json.dumps(document_))
    (tmp_path / "report.xml").write_bytes(document("generated"))
    (tmp_path / "mail.eml").write_bytes(report_mail("generated mail"))
    environment = {"PATH": f"{generator}:/usr/bin:/bin", "LANG": "C.UTF-8"}
    run: dict[str, Any] = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "timeout": 300}
    options = ["--path", "openapi.json", "--output-path", "generated", "--meta", "none"]
    done = subprocess.run([generator / "openapi-python-client", "generate", *options], check=False, **run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr, done.stdout + done.stderr
    modules = {path.stem for path in (tmp_path / "generated" / "api").glob("*/*.py")} - {"__init__"}
    named = {operation["operationId"] for path in document_["paths"].values() for operation in path.values()}
    assert modules == named
    files = [str(tmp_path / name) for name in ("report.xml", "mail.eml")]
    arguments = [str(tmp_path), busy.http, busy.writer, "example.com", *files]  # type: ignore[attr-defined]
    script = ROOT / "tests" / "support" / "generated_client.py"
    done = subprocess.run([generator / "python", script, *arguments], check=False, **run)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    rows = int(busy.sql("SELECT count() AS n FROM dmarc_reports")[0]["n"])
    assert found == {
        "uploads": [["read", 1, 0], ["read", 1, 0]],
        "domains": ["example.com"],
        "reports": ["1", "generated", "generated mail"],
        "csv": True,
        "lines": [rows + 1, rows],
        "parquet": "PAR1",
    }
