"""Every code block of README and docs is tried: its commands run in a shell as printed, or another test has it.

What a reader replaces is replaced (`ID`, `PATH…`, a path below /etc), and nothing else. A block that is neither run
here nor named in `ELSEWHERE` fails, so that a new one cannot be forgotten.
"""

from __future__ import annotations

import gzip
import mailbox
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.code_blocks import PAGES, ROOT, Block, blocks
from tests.support.dns_server import dns_server
from tests.support.dovecot import PASSWORD, Dovecot
from tests.support.mails import DAY, document, mail, report_mail
from tests.support.system import COMMAND, System, wait_for

# No commands: configuration, requests, answers and pictures, each with the test that has it.
ELSEWHERE = {
    "api.md:{": "tests/api/rest",
    "architecture.md:┌": "tests/test_architecture.py",
    "domains.md:domain,parked": "tests/policy/setup",
    "graphql.md:query": "tests/e2e/test_graphql.py",
    "graphql.md:POST": "tests/e2e/test_graphql.py",
    "graphql.md:{": "tests/e2e/test_graphql.py",
    "ip-data.md:dmarcworks ipdata": "tests/cli/test_ipdata.py",
    "mailboxes.md:[[mailbox]]": "tests/e2e/test_mailboxes.py",
    "operating.md:dmarcworks.db": "tests/upkeep/backup",
    "operating.md:server {": "tests/e2e/test_proxies.py",
    "operating.md:dmarc.example.net {": "tests/e2e/test_proxies.py",
    "operating.md:frontend web": "tests/e2e/test_proxies.py",
    'operating.md:{"address"': "tests/e2e/test_login.py",
    "receiving.md:DMARCWORKS_SMTP_LISTEN": "tests/routing/smtp",
    "receiving.md:dmarcworks_tls_certificate": "tests/e2e/test_certificate.py",
    "receiving.md:relay_domains": "tests/e2e/test_peers.py",
    "receiving.md:listen smtp": "tests/e2e/test_balancer.py",
    "receiving.md:dmarcworks serve": "tests/e2e/test_processes.py",
    "sql.md:POST": "tests/e2e/test_readme_query.py",
    "workers.md:async def": "tests/workers/test_runtime.py",
}
# These need a daemon, another machine's rights or minutes; checked: what they name is there. The wheel is built and
# installed by test_package.py, the units are read by systemd in test_deploy.py.
NAMED = ("make ", "docker ", "python3 -m venv", "/opt/dmarcworks/bin/pip", "systemctl ", "systemd-sysusers", "sudo ")
NAMED += (".venv/bin/python -m hatchling", "openapi-python-client ", "/opt/dmarcworks/bin/python scripts/ipdata.py")
PROGRAMS = ("dmarcworks ", ".venv/bin/", "curl ", "export ", "install ", "mkdir ", "/opt/", "DMARCWORKS_HOME=")
PROGRAMS += ("SELECT ", "WHERE ")
ALL = [block for page in PAGES for block in blocks(page)]
# What `check` finds of example.com in these tests.
RECORDS = {
    ("example.com", "A"): ["192.0.2.80"],
    ("example.com", "MX"): ["10 mx.example.com."],
    ("mx.example.com", "A"): ["192.0.2.25"],
    ("example.com", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
    ("_dmarc.example.com", "TXT"): ['"v=DMARC1; p=reject; rua=mailto:dmarc@example.com"'],
}
WORKER = """
async def email(message, env, ctx):
    await env.QUEUE.send({"subject": message.headers.get("subject")})

async def queue(batch, env, ctx):
    raise RuntimeError("not today")
"""


def place(block: Block) -> str:
    return next((test for start, test in ELSEWHERE.items() if block.name.startswith(start)), "")


def commands(block: Block) -> list[str]:
    """Its command lines: continued ones joined, and without the explanation beside them."""
    text = block.text.replace("\\\n", " ")
    return [re.split(r"\s{3,}(?=[a-z(])", line)[0].strip() for line in text.splitlines() if line.strip()]


@dataclass
class Reader:
    """Somebody who tries the pages: a running system, a directory with files, and a shell."""

    system: System
    folder: Path
    ids: dict[str, str]
    dns: int
    imap: int

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **self.system.environment,
            "PATH": f"{self.folder / 'bin'}:/usr/sbin:/usr/bin:/bin",
            "URL": self.system.http,
            "TOKEN": self.system.token,
            "ACCOUNT_ID": self.system.account_id,
            "ZONE": self.ids["zone"],
        }
        return subprocess.run(
            ["bash", "-ec", line],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ready(self, line: str) -> str:
        """The line with what a reader replaces."""
        line = re.sub(r"\[[^\]]*\]", "", line) if "curl" not in line and "sql" not in line else line
        line = line.replace("curl ", "curl --fail-with-body ", 1)
        line = re.sub(r"(?<![\w.-])/(etc|backup|var/lib|opt|srv)/", rf"{self.folder}/\1/", line)
        line = line.replace("PATH…", "reports").replace("ADDRESS", self.system.rua["example.com"])
        if "mailbox add" in line:
            line = line.replace("imap.example.com/", f"localhost:{self.imap}/")
        if re.search(r"dmarcworks check ", line):
            line = re.sub(r" --resolver \S+", "", line).replace(" check", f" check --resolver 127.0.0.1:{self.dns}", 1)
        if line.startswith("dmarcworks restore"):  # into an empty data directory, with no server
            line = f"DMARCWORKS_HOME={self.folder}/var/lib/empty {line}"
        if re.match(r"dmarcworks replay --(domain|since|no-swap)", line):  # each line stands for itself
            line = f"dmarcworks replay --drop-old; {line}"
        if line == "dmarcworks replay --back":  # back from a replay that swapped
            line = f"dmarcworks replay; {line}"
        if line.startswith("dmarcworks route domain disable"):  # the blocks below need the domain's rules
            line = f"{line}; {line.replace('disable', 'enable')}"
        if "queue" in line:
            line = line.replace(" ID", f" {self.letter()}")
        if "token revoke" in line or "token rotate" in line:
            line = line.replace(" ID", f" {self.system.json('token', 'list')[0]['id']}")
        if re.search(
            r"dmarcworks (queue dead discard|queue discard|user remove) ", line
        ):  # they ask before they delete
            line = f"{line} <<< y"
        return line.replace(" RULE", f" {self.rule()}") if " RULE" in line else line

    def letter(self) -> str:
        """A dead-lettered message; the rules of the routing page lead to the worker."""
        dead = self.system.json("queue", "dead")
        if not dead:
            assert self.system.send("bot@example.com", mail(to="bot@example.com")) == [(250, "")]
            dead = wait_for(lambda: self.system.json("queue", "dead"), "a dead message", 30)
        return str(dead[0]["id"])

    def rule(self) -> str:
        return str(self.system.json("route", "list")[-1]["id"])


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    folder = tmp_path_factory.mktemp("reader")
    for name in (
        "bin",
        ".venv/bin",
        "opt/dmarcworks/bin",
        "srv/dmarcworks/.venv/bin",
        "backup",
        "var/lib",
        "reports",
        "etc/dmarcworks",
        "etc/sysusers.d",
        "etc/logrotate.d",
        "etc/systemd/system",
    ):
        (folder / name).mkdir(parents=True)
    script = f'#!/bin/sh\nexec {COMMAND[0]} -c "{COMMAND[2]}" "$@"\n'
    for name in ("bin", ".venv/bin", "opt/dmarcworks/bin", "srv/dmarcworks/.venv/bin"):
        (folder / name / "dmarcworks").write_text(script)
        (folder / name / "dmarcworks").chmod(0o755)
    (folder / "srv/dmarcworks/var").symlink_to(folder / "var/lib/dmarcworks")
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    files(folder)
    (folder / "mine.py").write_text(WORKER)
    dovecot = Dovecot()
    dovecot.start()
    dovecot.deliver("dmarc", [report_mail("mailbox"), report_mail("late", domain="late.example")])
    (folder / "password.txt").write_text(PASSWORD)
    settings = {
        "DMARCWORKS_MAILBOX_CA_FILE": str(dovecot.ca_file),
        "DMARCWORKS_WORKERS": f"mine={folder / 'mine.py'}",
        "DMARCWORKS_WORKER_QUEUES": "mine.max_batch_timeout=0,mine.max_retries=0",
        "DMARCWORKS_RELAY_URL": "smtp://127.0.0.1:9?starttls=never",
    }
    with dns_server(RECORDS) as dns:
        settings["DMARCWORKS_DNS_SERVER"] = f"127.0.0.1:{dns}"
        system = System(folder / "var/lib/dmarcworks", settings)
        system.start()
        # The first command of the README; its block is not run again.
        made = system.json("token", "create", "--scope", "write")
        system.token, system.account_id = made["token"], made["account_id"]
        domain = system.add_domain("example.com")
        (folder / "mail").write_bytes(report_mail("piped"))
        # The senders that the page on senders is about.
        assert system.send(domain["rua"], mail(("senders.xml", senders()))) == [(250, "")]
        system.settle()
        assert system.cli("domain", "add", "acme.example", "--account", "acme").returncode == 0
        assert system.cli("user", "add", "person@example.com").returncode == 0
        yield Reader(system, folder, {"zone": domain["domain_id"]}, dns, dovecot.imaps)
        system.stop()
        dovecot.end()


def senders() -> bytes:
    """A report about yesterday: one message signed by Zendesk, one that nobody signed."""
    records = [("192.0.2.9", 1, "fail", "fail"), ("203.0.113.9", 1, "fail", "fail")]
    dkim = "<dkim><domain>zendesk.com</domain><selector>zendesk1</selector><result>pass</result></dkim>"
    raw = document("senders", begin=int(time.time()) // DAY * DAY - DAY, records=records)
    return raw.replace(b"<auth_results>", b"<auth_results>" + dkim.encode(), 1)


def files(folder: Path) -> None:
    """What a reader has lying about: reports, mails, a mailbox of each kind, a question."""
    (folder / "report.xml.gz").write_bytes(gzip.compress(document("page"), mtime=0))
    (folder / "reports" / "one.xml").write_bytes(document("one"))
    (folder / "mail.eml").write_bytes(mail(("r.xml", document("page"))))
    (folder / "report.eml").write_bytes(b"Message-ID: <1@mail.example>\r\n" + mail(("r.xml", document("page"))))
    (folder / "requests.jsonl").write_text('{"domain": "example.com", "spf_ip": "192.0.2.1"}\n')
    (folder / "question.sql").write_text("SELECT count() AS n FROM dmarc_reports")
    for box in (mailbox.mbox(folder / "archive.mbox"), mailbox.Maildir(folder / "Maildir")):
        box.add(report_mail("boxed"))
        box.close()


@pytest.mark.parametrize("block", ALL, ids=lambda block: block.name)
def test_each_block_is_run_here_or_elsewhere(block: Block) -> None:
    """No block of any page is without a test."""
    if test := place(block):
        assert (ROOT / test).exists(), test
        return
    for line in commands(block):
        assert line.startswith((*PROGRAMS, *NAMED)) or line == "dmarcworks queue", line


RUN = [block for block in ALL if not place(block)]


@pytest.mark.parametrize(
    "block", [block for block in RUN if "SELECT" not in block.text.split()[0]], ids=lambda b: b.name
)
def test_the_commands_of_a_block_succeed(reader: Reader, block: Block) -> None:
    """In the order of the pages, on one system. A command whose exit status reports a finding may end with 1."""
    for line in commands(block):
        if line.startswith(NAMED):
            named(line)
        elif line == ".venv/bin/dmarcworks domain add example.com":
            assert "example.com" in reader.system.rua  # the fixture has run it
        elif line.startswith("export "):
            assert all(re.fullmatch(r"[A-Z_]+=\S+", one) for one in line.split()[1:]), line
        else:
            done = reader.shell(reader.ready(line))
            findings = re.search(r"dmarcworks (import|lint|check|replay --no-swap)", line)
            assert done.returncode in ((0, 1) if findings else (0,)), (line, done.stdout[-2000:], done.stderr[-2000:])
            assert "Traceback" not in done.stderr, (line, done.stderr)


def named(line: str) -> None:
    """What a command names that is not run here is there."""
    if line.startswith("make "):
        target = line.split()[1]
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
    for path in re.findall(r"\b(?:deploy/\S+|scripts/\S+|requirements\.lock)", line):
        assert (ROOT / path).exists(), path
    for unit in re.findall(r"dmarcworks\S*\.timer", line):
        assert (ROOT / "deploy" / "systemd" / unit).exists(), unit


def test_the_examples_of_sql_are_answered(reader: Reader) -> None:
    """Statements that stand alone on a page."""
    statements = [block.text for block in RUN if block.text.startswith("SELECT")]
    assert len(statements) >= 1
    for statement in statements:
        assert isinstance(reader.system.sql(statement), list)


def test_url_has_one_meaning() -> None:
    """The address of the server, without a path; every page that uses it leaves it at that."""
    for page in PAGES:
        text = "\n".join(block.text for block in blocks(page))
        assert all(rest.startswith("/") for rest in text.split("$URL")[1:]), page.name
        assert not re.search(r"curl[^\n]*http://127\.0\.0\.1", text), page.name
    assert "`$URL` is the address of the server" in (ROOT / "README.md").read_text()
