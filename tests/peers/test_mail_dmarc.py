"""Mail::DMARC: the records in its SQLite database are those that its report carries to us."""

from __future__ import annotations

import ipaddress
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.dns_server import dns_server
from tests.support.peers import perl_module, program
from tests.support.peers_rows import counted, ours
from tests.support.system import HOST, System

DOMAIN = "example.com"
INI = """\
[organization]
domain = receiver.example.org
org_name = Receiver & Sons
email = noreply@receiver.example.org
[report_store]
backend = SQL
dsn = dbi:SQLite:dbname={folder}/reports.sqlite
[dmarc]
backend = perl
[dns]
timeout = 5
public_suffix_list = /usr/share/publicsuffix/public_suffix_list.dat
[smtp]
hostname = mx.receiver.example.org
transports = Loopback
"""
# How Mail::DMARC is told of a transport of one's own.
TRANSPORT = """\
package Loopback;
use Email::Sender::Transport::SMTP;
sub new { return bless {}, shift }
sub get_transports_for {
    return Email::Sender::Transport::SMTP->new(
        { host => '127.0.0.1', port => $ENV{SMTP_PORT}, helo => 'mx.receiver.example.org' });
}
1;
"""
CHECK = """\
use strict; use warnings; use Mail::DMARC::PurePerl;
while (<STDIN>) {
    chomp; my ($ip, $from, $env, $dkim, $selector, $dkim_result, $spf, $spf_result) = split /\\t/;
    my $dmarc = Mail::DMARC::PurePerl->new;
    $dmarc->source_ip($ip); $dmarc->envelope_to('receiver.example.org');
    $dmarc->envelope_from($env); $dmarc->header_from($from);
    $dmarc->dkim([{ domain => $dkim, selector => $selector, result => $dkim_result, human_result => '' }]);
    $dmarc->spf([{ domain => $spf, scope => 'mfrom', result => $spf_result }]);
    $dmarc->validate; $dmarc->save_aggregate;
}
"""
MESSAGES = [
    ("192.0.2.1", DOMAIN, DOMAIN, DOMAIN, "s1", "pass", DOMAIN, "pass"),
    ("192.0.2.1", DOMAIN, DOMAIN, DOMAIN, "s1", "pass", DOMAIN, "pass"),
    ("192.0.2.7", DOMAIN, "bounces.example.net", DOMAIN, "s2", "pass", "bounces.example.net", "softfail"),
    (
        "198.51.100.4",
        DOMAIN,
        "elsewhere.example.org",
        "elsewhere.example.org",
        "x",
        "fail",
        "elsewhere.example.org",
        "fail",
    ),
    ("2001:db8::5", f"shop.{DOMAIN}", f"shop.{DOMAIN}", "esp.example.net", "k", "pass", f"shop.{DOMAIN}", "pass"),
]
RECORDS = """
SELECT d.domain AS policy_domain, p.p, p.sp, p.pct, p.adkim, p.aspf, rr.id AS record,
  CAST(rr.source_ip AS BLOB) AS source_ip, COALESCE(rr.count, 1) AS count, rr.disposition, rr.dkim AS dkim_aligned,
  rr.spf AS spf_aligned, h.domain AS header_from, e.domain AS envelope_from, t.domain AS envelope_to,
  r."begin", r."end"
FROM report r JOIN domain d ON d.id = r.from_domain_id JOIN report_policy_published p ON p.report_id = r.id
JOIN report_record rr ON rr.report_id = r.id JOIN domain h ON h.id = rr.header_from_did
LEFT JOIN domain e ON e.id = rr.envelope_from_did LEFT JOIN domain t ON t.id = rr.envelope_to_did
"""


def stored(path: Path) -> list[dict[str, Any]]:
    """Its database in our columns' names."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(RECORDS)]
        for row in rows:
            number = row.pop("record")
            for kind, extra in (("dkim", "selector"), ("spf", "scope")):
                statement = (
                    f"SELECT d.domain, a.{extra}, a.result FROM report_record_{kind} a"
                    " JOIN domain d ON d.id = a.domain_id WHERE a.report_record_id = ?"
                )
                results = connection.execute(statement, (number,))
                row[kind] = [dict(result) | {"human_result": None} for result in results]
            row["source_ip"] = str(ipaddress.ip_address(row["source_ip"]))
    return rows


def test_mail_dmarc(tmp_path: Path) -> None:
    """Its report, sent by `dmarc_send_reports`, is read without a wrong value."""
    perl_module("Mail::DMARC")
    system = System(tmp_path / "home")
    system.start()
    rua = system.add_domain(DOMAIN)["rua"]
    (tmp_path / "mail-dmarc.ini").write_text(INI.format(folder=tmp_path))
    (tmp_path / "Loopback.pm").write_text(TRANSPORT)
    (tmp_path / "check.pl").write_text(CHECK)
    policy = f'"v=DMARC1; p=none; sp=quarantine; adkim=r; aspf=s; pct=100; rua=mailto:{rua}"'
    records = {
        (f"_dmarc.{DOMAIN}", "TXT"): [policy],
        (DOMAIN, "A"): ["192.0.2.1"],
        (f"shop.{DOMAIN}", "A"): ["192.0.2.1"],
        (f"{DOMAIN}._report._dmarc.{HOST}", "TXT"): ['"v=DMARC1"'],
    }
    with dns_server(records) as port:
        environment = os.environ | {
            "RES_NAMESERVERS": "127.0.0.1",
            "RES_OPTIONS": f"port:{port}",
            "MAIL_DMARC_CONFIG_FILE": str(tmp_path / "mail-dmarc.ini"),
            "PERL5LIB": str(tmp_path),
            "SMTP_PORT": str(system.smtp[1]),
        }
        run = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True, "timeout": 100}
        given = "".join("\t".join(message) + "\n" for message in MESSAGES)
        done = subprocess.run([program("perl"), "check.pl"], input=given, check=False, **run)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
        # A report is due when its day is over.
        with closing(sqlite3.connect(tmp_path / "reports.sqlite")) as connection:
            connection.execute('UPDATE report SET begin = begin - 86400, "end" = "end" - 86400')
            connection.commit()
        theirs = stored(tmp_path / "reports.sqlite")
        done = subprocess.run([program("dmarc_send_reports"), "--verbose"], check=False, **run)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr
    system.settle()
    assert done.stdout.count("2.0.0 Accepted") == 1, done.stdout
    assert (len(theirs), sum(row["count"] for row in theirs)) == (5, 5)
    assert ours(system, theirs[0]) == counted(theirs)
    assert system.sql("SELECT DISTINCT org_name, org_email FROM dmarc_reports") == [
        {"org_name": "Receiver & Sons", "org_email": "noreply@receiver.example.org"}
    ]
    assert (system.problems(), system.stop()) == ([], 0)
