"""The real server as a process that is killed and started again on the same data directory, and clients of it.

`KillableServer` keeps a second process ready that has done its imports, so that a restart takes tenths of a second; it
opens nothing before it is needed. `Senders` sends with an ordinary SMTP client over several connections, notes the last
reply to each try, and tries again like a mail server; some mails fail permanently.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.load import Parcel
from tests.support.system import System, wait_for

_READY = """
import sys
import chdb, uvloop, dmarcworks.wiring.server, dmarcworks.cli.serve
from dmarcworks.cli import main
print("ready", flush=True)
sys.stdin.readline()
main()
"""


class KillableServer(System):
    """A system whose process dies by SIGKILL."""

    heir: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Have the next process ready."""
        if self.heir is None:
            with self.log.open("ab") as log:
                self.heir = subprocess.Popen(
                    [sys.executable, "-c", _READY, "serve"],
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )

    def begin(self) -> None:
        """Let the next process go; `up` says when it serves."""
        self.prepare()
        heir, self.heir = self.heir, None
        assert heir is not None
        assert heir.stdin is not None
        assert heir.stdout is not None
        assert heir.stdout.readline() == b"ready\n", self.log.read_text()[-3000:]
        self.process = heir
        heir.stdin.close()

    def up(self) -> bool:
        """Whether it serves; its addresses are known then."""
        assert self.process is not None
        try:
            running = json.loads((self.home / "running.json").read_text())
        except (OSError, ValueError):
            return False
        if running["pid"] != self.process.pid:
            return False
        self.http = running["http"]
        host, _, port = running["smtp"].rpartition(":")
        self.smtp = (host, int(port))
        return True

    def start(self) -> None:
        self.begin()
        wait_for(lambda: self.up() or self._died(), "up", 60)

    def kill(self) -> None:
        """SIGKILL: no handler, no clean-up, no flush."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def end(self) -> None:
        """Nothing of it stays."""
        if self.process is not None:
            self.kill()
        if self.heir is not None:
            self.heir.kill()
            self.heir.communicate()
            self.heir = None


@dataclass
class Story:
    """What became of a parcel's tries: "250", "4xx", "5xx" or "broken" (no answer came)."""

    parcel: Parcel
    tries: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return self.tries.count("250")


class Senders:
    """Several connections that send what is released to them."""

    def __init__(self, system: System, rua: str, parcels: Sequence[Parcel], *, connections: int = 6, seed: int = 1):
        self._system = system
        self._rua = rua
        self._dice = random.Random(seed)
        self.stories = {parcel.number: Story(parcel) for parcel in parcels}
        # Every eighth mail is sent twice, as mail servers do after a lost 250.
        numbers = [number for number in self.stories for _ in range(2 if self._dice.random() < 0.125 else 1)]
        self._waiting = deque(numbers)
        self._quota = 0
        self._sending = 0
        self._lock = threading.Lock()
        self._open = threading.Event()
        self._closing = False
        self._threads = [threading.Thread(target=self._sender, daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    @property
    def left(self) -> int:
        """Tries that wait."""
        with self._lock:
            return len(self._waiting)

    @property
    def sending(self) -> int:
        """Tries that are on their way."""
        with self._lock:
            return self._sending

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way and nothing may follow."""
        with self._lock:
            return not self._sending and not (self._quota and self._waiting)

    def release(self, tries: int) -> None:
        """The server serves: so many tries may be made from now on."""
        with self._lock:
            self._quota = tries
        self._open.set()

    def hold(self) -> None:
        """The server is gone: nobody connects; what is under way breaks by itself."""
        self._open.clear()

    def finish_when_sent(self, seconds: float = 3600.0) -> None:
        """Wait until every parcel was sent or given up."""
        wait_for(lambda: self.idle, "everything sent", seconds)
        self.finish()

    def finish(self) -> None:
        """Wait until the senders are done."""
        self._closing = True
        self._open.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def tries(self) -> Counter[str]:
        """How often each outcome was met."""
        return Counter(outcome for story in self.stories.values() for outcome in story.tries)

    def _next(self) -> int | None:
        with self._lock:
            if not self._quota or not self._waiting:
                return None
            self._quota -= 1
            self._sending += 1
            return self._waiting.popleft()

    def _sender(self) -> None:
        while not self._closing:
            self._open.wait()
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._conversation()
            time.sleep(0.01)

    def _conversation(self) -> None:
        client = smtplib.SMTP(*self._system.smtp, local_hostname="mail.example", timeout=60)
        try:
            while self._open.is_set() and (number := self._next()) is not None:
                outcome = self._send(client, self.stories[number].parcel.raw)
                with self._lock:
                    self._sending -= 1
                    self.stories[number].tries.append(outcome)
                    # Most mail servers try again, some give up.
                    if outcome != "250" and self._dice.random() < 0.8:
                        self._waiting.append(number)
                if outcome == "broken":
                    return
        finally:
            client.close()

    def _send(self, client: smtplib.SMTP, raw: bytes) -> str:
        try:
            client.sendmail("dmarc@mail.example", [self._rua], raw)
        except smtplib.SMTPRecipientsRefused as refused:
            code = next(iter(refused.recipients.values()))[0]
        except smtplib.SMTPResponseException as refused:
            code = refused.smtp_code
        except (OSError, smtplib.SMTPException):
            return "broken"
        else:
            return "250"
        return f"{code // 100}xx" if code > 0 else "broken"
