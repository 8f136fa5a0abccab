"""Other people's verifiers of DKIM and ARC: Perl's Mail::DKIM, which asks a name server, and opendkim, in C.

Neither shares a line with the library that signs for us.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers import program
from tests.support.system import skip

_VERIFY = r"""
use strict;
use warnings;
use Net::DNS;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Mail::DKIM::ARC::Verifier;

my ($port, $file) = @ARGV;
Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => ["127.0.0.1"], port => $port, udp_timeout => 5));
my ($dkim, $arc) = (Mail::DKIM::Verifier->new(), Mail::DKIM::ARC::Verifier->new());
for my $verifier ($dkim, $arc) {
    open(my $mail, "<:raw", $file) or die "$file: $!";
    $verifier->load($mail);
}
print "dkim ", $_->domain, " ", $_->result, "\n" for $dkim->signatures;
print "arc ", $arc->result, "\n";
"""


@dataclass(frozen=True)
class Found:
    """Each DKIM signature's domain and result, from the top, and the result of the ARC chain."""

    dkim: list[tuple[str, str]]
    arc: str


def by_perl(mail: Path, dns_port: int) -> Found:
    """What Mail::DKIM says of a mail, with keys from the name server on loopback."""
    perl = program("perl")
    if subprocess.run([perl, "-MMail::DKIM", "-MNet::DNS", "-e1"], check=False, capture_output=True).returncode:
        skip("there is no Mail::DKIM for Perl; .ci/run installs it")
    done = subprocess.run(
        [perl, "-e", _VERIFY, str(dns_port), str(mail)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    (arc,) = [line[1] for line in lines if line[0] == "arc"]
    return Found([(line[1], line[2]) for line in lines if line[0] == "dkim"], arc)


def by_opendkim(mail: Path, keys: dict[str, str], folder: Path) -> str:
    """What opendkim says of a mail; `keys`: name of a key record → its text (it asks a name server on port 53 only)."""
    (folder / "keys").write_text("".join(f"{name} {text}\n" for name, text in keys.items()))
    # A mode of verifying only, and no look at the system's own settings.
    (folder / "opendkim.conf").write_text(f"Mode v\nTestPublicKeys {folder}/keys\nSyslog no\n")
    done = subprocess.run(
        [program("opendkim"), "-x", str(folder / "opendkim.conf"), "-t", str(mail)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr
