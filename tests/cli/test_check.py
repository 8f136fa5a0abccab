"""`dmarcworks check` as a person and as a program run it: output, order, exit status; without settings or a store."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.dns_cases import all_records
from tests.support.dns_server import dns_server

COMMAND = [sys.executable, "-c", "from dmarcworks.cli import main; main()", "check"]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    hostile = "v=DMARC1; p=reject; rua=mailto:d@good.example; \x1b[31mred\x07=1"
    pieces = "".join(f"\\{octet:03d}" if octet < 32 else chr(octet) for octet in hostile.encode())
    records = {**all_records(), ("_dmarc.hostile.example", "TXT"): [f'"{pieces}"']}
    records["tree.example", "TXT"] = ['"v=spf1 include:sendgrid.net include:gone.tree.example -all"']
    records["sendgrid.net", "TXT"] = ['"v=spf1 a:mx.tree.example ~all"']
    records["mx.tree.example", "A"] = ["192.0.2.10"]
    records["_dmarc.tree.example", "TXT"] = ['"v=DMARC1; p=reject; t=y; rua=mailto:d@tree.example"']
    records["_dmarc.xn--bcher-kva.example", "TXT"] = ['"v=DMARC1; p=none; rua=mailto:d@xn--bcher-kva.example"']
    with dns_server(records) as port:
        yield f"127.0.0.1:{port}"


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """In a directory without data; the command may not create any."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DMARCWORKS_")}
    environment |= {"DMARCWORKS_HOME": "/nonexistent", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [*COMMAND, *arguments], input=stdin, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def document(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.stderr == ""
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_json_has_the_documented_keys(server: str) -> None:
    """All of them, and the policy that applies."""
    answer = document("good.example", "--resolver", server)
    assert list(answer) == ["domain", "findings", "effective", "spf"]
    keys = {"check", "code", "severity", "message", "record", "fix", "reference"}
    assert all(set(finding) == keys for finding in answer["findings"])
    assert answer["effective"] == {
        "record_domain": "good.example",
        "organizational_domain": "good.example",
        "policy": "reject",
        "tag": "p",
        "adkim": "r",
        "aspf": "r",
        "testing": False,
    }
    assert list(answer["spf"]) == ["record", "lookups", "void_lookups"]


def test_without_a_policy_everything_is_null(server: str) -> None:
    """Every key is there."""
    answer = document("missing.example", "--resolver", server)
    assert set(answer["effective"].values()) == {None}
    assert len(answer["effective"]) == 7


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["p-typo.example"], 1),
        (["silent.example"], 3),
        ([], 2),
        (["not a domain"], 2),
        (["-x.example", "--"], 2),
        (["good.example", "--resolver", "nonsense:port"], 2),
        (["good.example", "--mail-from", "a@b.example"], 2),
        (["good.example", "--spf-ip", "1.2.3"], 2),
        (["good.example", "--jsonl"], 2),
    ],
)
def test_the_exit_status(server: str, arguments: list[str], status: int) -> None:
    """1 an error was found, 2 wrong usage with a sentence, 3 no answer."""
    named = [] if "--resolver" in arguments or "--" in arguments else ["--resolver", server]
    done = run(*arguments, *named)
    assert done.returncode == status, done.stdout + done.stderr
    if status == 2:
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


def test_a_name_server_that_is_not_there_is_no_answer() -> None:
    """Exit status 3, and an object all the same."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    done = run("good.example", "--resolver", f"127.0.0.1:{port}", "--json")
    assert done.returncode == 3
    assert {finding["code"] for finding in json.loads(done.stdout)["findings"]} >= {"dmarc-no-answer", "mx-no-answer"}


def test_people_read_words_first_and_the_fix_below(server: str) -> None:
    """Grouped by check; the record of now and the one to publish; no colour in a pipe."""
    done = run("v-case.example", "--resolver", server)
    lines = done.stdout.split("\n")
    start = lines.index("DMARC: what receivers do with mail that is not yours")
    assert [line.strip() for line in lines[start + 1 : start + 5]] == [
        "✗ error    The version must be written DMARC1, in capitals. Receivers ignore dmarc1.",
        "now: v=dmarc1; p=reject; rua=mailto:d@v-case.example",
        "fix: v=DMARC1; p=reject; rua=mailto:d@v-case.example",
        "(dmarc-version-case, RFC 9989 section 4.7)",
    ]
    assert "\x1b" not in done.stdout


def test_people_see_the_policy_that_applies_the_tree_of_look_ups_and_an_evaluation(server: str) -> None:
    """With the sending service that a name belongs to, and what is wrong with a term."""
    done = run("tree.example", "--resolver", server, "--spf-ip", "192.0.2.10")
    lines = [line.strip() for line in done.stdout.split("\n")]
    assert "applies: p=reject, in test mode (t=y), from the record of tree.example" in lines
    start = lines.index("look-ups:")
    assert lines[start + 1 : start + 5] == [
        "├─ include:sendgrid.net  (2, SendGrid)",
        "│  └─ a:mx.tree.example  (1)",
        "└─ include:gone.tree.example  (1, gone.tree.example has no SPF record)",
        "evaluated: pass, by include:sendgrid.net",
    ]
    assert (
        lines[start + 5] == "tree.example has the record 'v=spf1 include:sendgrid.net include:gone.tree.example -all'."
    )


def test_an_internationalised_domain_is_accepted(server: str) -> None:
    """As people type it; the answer has the name that DNS has."""
    answer = document("Bücher.example", "--resolver", server)
    assert answer["domain"] == "xn--bcher-kva.example"
    assert answer["effective"]["policy"] == "none"


def test_spf_is_evaluated_for_a_client(server: str) -> None:
    """The sender is the domain by default; an empty one is a bounce, for which the HELO name decides."""
    named = ("good.example", "--resolver", server)
    spf = document(*named, "--spf-ip", "192.0.2.10")["spf"]
    assert (spf["record"], spf["lookups"], spf["void_lookups"]) == ("v=spf1 ip4:192.0.2.10 -all", 0, 0)
    assert (spf["result"], spf["mechanism"], spf["explanation"]) == ("pass", "ip4:192.0.2.10", None)
    assert spf["trace"]
    assert document(*named, "--spf-ip", "192.0.2.11")["spf"]["result"] == "fail"
    assert document(*named, "--spf-ip", "2001:db8::1", "--mail-from", "a@nothing.invalid")["spf"]["result"] == "none"
    bounce = ("--spf-ip", "192.0.2.10", "--mail-from", "", "--helo", "missing.example")
    assert document(*named, *bounce)["spf"]["result"] == "pass"
    lines = [
        {"domain": "good.example", "spf_ip": "192.0.2.10", "mail_from": "", "helo": "nothing.invalid"},
        {"domain": "good.example", "spf_ip": "192.0.2.10", "mail_from": "u@missing.example", "helo": "x"},
        {"domain": "good.example", "spf_ip": "192.0.2.10"},
    ]
    done = run("--jsonl", "--resolver", server, stdin="\n".join(json.dumps(line) for line in lines))
    assert [json.loads(line)["spf"]["result"] for line in done.stdout.splitlines()] == ["none", "pass", "pass"]


def test_control_characters_never_reach_the_terminal(server: str) -> None:
    """In JSON the text is whole, as escapes."""
    shown = run("hostile.example", "--resolver", server).stdout
    assert "\x1b" not in shown
    assert "\x07" not in shown
    done = run("hostile.example", "--resolver", server, "--json")
    assert "\x1b" not in done.stdout
    records = {finding["record"] for finding in json.loads(done.stdout)["findings"]}
    assert "v=DMARC1; p=reject; rua=mailto:d@good.example; \x1b[31mred\x07=1" in records


def test_many_domains_are_answered_in_order(server: str) -> None:
    """Also lines that are wrong; then the exit status is 2 and stderr names the line."""
    names = ["good.example", "missing.example", "monitoring.example", "p-typo.example"] * 10
    lines = [json.dumps({"domain": name}) for name in names]
    done = run("--jsonl", "--resolver", server, stdin="\n".join(lines) + "\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["domain"] for answer in answers] == names
    assert [answer["effective"]["policy"] for answer in answers] == ["reject", None, "none", "none"] * 10
    assert done.returncode == 1
    wrong = ['{"domain": "good.example"}', "nonsense", '{"domain": 5}', '{"domain": "a b"}', '{"selectors": []}']
    done = run("--jsonl", "--resolver", server, stdin="\n".join([*wrong, '{"domain":"\\ud800"}']))
    assert done.returncode == 2
    assert [json.loads(line).get("error") for line in done.stdout.splitlines()] == [
        None,
        "line 2 is not JSON",
        'line 3 has a "domain" that is not text of up to 1,000 characters',
        'line 4 has a "domain" that is not a domain name',
        'line 5 has no "domain"',
        'line 6 has a "domain" that is not a domain name',
    ]


def test_the_answer_comes_before_the_next_line_is_written(server: str) -> None:
    """A program may wait for each answer."""
    environment = {**os.environ, "DMARCWORKS_HOME": "/nonexistent"}
    with subprocess.Popen(
        [*COMMAND, "--jsonl", "--resolver", server],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name in ("good.example", "quarantine.example"):
            process.stdin.write(json.dumps({"domain": name, "selectors": ["s"]}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["domain"] == name
        process.stdin.close()
        assert process.wait(30) == 1


def test_records_are_built_without_a_store() -> None:
    """`domain record`: the record, and a sentence for each choice."""
    command = [*COMMAND[:-1], "domain", "record", "example.com"]
    environment = {**os.environ, "DMARCWORKS_HOME": "/nonexistent"}

    def built(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    done = built("--policy", "quarantine", "--rua", "r@example.net", "--json")
    assert (done.stderr, done.returncode) == ("", 0)
    assert [(one["name"], one["type"], one["value"]) for one in json.loads(done.stdout)] == [
        ("_dmarc.example.com", "TXT", "v=DMARC1; p=quarantine; rua=mailto:r@example.net")
    ]
    assert built("--parked").stdout.count("\n\n") == 3
    assert built("--parked", "--tls-rpt").returncode == 2
    assert built("--rua", "nobody").returncode == 2
