"""A real Dovecot with TLS on loopback, in a temporary directory: folders, mails, and what may go wrong with it."""

from __future__ import annotations

import contextlib
import imaplib
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from tests.support.system import skip
from tests.support.waiting import wait_for

DOVECOT = next((path for path in ("/usr/sbin/dovecot", "/usr/local/sbin/dovecot") if os.path.exists(path)), "")
PASSWORD = 'a-secret/with=signs&"'
# The part of it that no encoding changes: of JSON, HTML or a URL.
PASSWORD_PART = "a-secret"

_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
mail_location = maildir:{folder}/mail/%u
mail_plugins = quota
mail_max_userip_connections = 100
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
auth_failure_delay = 0
imap_idle_notify_interval = 29 mins
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_uid} gid={mail_gid} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Done {{
    auto = create
  }}
}}
namespace full {{
  prefix = Full/
  separator = /
  location = maildir:{folder}/full/%u
  list = yes
}}
plugin {{
  quota = maildir:User quota:ns=
  quota_rule = *:storage=1000M
  quota2 = maildir:Full:ns=Full/
  quota2_rule = *:bytes=10
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
"""


class Dovecot:
    """The server; `password` is that of every user."""

    def __init__(self) -> None:
        if not DOVECOT:
            skip("dovecot is not installed (apt-get install dovecot-imapd dovecot-pop3d)")
        # Not below pytest's folder, which only root may enter: mail belongs to another user.
        self.folder = Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.folder.chmod(0o755)
        self.authority = trustme.CA()
        self.ca_file = self.folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca_file))
        self.process: subprocess.Popen[bytes] | None = None
        self.imap, self.imaps, self.pop3s = _free_ports(3)
        (self.folder / "mail").mkdir()
        (self.folder / "full").mkdir()
        self._owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        for name in ("mail", "full"):
            os.chown(self.folder / name, self._owner.pw_uid, self._owner.pw_gid)
        self.certificate()

    def certificate(self, *, expired: bool = False, name: str = "localhost") -> None:
        """Another certificate from the next start on."""
        until = datetime.now(UTC) - timedelta(days=1) if expired else None
        since = datetime.now(UTC) - timedelta(days=3) if expired else None
        more = {} if since is None else {"not_before": since}
        issued = self.authority.issue_cert(name, not_after=until, **more)
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        (self.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    def start(self) -> None:
        """Until it accepts connections."""
        me = pwd.getpwuid(os.getuid()).pw_name
        root = os.getuid() == 0
        names = {
            "internal": "dovecot" if root else me,
            "internal_group": "dovecot" if root else me,
            "login": "dovenull" if root else me,
            "mail_uid": self._owner.pw_uid,
            "mail_gid": self._owner.pw_gid,
        }
        ports = {"imap": self.imap, "imaps": self.imaps, "pop3s": self.pop3s}
        config = self.folder / "dovecot.conf"
        config.write_text(_CONFIG.format(folder=self.folder, password=PASSWORD, **names, **ports))
        log = (self.folder / "start.log").open("wb")
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", str(config)], stdout=log, stderr=log)
        log.close()
        wait_for(self._up, "dovecot up", 30)

    def _up(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError((self.folder / "start.log").read_text())
        try:
            socket.create_connection(("127.0.0.1", self.imaps), 1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """SIGTERM; open connections end."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    def restart(self) -> None:
        self.stop()
        self.start()

    def end(self) -> None:
        """Nothing of it stays."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def revalidate(self, user: str) -> None:
        """Give all mails of the inbox other UIDs, as after a restored backup."""
        self.restart()
        box = self.folder / "mail" / user
        for path in box.glob("dovecot.index*"):
            path.unlink()
        head, _, mails = (box / "dovecot-uidlist").read_text().partition("\n")
        head = re.sub(r"V(\d+)", lambda match: f"V{int(match[1]) + 1}", head)
        (box / "dovecot-uidlist").write_text(f"{head}\n{mails}")

    def url(self, user: str, folders: str = "INBOX", scheme: str = "imaps") -> str:
        port = {"imaps": self.imaps, "imap+starttls": self.imap, "imap": self.imap, "pop3s": self.pop3s}[scheme]
        return f"{scheme}://{user}@localhost:{port}/{folders}"

    def deliver(self, user: str, mails: Sequence[bytes], folder: str = "INBOX") -> None:
        """Put mails into a folder, as a delivery agent does."""
        box = self.folder / "mail" / user
        if folder != "INBOX":
            box = box / f".{folder.replace('/', '.')}"
        for name in ("tmp", "new", "cur"):
            (box / name).mkdir(parents=True, exist_ok=True)
        for number, raw in enumerate(mails):
            name = f"{datetime.now(UTC).timestamp():.6f}.{os.getpid()}_{number}.test"
            (box / "tmp" / name).write_bytes(raw.replace(b"\r\n", b"\n"))
            os.chown(box / "tmp" / name, self._owner.pw_uid, self._owner.pw_gid)
            (box / "tmp" / name).rename(box / "new" / name)
        for path in (self.folder / "mail" / user, *(self.folder / "mail" / user).glob("**/")):
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    @contextlib.contextmanager
    def client(self, user: str, folder: str = "INBOX") -> Iterator[imaplib.IMAP4_SSL]:
        """Another client of the mailbox, with a folder selected."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with imaplib.IMAP4_SSL("localhost", self.imaps, ssl_context=context, timeout=30) as client:
            client.login(user, PASSWORD)
            assert client.select(folder)[0] == "OK", folder
            yield client

    def count(self, user: str, folder: str = "INBOX", criterion: str = "ALL") -> int:
        """How many mails the folder has."""
        with self.client(user, folder) as client:
            return len(client.search(None, criterion)[1][0].split())

    @property
    def log(self) -> str:
        return (self.folder / "dovecot.log").read_text()


def _free_ports(number: int) -> list[int]:
    held = [socket.socket() for _ in range(number)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports
