"""`dmarcworks senders` as a person and as a program run it: output, order, exit status, and the settings that count."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dmarcworks.enrich.senders.load import catalogue, sender_index

COMMAND = [sys.executable, "-c", "from dmarcworks.cli import main; main()", "senders"]
SENDGRID = sender_index().dkim.find("sendgrid.net")
assert SENDGRID is not None


def run(*arguments: str, stdin: bytes = b"", **settings: str) -> subprocess.CompletedProcess[str]:
    """In a directory without data; the commands may not create any."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DMARCWORKS_")}
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        env={**environment, "DMARCWORKS_HOME": "/nonexistent", **settings},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def answer(*arguments: str, **settings: str) -> dict[str, Any]:
    done = run("identify", *arguments, "--json", **settings)
    assert (done.stderr, done.returncode) == ("", 0)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_evidence_names_a_service_with_reasons() -> None:
    """The five keys, and nothing else."""
    host = ("--ptr", "o1.ptr.example.sendgrid.net", "--ptr-confirmed")
    assert answer("--dkim", "sendgrid.net/s1", "--dkim", "example.com/s1", *host) == {
        "sender": SENDGRID.name,
        "kind": SENDGRID.kind,
        "confidence": 0.94,
        "claimed": False,
        "because": ["DKIM d=sendgrid.net passed", "PTR o1.ptr.example.sendgrid.net is confirmed"],
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("--dkim", "amazonses.com.attacker.example"),
        ("--dkim", "notsendgrid.net/s1"),
        ("--dkim", "sendgrid.net/s1=fail"),
        ("--dkim", ""),
        ("--spf", "sendgrid.net=softfail"),
        ("--spf", "sendgrid.net.example"),
        ("--ptr", "o1.ptr.example.sendgrid.net"),
        ("--ptr", "203-0-113-5.dynamic.isp.example", "--ptr-confirmed", "--ip", "203.0.113.5"),
        ("--header-from", "sendgrid.net"),
    ],
)
def test_an_unknown_sender_is_null_and_no_error(arguments: tuple[str, ...]) -> None:
    document = answer(*arguments)
    assert document.pop("because")
    assert document == {"sender": None, "kind": None, "confidence": 0.0, "claimed": False}


def test_people_read_sentences() -> None:
    done = run("identify", "--spf", "bounce.sendgrid.net.", "--ip", "192.0.2.1")
    assert (done.stdout, done.stderr, done.returncode) == (
        f"{SENDGRID.name} ({SENDGRID.kind}), confidence 0.80\n"
        "  SPF of envelope domain bounce.sendgrid.net passed\n"
        f"  set-up: {SENDGRID.setup}\n",
        "",
        0,
    )
    done = run("identify", "--dkim", "exa\x1bmple.com", "--ip", "192.0.2.1")
    assert (done.stdout, done.returncode) == (
        "unknown\n"
        "  DKIM d=exa?mple.com is not a domain name\n"
        "  address 192.0.2.1 is in no block that a known service publishes\n",
        0,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["identify"], "there is no evidence; give --dkim, --spf, --ptr with --ptr-confirmed, or --ip"),
        (["identify", "--json"], "there is no evidence; give --dkim, --spf, --ptr with --ptr-confirmed, or --ip"),
        (["identify", "--ip", "192.0.2.300"], "--ip 192.0.2.300 is not an IP address"),
        (
            ["identify", "--dkim", "a.example", "--ptr-confirmed"],
            "--ptr-confirmed needs --ptr; give both",
        ),
        (
            ["identify", "--jsonl", "--ip", "192.0.2.1"],
            "--jsonl reads the evidence from standard input; remove the other options",
        ),
    ],
)
def test_wrong_usage_ends_with_2_and_a_sentence(arguments: list[str], sentence: str) -> None:
    done = run(*arguments)
    assert (done.stdout, done.stderr, done.returncode) == ("", f"dmarcworks: {sentence}\n", 2)


@pytest.mark.parametrize("arguments", [[], ["identify", "--asn", "1"], ["nothing"], ["catalogue", "--kind", "spam"]])
def test_an_unknown_option_or_command_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_lines_are_answered_in_their_order() -> None:
    """Every kind of evidence; keys that are no evidence, such as what a table expects, are ignored."""
    lines = [
        {"dkim": [{"domain": "sendgrid.net", "selector": "s1", "result": "pass"}], "expected": "x"},
        {"dkim": [{"domain": "SendGrid.net."}]},
        {"dkim": [{"domain": "sendgrid.net", "result": "fail"}, {"domain": None}]},
        {"dkim": None, "spf": {"domain": "u1.sendgrid.net"}, "ip": None},
        {"spf": {"domain": "sendgrid.net", "result": None}},
        {"ptr": "o1.sendgrid.net", "ptr_confirmed": True, "asn": 11377, "header_from": "example.com"},
        {"ptr": "o1.sendgrid.net", "ptr_confirmed": False, "asn": "AS11377"},
        {"ip": "not an address", "ptr": "\ud800\u202e"},
        {},
    ]
    stdin = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n\n"
    done = run("identify", "--jsonl", "--json", stdin=stdin)
    assert (done.stderr, done.returncode) == ("", 0)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    name = SENDGRID.name
    assert [line["sender"] for line in answers] == [name, name, None, name, None, name, None, None, None]
    assert all(list(line) == ["sender", "kind", "confidence", "claimed", "because"] for line in answers)
    assert answers[6]["because"] == [
        "PTR o1.sendgrid.net is not confirmed and names nobody",
        "AS 11377 alone names nobody: many senders share a network",
    ]
    assert answers[7]["because"] == ["PTR ?? is not a host name", "not an address is not an IP address"]


def test_a_line_that_is_not_evidence_keeps_its_place() -> None:
    """It is answered as unknown with its number, on standard error too; the others count; exit status 2."""
    bad = [
        (b"nonsense", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"dkim": "sendgrid.net"}', 'has a "dkim" that is not a list of objects'),
        (b'{"dkim": ["sendgrid.net"]}', 'has a "dkim" that is not a list of objects'),
        (b'{"dkim": [{"domain": 1}]}', 'has a "domain" that is not text'),
        (b'{"spf": []}', 'has a "spf" that is not an object'),
        (b'{"ptr_confirmed": "yes"}', 'has a "ptr_confirmed" that is not true or false'),
        (b'{"asn": -1}', 'has an "asn" that is not a number of an autonomous system'),
        (b'{"asn": true}', 'has an "asn" that is not a number of an autonomous system'),
        (b'{"ip": "\xff"}', "is not JSON"),
        (b'{"asn": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"ptr": "' + b"x" * 1024 * 1024 + b'"}', "is longer than 1,048,576 bytes"),
    ]
    good = b'{"dkim": [{"domain": "sendgrid.net"}]}'
    done = run("identify", "--jsonl", stdin=b"".join(line + b"\n" for line, _ in bad) + good)
    sentences = [f"line {number} {sentence}" for number, (_, sentence) in enumerate(bad, 1)]
    assert done.stderr.splitlines() == [f"dmarcworks: {sentence}" for sentence in sentences]
    assert done.returncode == 2
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["because"][0] for line in answers] == [*sentences, "DKIM d=sendgrid.net passed"]
    assert [line["sender"] for line in answers] == [None] * len(bad) + [SENDGRID.name]


def test_a_program_gets_each_answer_at_once() -> None:
    """The answer to a line comes before the next line is written."""
    process = subprocess.Popen([*COMMAND, "identify", "--jsonl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(3):
        process.stdin.write(b'{"dkim": [{"domain": "sendgrid.net"}]}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["sender"] == SENDGRID.name
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    process.stdout.close()


def test_the_file_of_base_domains_counts_least(tmp_path: Path) -> None:
    """It names a confirmed PTR that nothing else names; rows that cannot be used are reported."""
    path = tmp_path / "base.csv"
    path.write_text("base,name,type\nisp.example.com,Little ISP,ISP\nsendgrid.net,Wrong,SaaS\n")
    setting = {"DMARCWORKS_SENDER_FILE": str(path)}
    assert answer("--ptr", "mx.isp.example.com", "--ptr-confirmed", **setting) == {
        "sender": "Little ISP",
        "kind": "isp",
        "confidence": 0.4,
        "claimed": False,
        "because": ["PTR mx.isp.example.com is confirmed, and named by the file of base domains"],
    }
    assert answer("--ptr", "mx.isp.example.com", **setting)["sender"] is None
    assert answer("--ptr", "o1.sendgrid.net", "--ptr-confirmed", **setting)["sender"] == SENDGRID.name
    path.write_text("isp.example.com,Little ISP,ISP\nco.uk,Everything,ISP\n")
    done = run("identify", "--ptr", "mx.isp.example.com", "--ptr-confirmed", **setting)
    assert done.stdout.splitlines()[0] == "Little ISP (ISP), confidence 0.40"
    assert done.stderr == (
        f"dmarcworks: {path}: 1 row left out; line 2: co.uk is a public suffix, under which anybody can have a name\n"
    )


def test_a_file_of_base_domains_that_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    done = run("identify", "--dkim", "a.example", DMARCWORKS_SENDER_FILE=str(tmp_path / "absent"))
    assert (done.stdout, done.returncode) == ("", 2)
    assert done.stderr == (f"dmarcworks: the sender file {tmp_path}/absent cannot be read: No such file or directory\n")


def test_the_catalogue_is_listed() -> None:
    """As a table, by kind, and as JSON with everything that an entry has."""
    lines = run("catalogue").stdout.splitlines()
    assert lines[0].split() == ["name", "kind", "home", "page"]
    services = json.loads(run("catalogue", "--json").stdout)
    assert [service["name"] for service in services] == [service.name for service in catalogue()]
    listed = next(service for service in services if service["name"] == SENDGRID.name)
    assert listed == {
        "name": SENDGRID.name,
        "kind": SENDGRID.kind.value,
        "home": SENDGRID.home,
        "setup": SENDGRID.setup,
        "fix": SENDGRID.fix,
        "infrastructure": SENDGRID.infrastructure,
        "dkim": [*SENDGRID.dkim],
        "selectors": [*SENDGRID.selectors],
        "envelope": [*SENDGRID.envelope],
        "spf": [*SENDGRID.spf],
        "ptr": [*SENDGRID.ptr],
        "blocks": [*map(str, SENDGRID.blocks)],
    }
    chosen = json.loads(run("catalogue", "--kind", SENDGRID.kind, "--json").stdout)
    assert chosen == [service for service in services if service["kind"] == SENDGRID.kind]
