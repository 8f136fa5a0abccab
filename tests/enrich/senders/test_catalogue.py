"""The catalogue: its files are loaded strictly, its entries agree, and each finding of the lint has an example."""

# ruff: noqa: E501 - a case is one line
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dmarcworks.enrich.senders.index import SenderIndex
from dmarcworks.enrich.senders.lint import lint
from dmarcworks.enrich.senders.load import SenderCatalogueError, catalogue, sender_index, services_of, sources
from tests.support.senders import CATALOGUE, entry

ROOT = Path(__file__).parents[3]


def test_the_catalogue_has_no_finding() -> None:
    """What `make lint` runs, and what it prints."""
    assert lint(sources()) == []
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "senders.py"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_the_catalogue_is_loaded_once() -> None:
    assert catalogue() is catalogue()
    assert sender_index() is sender_index()
    assert [service.name for service in catalogue()] == sorted(sender_index().by_name, key=str.casefold)


def test_each_own_name_of_a_service_finds_it() -> None:
    """Every suffix, block and exact selector of the catalogue is found under its own service."""
    index = sender_index()
    for service in catalogue():
        assert [index.dkim.find(f"x.{name}") for name in service.dkim] == [service] * len(service.dkim)
        assert [index.envelope.find(f"x.{name}") for name in service.envelope] == [service] * len(service.envelope)
        assert [index.ptr.find(f"x.{name}") for name in service.ptr] == [service] * len(service.ptr)
        assert [index.blocks.find(block[0]) for block in service.blocks] == [service] * len(service.blocks)
        chosen = [pattern.replace("*", "7") for pattern in service.selectors]
        assert [index.selectors.find(selector) for selector in chosen] == [service] * len(chosen)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[sender", "f.toml is not TOML: "),
        ("[[service]]\n", "f.toml: service is unknown here; a file contains [[sender]] tables only"),
        ("sender = 3\n", "f.toml: sender is not a list of tables; write [[sender]]"),
        ("[sender]\nname = 'A'\n", "f.toml: sender is not a list of tables; write [[sender]]"),
        ("[[sender]]\n", "f.toml: entry 1: name is missing"),
        ("[[sender]]\nname = 3\n", "f.toml: entry 1: name is no text, or empty"),
        (entry("A", "crm", "a.example.com", 'dkim = ["a.example.com"]\ncolor = 1'), "f.toml: A: the key color is unknown"),
        (entry("A", "crn", "a.example.com", 'dkim = ["a.example.com"]'), "f.toml: A: kind is 'crn'; use one of mailbox_provider, "),
        (entry("A", "crm", "a.example.com", 'dkim = "a.example.com"'), "f.toml: A: dkim is not a list of texts"),
        (entry("A", "crm", "a.example.com", "dkim = [1]"), "f.toml: A: dkim is not a list of texts"),
        (entry("A", "crm", "a.example.com", 'dkim = ["a.example", "a.example"]'), "f.toml: A: dkim lists 'a.example' twice"),
        (entry("A", "crm", "a.example.com", 'dkim = ["A.example"]'), "f.toml: A: 'A.example' in dkim is not a domain name in lower case"),
        (entry("A", "crm", "a.example.com", 'ptr = ["a.example."]'), "f.toml: A: 'a.example.' in ptr is not a domain name in lower case"),
        (entry("A", "crm", "a.example.com", 'envelope = ["com"]'), "f.toml: A: 'com' in envelope is not a domain name in lower case"),
        (entry("A", "crm", "a.example.com", 'dkim = ["a.example"]\nspf = ["bücher.example"]'), "f.toml: A: 'bücher.example' in spf is not a domain name"),
        (entry("A", "crm", "a.example.com", 'selectors = ["a b"]'), "f.toml: A: 'a b' in selectors is not a selector in lower case"),
        (entry("A", "crm", "a.example.com", 'blocks = ["192.0.2.1/24"]'), "f.toml: A: '192.0.2.1/24' in blocks is not an address block: "),
        (entry("A", "crm", "a.example.com", 'spf = ["a.example"]'), "f.toml: A: nothing names it; give at least one of dkim, selectors, "),
        (entry("A", "crm", "a.example.com", 'infrastructure = 1\ndkim = ["a.example"]'), "f.toml: A: infrastructure is not true or false"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_an_error_with_file_and_entry(text: str, sentence: str) -> None:
    with pytest.raises(SenderCatalogueError) as refused:
        services_of(text, "f.toml")
    assert str(refused.value).startswith(sentence)


GOOD = entry(
    "Mid", "crm", "mid.example.com", 'dkim = ["mid.example.com"]\nselectors = ["midmail*"]\nblocks = ["8.8.0.0/16"]'
)


def test_the_small_catalogue_of_the_tests_has_no_finding() -> None:
    """An entry without a mistake gives none; it is what the mistakes below are made from."""
    assert lint([("g.toml", GOOD)]) == []
    assert len(SenderIndex(services_of(CATALOGUE, "t.toml")).by_name) == 7


@pytest.mark.parametrize(
    ("added", "sentence"),
    [
        (entry("Abc", "crm", "a.example", 'dkim = ["a.example"]'), "f.toml: Abc comes after Mid; entries are sorted by name"),
        (entry("MID", "crm", "a.example", 'dkim = ["a.example"]'), "f.toml: MID: the name mid is claimed by f.toml: Mid too"),
        (entry("N", "crm", "a.example", 'dkim = ["mid.example.com"]'), "f.toml: N: dkim mid.example.com is claimed by f.toml: Mid too"),
        (entry("N", "crm", "a.example", 'selectors = ["midmail*"]'), "f.toml: N: selectors midmail* is claimed by f.toml: Mid too"),
        (entry("N", "crm", "a.example", 'selectors = ["midmail7"]'), "f.toml: N: selector midmail7 is covered by midmail* of f.toml: Mid"),
        (entry("N", "crm", "a.example", 'selectors = ["s1"]'), "f.toml: N: selector s1 is not distinctive"),
        (entry("N", "crm", "a.example", 'selectors = ["google"]'), "f.toml: N: selector google is not distinctive"),
        (entry("N", "crm", "a.example", 'selectors = ["*"]'), "f.toml: N: selector * is not distinctive"),
        (entry("N", "crm", "a.example", 'selectors = ["mail-*"]'), "f.toml: N: selector mail-* is not distinctive"),
        (entry("N", "crm", "a.example", 'selectors = ["20230601"]'), "f.toml: N: selector 20230601 is not distinctive"),
        (entry("N", "crm", "a.example", 'selectors = ["ab*"]'), "f.toml: N: selector ab* is not distinctive"),
        (entry("N", "crm", "a.example", 'selectors = ["a*b*c*d"]'), "f.toml: N: selector a*b*c*d is not distinctive"),
        (entry("N", "crm", "a.example", 'ptr = ["amazonaws.com"]'), "f.toml: N: ptr amazonaws.com belongs to a shared hoster, whose customers have names below it"),
        (entry("N", "crm", "a.example", 'ptr = ["eu-1.compute.amazonaws.com"]'), "f.toml: N: ptr eu-1.compute.amazonaws.com belongs to a shared hoster, whose customers have names below it"),
        (entry("N", "crm", "a.example", 'ptr = ["ovh.net"]'), "f.toml: N: ptr ovh.net belongs to a shared hoster, whose customers have names below it"),
        (entry("N", "crm", "a.example", 'ptr = ["herokuapp.com"]'), "f.toml: N: ptr herokuapp.com is a public suffix"),
        (entry("N", "crm", "a.example", 'dkim = ["co.uk"]'), "f.toml: N: dkim co.uk is a public suffix"),
        (entry("N", "crm", "a.example", 'envelope = ["x.example", "a.x.example"]'), "f.toml: N: envelope a.x.example is covered by x.example"),
        (entry("N", "crm", "a.example", 'blocks = ["8.8.8.0/24"]'), "f.toml: N: block 8.8.8.0/24 overlaps 8.8.0.0/16 of f.toml: Mid"),
        (entry("N", "crm", "a.example", 'blocks = ["8.0.0.0/8"]'), "f.toml: Mid: block 8.8.0.0/16 overlaps 8.0.0.0/8 of f.toml: N"),
        (entry("N", "crm", "a.example", 'blocks = ["9.9.0.0/16", "9.9.9.0/24"]'), "f.toml: N: block 9.9.9.0/24 is covered by 9.9.0.0/16"),
        (entry("N", "crm", "a.example", 'blocks = ["10.0.0.0/16"]'), "f.toml: N: block 10.0.0.0/16 is too large, or not of the public internet"),
        (entry("N", "crm", "a.example", 'blocks = ["8.0.0.0/7"]'), "f.toml: N: block 8.0.0.0/7 is too large, or not of the public internet"),
        (entry("N", "crm", "localhost", 'dkim = ["a.example"]'), "f.toml: N: home 'https://localhost/' has no plain host name"),
        (entry("N", "crm", "u:p@a.example", 'dkim = ["a.example"]'), "f.toml: N: home 'https://u:p@a.example/' has no plain host name"),
        (entry("N", "crm", "a.example/a b", 'dkim = ["a.example"]'), "f.toml: N: home 'https://a.example/a b/' has blanks or characters that are not ASCII"),
        (entry("N", "crm", "a.example", 'dkim = ["a.example"]').replace("https", "http"), "f.toml: N: home 'http://a.example/' does not start with https://"),
        (entry("N", "crm", "[a.example", 'dkim = ["a.example"]'), "f.toml: N: home 'https://[a.example/' is not a URL: Invalid IPv6 URL"),
        (entry("N  x", "crm", "a.example", 'dkim = ["a.example"]'), "f.toml: N  x: its name has blanks at an end, several in a row, or characters that are not printable"),
        (entry("N", "crm", "a.example", 'dkim = ["a.example"]').replace("Publish the two records that the console of the service shows, then verify the domain there.", "Ask."), "f.toml: N: fix has 4 characters; write 2 to 5 sentences in 40 to 1,500"),
    ],
)  # fmt: skip
def test_the_lint_finds_it(added: str, sentence: str) -> None:
    """An entry with one mistake, after one without."""
    assert sentence in lint([("f.toml", GOOD + added)])


def test_the_lint_compares_all_files() -> None:
    again = entry("Other", "crm", "a.example", 'dkim = ["mid.example.com"]')
    assert lint([("a.toml", GOOD), ("b.toml", again)]) == [
        "b.toml: Other: dkim mid.example.com is claimed by a.toml: Mid too"
    ]
