"""OpenDMARC: what `opendmarc-import` put into MariaDB is what the report of `opendmarc-reports` carries to us."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.peers import free_port, program
from tests.support.peers_rows import counted, ours
from tests.support.system import System, skip, wait_for

DOMAIN = "example.com"
SCHEMA = Path("/usr/share/dbconfig-common/data/opendmarc/install/mysql")
# The lines that the milter writes for each message, in the order of opendmarc.c; numbers are those of opendmarc.h.
HISTORY = """\
job {job}
reporter mx.receiver.example.org
received {received}
ipaddr {ip}
from {header_from}
mfrom {envelope}
spf {spf}
dkim {dkim} {selector} {result}
pdomain {domain}
policy 15
rua mailto:{rua}
pct 100
adkim 114
aspf 115
p 113
sp 110
align_dkim {align_dkim}
align_spf {align_spf}
arc 7
arc_policy 10 json:[]
action 2
"""
MESSAGES = [
    ("192.0.2.1", DOMAIN, DOMAIN, 0, DOMAIN, "s1", 0, 4, 4),
    ("192.0.2.1", DOMAIN, DOMAIN, 0, DOMAIN, "s1", 0, 4, 4),
    ("192.0.2.7", DOMAIN, "bounces.example.net", 2, DOMAIN, "s2", 0, 4, 5),
    ("198.51.100.4", DOMAIN, "elsewhere.example.org", 7, "elsewhere.example.org", "x", 7, 5, 5),
    ("2001:db8::5", DOMAIN, "esp.example.net", 6, "esp.example.net", "k", 4, 5, 5),
]
RESULTS = {0: "pass", 2: "softfail", 4: "temperror", 6: "none", 7: "fail"}
QUERY = """
SELECT m.id, i.addr, f.name, m.spf, e.name, m.align_dkim, m.align_spf, m.disp, m.policy, r.policy, r.spolicy, r.pct,
  r.adkim, r.aspf, p.name
FROM messages m JOIN ipaddr i ON i.id = m.ip JOIN domains f ON f.id = m.from_domain
JOIN domains e ON e.id = m.env_domain JOIN domains p ON p.id = m.policy_domain
JOIN requests r ON r.domain = m.policy_domain ORDER BY m.id
"""
SIGNATURES = """
SELECT d.name, s.name, g.pass FROM signatures g JOIN domains d ON d.id = g.domain JOIN selectors s ON s.id = g.selector
WHERE g.message = {}
"""


@contextmanager
def mariadb(folder: Path) -> Iterator[tuple[int, Any]]:
    """A MariaDB of its own on loopback: its port, and a function that runs SQL and returns the rows."""
    data, socket, port = folder / "data", folder / "db.sock", free_port()
    install = [program("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--skip-test-db"]
    own = ["--user=root", "--auth-root-authentication-method=normal"]
    subprocess.run([*install, *own], check=True, capture_output=True, timeout=100)
    options = [f"--datadir={data}", f"--socket={socket}", f"--port={port}", "--bind-address=127.0.0.1", "--user=root"]
    with (folder / "db.log").open("wb") as log:
        server = subprocess.Popen([program("mariadbd"), "--no-defaults", *options], stdout=log, stderr=log)

    def query(statement: str, database: str = "opendmarc") -> list[list[str]]:
        client = [program("mariadb"), "--no-defaults", f"--socket={socket}", "-uroot", "--batch", "--skip-column-names"]
        done = subprocess.run([*client, database], input=statement, capture_output=True, text=True, check=True)
        return [line.split("\t") for line in done.stdout.splitlines()]

    try:
        wait_for(lambda: "ready for connections" in (folder / "db.log").read_text(), "the database", 60)
        yield port, query
    finally:
        server.terminate()
        server.wait(30)


def stored(query: Any) -> list[dict[str, Any]]:
    """Its database in our columns' names; the words are those of opendmarc-reports for its numbers."""
    rows = []
    for row in query(QUERY):
        (
            number,
            ip,
            header_from,
            spf,
            envelope,
            align_dkim,
            align_spf,
            disposition,
            _,
            p,
            sp,
            pct,
            adkim,
            aspf,
            about,
        ) = row
        signatures = query(SIGNATURES.format(number))
        rows.append(
            {
                "policy_domain": about,
                "p": {110: "none", 113: "quarantine", 114: "reject"}[int(p)],
                "sp": {110: "none", 113: "quarantine", 114: "reject"}[int(sp)],
                "pct": int(pct),
                "adkim": chr(int(adkim)),
                "aspf": chr(int(aspf)),
                "source_ip": ip,
                "disposition": {2: "none"}[int(disposition)],
                "dkim_aligned": {4: "pass", 5: "fail"}[int(align_dkim)],
                "spf_aligned": {4: "pass", 5: "fail"}[int(align_spf)],
                "header_from": header_from,
                "dkim": [
                    {"domain": name, "selector": selector, "result": RESULTS[int(result)], "human_result": None}
                    for name, selector, result in signatures
                ],
                "spf": [{"domain": envelope, "scope": None, "result": RESULTS[int(spf)], "human_result": None}],
            }
        )
    return rows


def test_opendmarc(tmp_path: Path) -> None:
    """From its history file through its database and its report mail to our rows: no value differs."""
    if not SCHEMA.exists():
        skip("there is no opendmarc; .ci/run installs it")
    system = System(tmp_path / "home")
    system.start()
    rua = system.add_domain(DOMAIN)["rua"]
    names = ("ip", "header_from", "envelope", "spf", "dkim", "selector", "result", "align_dkim", "align_spf")
    fixed = {"received": int(time.time()) - 60, "domain": DOMAIN, "rua": rua}
    history = "".join(
        HISTORY.format(job=f"{n:016x}", **fixed, **dict(zip(names, message, strict=True)))
        for n, message in enumerate(MESSAGES)
    )
    (tmp_path / "history").write_text(history)
    with mariadb(tmp_path) as (port, query):
        query(SCHEMA.read_text(), "mysql")
        query("CREATE USER own@'127.0.0.1' IDENTIFIED BY 'own'; GRANT ALL ON opendmarc.* TO own@'127.0.0.1'", "mysql")
        login = ["--dbhost=127.0.0.1", f"--dbport={port}", "--dbuser=own", "--dbpasswd=own"]
        run: dict[str, Any] = {"cwd": tmp_path, "env": os.environ, "capture_output": True, "text": True, "timeout": 100}
        command = [program("opendmarc-import"), *login, "--input=history"]
        done = subprocess.run(command, check=False, **run)
        assert (done.returncode, done.stderr) == (0, "")
        theirs = stored(query)
        about = ["--report-org=receiver.example.org", "--report-email=noreply@receiver.example.org"]
        smtp = ["--smtp-server=127.0.0.1", f"--smtp-port={system.smtp[1]}"]
        done = subprocess.run([program("opendmarc-reports"), *login, *about, *smtp, "--verbose"], check=False, **run)
        assert done.returncode == 0, done.stderr
    system.settle()
    assert len(theirs) == len(MESSAGES)
    assert ours(system, [*theirs[0], "count"]) == counted(theirs)
    assert system.sql("SELECT DISTINCT org_name FROM dmarc_reports") == [{"org_name": "receiver.example.org"}]
    assert (system.problems(), system.stop()) == ([], 0)
