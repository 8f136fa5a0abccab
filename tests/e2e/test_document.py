"""Every route of the OpenAPI document, called with whatever its schema allows and with what it forbids: never a 500,
and each answer is of a status, a media type and a shape that the document names.

`DMARCWORKS_TEST_SCHEMA_EXAMPLES=1000` makes a longer run (the default takes well under a minute).
"""

from __future__ import annotations

import gzip
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.rest import aggregate
from tests.support.system import System, wait_for

EXAMPLES = int(os.environ.get("DMARCWORKS_TEST_SCHEMA_EXAMPLES", "5"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
# A run that revokes its own token or removes its domain would find nothing any more.
KEPT = {"revoke_token", "remove_domain", "remove_user"}


class Served:
    """A running system with things to find, and a token that may do everything."""

    def __init__(self, home: Path) -> None:
        rate = {"DMARCWORKS_API_REQUESTS_PER_MINUTE": "1000000", "DMARCWORKS_LOG_LEVEL": "error"}
        self.system = System(home, settings=rate)
        self.system.start()
        self.system.add_domain("one.example")
        self.token = self.system.json("token", "create", "--scope", "admin")["token"]
        upload = self.call(
            "POST", "/reports?domain=one.example&name=r.xml.gz", gzip.compress(aggregate("one.example", "r"))
        )
        self.call("POST", "/reports?domain=one.example", b"<feedback/>")
        assert self.system.send(self.system.rua["one.example"], b"Subject: x\r\n\r\nx") == [(250, "")]
        self.system.settle()
        wait_for(lambda: self.system.rows("SELECT id FROM activity"), "a line in the activity log")
        items = {
            name: self.call("GET", f"/{name}")["items"]
            for name in ("domains", "reports", "problems", "users", "tokens")
        }
        self.known: dict[str, list[Any]] = {
            "domain": ["one.example", items["domains"][0]["id"]],
            "address": [items["domains"][0]["rua"]],
            "report": [items["reports"][0]["id"]],
            "problem": [items["problems"][0]["id"]],
            "mail_id": [upload["mail_id"]],
            "user_id": [items["users"][0]["id"]],
            "token_id": [items["tokens"][0]["id"]],
            "account_id": [self.system.account_id],
            "line_id": [self.call("GET", "/activity")["activity"][0]["id"]],
        }

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.system.http}/api/v1{path}",
            data=body,
            method=method,
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("document") / "home")
    yield made
    if made.system.alive:
        made.system.stop()


def attack(served: Served, operation: Any, mode: GenerationMode, statuses: set[int]) -> None:
    """Some calls of one route; `statuses` gathers what it answered."""
    name = operation.definition.raw["operationId"]

    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES < 100,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: Any, there: bool) -> None:
        for parameter, values in served.known.items():
            if there and name not in KEPT and parameter in case.path_parameters:
                case.path_parameters[parameter] = values[0]
            if there and parameter in case.query:
                case.query[parameter] = values[0]
        answer = case.call(base_url=f"{served.system.http}/api/v1", headers={"Authorization": f"Bearer {served.token}"})
        case.validate_response(answer, checks=CHECKS)
        statuses.add(answer.status_code)

    call()


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
def test_no_request_breaks_a_route(served: Served, mode: GenerationMode) -> None:
    """With ids that are there and ids that are not, each route answers as the document says."""
    schema = schemathesis.openapi.from_url(f"{served.system.http}/api/v1/openapi.json")
    seen: dict[str, set[int]] = {}
    wrong: list[str] = []
    for found in schema.get_all_operations():
        operation = found.ok()
        statuses = seen.setdefault(operation.definition.raw["operationId"], set())
        try:
            attack(served, operation, mode, statuses)
        except (Exception, BaseExceptionGroup) as error:  # every route is called, then all is said
            wrong.append(f"{operation.label}: {error}")
    assert not wrong, "\n\n".join(wrong)
    assert len(seen) >= 30
    every = set().union(*seen.values())
    assert {404, 422} <= every, every
    if mode is GenerationMode.POSITIVE:
        assert {200, 202} <= every, every
    assert served.system.alive
