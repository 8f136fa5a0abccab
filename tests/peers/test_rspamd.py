"""Rspamd: the entries in its Redis are the records that its report carries to us."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.dns_server import dns_server
from tests.support.peers import free_port, program
from tests.support.peers_rows import counted, ours
from tests.support.system import HOST, System, skip, wait_for

DOMAIN = "example.com"
RESOLVER = "127.0.77.53"
DKIM_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
# The modules that decide about DMARC and no other: nothing is fetched, and no other module ends a check early.
CONFIGURATION = """
options {{
  pidfile = "{folder}/rspamd.pid"; filters = "dkim"; url_tld = "{folder}/suffixes"; hs_cache_dir = "{folder}";
  dns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 1s; retransmits = 2; }}
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "info"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{scan}"; count = 1; }}
modules {{ path = "{folder}/plugins"; }}
redis {{ servers = "127.0.0.1:{redis}"; }}
spf {{ spf_cache_size = 2k; }}
dkim {{ dkim_cache_size = 2k; }}
dmarc {{
  reporting {{
    enabled = true; email = "noreply@receiver.example.org"; domain = "receiver.example.org";
    org_name = "Receiver & Sons"; helo = "mx.receiver.example.org"; msgid_from = "receiver.example.org";
    smtp = "127.0.0.1"; smtp_port = {smtp};
  }}
}}
"""
# Address, envelope sender, whether signed, how often.
MESSAGES = [
    ("192.0.2.1", f"a@{DOMAIN}", True, 3),
    ("192.0.2.7", "b@bounces.example.net", True, 1),
    ("198.51.100.4", f"c@{DOMAIN}", False, 2),
    ("2001:db8::5", "d@elsewhere.example.org", False, 1),
]


def records(rua: str) -> dict[tuple[str, str], list[str]]:
    public = DKIM_KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    return {
        (f"_dmarc.{DOMAIN}", "TXT"): [f'"v=DMARC1; p=none; sp=reject; adkim=s; pct=100; rua=mailto:{rua}"'],
        (f"{DOMAIN}._report._dmarc.{HOST}", "TXT"): ['"v=DMARC1"'],
        (f"s1._domainkey.{DOMAIN}", "TXT"): [" ".join(f'"{key[n : n + 200]}"' for n in range(0, len(key), 200))],
        (DOMAIN, "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
        ("bounces.example.net", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 -all"'],
        ("elsewhere.example.org", "TXT"): ['"v=spf1 ~all"'],
    }


def mail(sender: str, signed: bool, number: int) -> bytes:
    """A message from the policy domain."""
    text = (
        f"From: Someone <someone@{DOMAIN}>\r\nTo: rcpt@receiver.example.org\r\nSubject: {number}\r\n"
        f"Message-ID: <{number}.{sender}>\r\nDate: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n"
        f"\r\nHello {number}.\r\n"
    ).encode()
    if not signed:
        return text
    key = DKIM_KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return bytes(dkim.sign(text, b"s1", DOMAIN.encode(), key, include_headers=[b"From", b"Subject", b"Date"])) + text


@contextmanager
def redis(folder: Path) -> Iterator[Any]:
    """A Redis of its own: its port, and a function that runs a command and returns the lines of the answer."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([program("redis-server"), *options], stdout=subprocess.DEVNULL)

    def command(*words: str) -> list[str]:
        client = [program("redis-cli"), "-p", str(port), *words]
        return subprocess.run(client, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()

    def up() -> bool:
        try:
            return command("PING") == ["PONG"]
        except subprocess.CalledProcessError:
            return False

    try:
        wait_for(up, "Redis", 30)
        yield port, command
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def rspamd(folder: Path, ports: dict[str, int]) -> Iterator[Path]:
    """A running Rspamd; yields its configuration, for its commands."""
    file = folder / "rspamd.conf"
    # The whole list of public suffixes takes it up to a minute to compile.
    (folder / "suffixes").write_text("com\nnet\norg\nexample\n")
    (folder / "plugins").mkdir()
    for name in ("spf.lua", "dmarc.lua"):
        (folder / "plugins" / name).symlink_to(f"/usr/share/rspamd/plugins/{name}")
    file.write_text(CONFIGURATION.format(folder=folder, **ports))
    places = [f"--var={name}={folder}" for name in ("DBDIR", "RUNDIR", "LOGDIR")]
    with (folder / "out").open("wb") as out:
        server = subprocess.Popen([program("rspamd"), "-f", "-i", "-c", str(file), *places], stdout=out, stderr=out)

    def up() -> bool:
        try:
            return scan(ports["scan"], b"From: <x@x.example>\r\n\r\nx\r\n", "203.0.113.9", "x@x.example") is not None
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None, (folder / "out").read_text()
            return False

    try:
        wait_for(up, "Rspamd", 60)
        yield file
    finally:
        server.terminate()
        server.wait(30)


def scan(port: int, message: bytes, ip: str, sender: str) -> Any:
    """What Rspamd makes of a message."""
    headers = {"IP": ip, "From": sender, "Helo": "mail.example.com", "Rcpt": "rcpt@receiver.example.org"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/checkv2", message, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def with_resolver(folder: Path, *command: str) -> list[str]:
    """The command with a resolv.conf that names our server: `rspamadm` does not read `dns` of its configuration."""
    if os.geteuid() != 0:
        skip("a private /etc/resolv.conf needs root")
    file = folder / "resolv.conf"
    file.write_text(f"nameserver {RESOLVER}\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return [program("unshare"), "--mount", "sh", "-c", script, str(file), *command]


def stored(command: Any) -> list[dict[str, Any]]:
    """Its database in our columns' names."""
    (key,) = command("KEYS", "dmarc_rpt*")
    lines = command("ZRANGE", key, "0", "-1", "WITHSCORES")
    rows: list[dict[str, Any]] = []
    for entry, score in zip(lines[::2], lines[1::2], strict=True):
        ip, spf, aligned, disposition, override, header_from, *rest = entry.split(",")
        results = list(zip(rest[:3], ("pass", "fail", "temperror"), strict=True))
        rows.append(
            {
                "policy_domain": DOMAIN,
                "p": "none",
                "sp": "reject",
                "pct": 100,
                "adkim": "s",
                "aspf": "r",
                "source_ip": ip,
                "count": int(score),
                "disposition": disposition,
                "dkim_aligned": aligned,
                "spf_aligned": spf,
                "header_from": header_from,
                "reasons": [{"type": override, "comment": None}] if override else [],
                "dkim": [
                    {"domain": name, "selector": None, "result": result, "human_result": None}
                    for names, result in results
                    for name in names.split("|")
                    if name
                ],
                "spf": [{"domain": rest[4], "scope": None, "result": rest[5], "human_result": None}],
            }
        )
    return rows


def test_rspamd(tmp_path: Path) -> None:
    """Messages are checked with SPF and DKIM, collected, and reported by `rspamadm dmarc_report`: no value differs."""
    program("rspamadm")
    system = System(tmp_path / "home")
    system.start()
    rua = system.add_domain(DOMAIN)["rua"]
    with dns_server(records(rua)) as dns, redis(tmp_path) as (port, command):
        ports = {"dns": dns, "redis": port, "scan": free_port(), "smtp": system.smtp[1]}
        with rspamd(tmp_path, ports) as file:
            for number, (ip, sender, signed, times) in enumerate(MESSAGES):
                for _ in range(times):
                    scan(ports["scan"], mail(sender, signed, number), ip, sender)
            wait_for(lambda: command("KEYS", "dmarc_rpt*")[0], "an entry", 30)
            total = sum(times for *_, times in MESSAGES)
            theirs = wait_for(
                lambda: (lambda rows: rows if sum(row["count"] for row in rows) == total else None)(stored(command)),
                "all messages are collected",
                30,
            )
        (index,) = command("KEYS", "dmarc_idx*")
        with dns_server(records(rua), RESOLVER, 53):
            day = index.rpartition(";")[2]
            report = with_resolver(tmp_path, program("rspamadm"), "dmarc_report", "-c", str(file), day)
            done = subprocess.run(report, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
    system.settle()
    assert {row["dkim_aligned"] for row in theirs} == {row["spf_aligned"] for row in theirs} == {"pass", "fail"}
    assert ours(system, theirs[0]) == counted(theirs), done.stdout + done.stderr
    assert system.sql("SELECT DISTINCT org_name, org_email FROM dmarc_reports") == [
        {"org_name": "Receiver & Sons", "org_email": "noreply@receiver.example.org"}
    ]
    assert (system.problems(), system.stop()) == ([], 0)
