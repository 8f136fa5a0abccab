"""The table of evidence with the expected sender (`evidence.jsonl`), and facts about the catalogue as a whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.enrich.senders.evidence import evidence_of
from dmarcworks.enrich.senders.identify import SenderIdentifier
from dmarcworks.enrich.senders.load import catalogue

TABLE = [json.loads(line) for line in Path(__file__).with_name("evidence.jsonl").read_text().splitlines()]
# Evidence that resembles a service's, or is a service's but did not pass, and must name nobody.
NOBODY = [json.loads(line) for line in Path(__file__).with_name("look_alikes.jsonl").read_text().splitlines()]
LOOK_ALIKES = [
    {"dkim": [{"domain": "{}.attacker.example"}]},
    {"dkim": [{"domain": "not{}"}]},
    {"dkim": [{"domain": "x-{}"}]},
    {"dkim": [{"domain": "{}", "result": "fail"}]},
    {"dkim": [{"domain": "{}..", "result": "pass"}]},
    {"spf": {"domain": "{}.attacker.example"}},
    {"spf": {"domain": "not{}"}},
    {"spf": {"domain": "{}", "result": "softfail"}},
    {"ptr": "host.{}", "ptr_confirmed": False},
    {"ptr": "{}.attacker.example", "ptr_confirmed": True},
    {"ptr": "not{}", "ptr_confirmed": True},
    {"header_from": "{}"},
]


@pytest.fixture(scope="module")
def identifier() -> SenderIdentifier:
    return SenderIdentifier()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: json.dumps(row)[:120])
def test_a_row_of_evidence_has_the_expected_sender(identifier: SenderIdentifier, row: dict[str, Any]) -> None:
    assert identifier.identify(evidence_of(row)).sender == row["expected"]


@pytest.mark.parametrize("row", NOBODY, ids=lambda row: json.dumps(row)[:120])
def test_a_look_alike_has_no_name(identifier: SenderIdentifier, row: dict[str, Any]) -> None:
    answer = identifier.identify(evidence_of(row))
    assert (answer.sender, answer.kind, answer.confidence, answer.claimed) == (None, None, 0.0, False)
    assert answer.because


@pytest.mark.parametrize("form", LOOK_ALIKES, ids=json.dumps)
def test_no_look_alike_of_any_service_has_a_name(identifier: SenderIdentifier, form: dict[str, Any]) -> None:
    """Each domain of the catalogue without a parent in it, in each form that must not match."""
    domains = {name for service in catalogue() for name in (*service.dkim, *service.envelope, *service.ptr)}
    for domain in sorted(domains):
        if any(domain.endswith("." + parent) for parent in domains):
            continue
        evidence = evidence_of(json.loads(json.dumps(form).replace("{}", domain)))
        assert identifier.identify_afresh(evidence).sender is None, evidence


def test_every_service_can_be_identified(identifier: SenderIdentifier) -> None:
    """By one piece of its own evidence, each service is the answer; a selector's name is claimed."""
    for service in catalogue():
        forms: list[dict[str, Any]] = [{"dkim": [{"domain": f"a.{name}"}]} for name in service.dkim]
        forms += [{"spf": {"domain": f"a.{name}"}} for name in service.envelope]
        forms += [{"ptr": f"a.{name}", "ptr_confirmed": True} for name in service.ptr]
        forms += [{"ip": str(block[0])} for block in service.blocks]
        for form in forms:
            answer = identifier.identify_afresh(evidence_of(form))
            assert (answer.sender, answer.kind, answer.claimed) == (service.name, service.kind, False), form
        for pattern in service.selectors:
            signature = {"domain": "shop.example", "selector": pattern.replace("*", "7")}
            answer = identifier.identify_afresh(evidence_of({"dkim": [signature], "header_from": "shop.example"}))
            assert (answer.sender, answer.claimed) == (service.name, True), signature


def test_the_catalogue_is_large_enough() -> None:
    """At least 300 services; every kind has one."""
    services = catalogue()
    assert len(services) >= 300
    assert len({service.kind for service in services}) == 22
