"""Mail servers and testers of other people for tests: a Postfix of our own on loopback, swaks, smtp-source."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.system import HOST, skip

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file_prefixes = {folder}
maillog_file = {folder}/maillog
myhostname = relay.example
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtp_host_lookup = native
{routing}
smtp_tls_security_level = may
smtp_tls_CAfile = {authority}
smtp_tls_policy_maps = texthash:{folder}/tls
smtp_tls_loglevel = 1
"""

ROUTING = """\
relay_domains = {host}
smtpd_relay_restrictions = permit_mynetworks, reject
transport_maps = texthash:{folder}/transport
"""

MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def program(name: str) -> str:
    """Where a peer's program is; skips (or fails, when all tests are asked for) without it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        skip(f"there is no {name}; .ci/run installs it")
    assert found is not None
    return found


def perl_module(name: str) -> None:
    """Skips (or fails, when all tests are asked for) without a Perl module."""
    done = subprocess.run([program("perl"), f"-M{name}", "-e1"], capture_output=True, check=False)
    if done.returncode != 0:
        skip(f"there is no {name} for Perl; .ci/run installs it")


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


@dataclass
class Postfix:
    """A running Postfix that takes mail on `port` and relays it."""

    folder: Path
    port: int

    @property
    def log(self) -> str:
        return (self.folder / "maillog").read_text(errors="replace")

    def waits(self) -> str:
        """What is in its queue."""
        return subprocess.run(
            [program("postqueue"), "-c", str(self.folder), "-p"], capture_output=True, text=True, check=False
        ).stdout


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that Postfix's own user may enter, whose files get Postfix's group (as docs/receiving.md says)."""
    program("postfix")
    if os.geteuid() != 0:
        skip("Postfix is started by root only")
    folder = Path(tempfile.mkdtemp(prefix="dmarcworks-postfix-"))
    try:
        os.chown(folder, 0, grp.getgrnam("postfix").gr_gid)
        folder.chmod(0o2755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postfix(
    folder: Path, transports: dict[str, str], authority: Path, policies: dict[str, str], routing: str = ""
) -> Iterator[Postfix]:
    """Start one under `folder`; `transports`: recipient → transport, `policies`: next hop → TLS policy.

    `routing`: lines of main.cf that say where mail goes, instead of those for `transports`.
    """
    port = free_port()
    routing = routing or ROUTING.format(folder=folder, host=HOST)
    (folder / "queue").mkdir()
    (folder / "data").mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    os.chown(folder / "queue", 0, 0)
    (folder / "queue").chmod(0o755)
    (folder / "main.cf").write_text(MAIN.format(folder=folder, authority=authority, routing=routing))
    (folder / "master.cf").write_text(MASTER.format(port=port))
    (folder / "transport").write_text("".join(f"{to} {transport}\n" for to, transport in transports.items()))
    (folder / "tls").write_text("".join(f"{hop} {policy}\n" for hop, policy in policies.items()))
    command = [program("postfix"), "-c", str(folder)]
    subprocess.run([*command, "start"], check=True, capture_output=True, timeout=60)
    try:
        yield Postfix(folder, port)
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)
