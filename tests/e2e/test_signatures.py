"""Promise: what leaves is signed and sealed so that other people's verifiers say pass, from the bytes that arrived.

The real system forwards over SMTP, to a sink and through a Postfix; the keys stand in a real name server on loopback.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.outside import Names, Sink, answering, listening
from tests.support.peers import Postfix, open_folder, postfix
from tests.support.routing_mail import ask
from tests.support.system import HOST, System, wait_for
from tests.support.verifiers import Found, by_opendkim, by_perl

OURS, THEIRS = f"dmarcworks._domainkey.{HOST}", "k._domainkey.sender.example"
WORKER = """
from dmarcworks.email import EmailMessage


async def email(message, env, ctx):
    await message.reply(EmailMessage(message.to, message.from_, (
        f"From: {message.to}\\nTo: {message.from_}\\nMessage-ID: <answer@example.com>\\n"
        f"In-Reply-To: {message.headers['message-id']}\\nSubject: Re: thanks\\n\\nThank you.\\n")))
"""


def key() -> tuple[str, str]:
    """A fresh RSA key: PEM, and the record that publishes it."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode(), "v=DKIM1; k=rsa; p=" + "".join(public.decode().splitlines()[1:-1])


@dataclass
class Post:
    """The running system, where its mail arrives, and the world's keys."""

    system: System
    sink: Sink
    names: Names
    sender_key: str
    folder: Path

    def mail(self, subject: str) -> bytes:
        """A mail that its sender has signed, with what likes to go wrong: 8 bits, dots, folds, empty lines."""
        raw = (
            f"From: Somebody <who@sender.example>\r\nTo: x@example.com\r\nSubject: {subject}\r\n\tand  folded\r\n"
            f"Message-ID: <{subject}@sender.example>\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße  \r\n.\r\n..two\r\nFrom here\r\n\r\n\r\n"
        ).encode()
        signature: bytes = dkim.sign(raw, b"k", b"sender.example", self.sender_key.encode())
        return signature + raw

    def passed_on(self, to: str, raw: bytes) -> bytes:
        """The bytes that arrived."""
        self.sink.taken.clear()
        assert self.system.send(to, raw) == [(250, "")]
        wait_for(lambda: self.sink.taken, "arrived")
        ((_, _, arrived),) = self.sink.taken
        return arrived

    def verified(self, raw: bytes) -> tuple[Found, str]:
        """What both verifiers say, opendkim's words without the file's name."""
        path = self.folder / "arrived"
        path.write_bytes(raw)
        keys = {name: str(self.names.records[name, "TXT"][0]) for name in (OURS, THEIRS)}
        said = by_opendkim(path, keys, self.folder)
        return by_perl(path, self.names.port), said.partition(f"{path}: ")[2].strip()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def relay(folder: Path, sink: Sink) -> Iterator[Postfix]:
    hop = f"smtp:[127.0.0.1]:{sink.port}"
    with postfix(folder, {"far.example": hop, "mail.example": hop}, Path("/dev/null"), {}) as running:
        yield running


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with listening(Sink()) as there:
        yield there


@pytest.fixture(scope="module", params=["straight", "through Postfix"])
def post(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sink: Sink, relay: Postfix
) -> Iterator[Post]:
    home = tmp_path_factory.mktemp("signatures")
    (ours, our_record), (theirs, their_record) = key(), key()
    (home / "dkim.pem").write_text(ours)
    (home / "worker.py").write_text(WORKER)
    names = Names()
    names.add(
        {
            (OURS, "TXT"): our_record,
            (THEIRS, "TXT"): their_record,
            ("sender.example", "TXT"): "v=spf1 ip4:127.0.0.1 -all",
            ("_dmarc.sender.example", "TXT"): "v=DMARC1; p=none",
        }
    )
    with answering(names):
        straight = request.param == "straight"
        system = System(
            home / "home",
            {
                "DMARCWORKS_RELAY_URL": sink.url if straight else f"smtp://127.0.0.1:{relay.port}",
                "DMARCWORKS_DNS_SERVER": names.server,
                "DMARCWORKS_DKIM_KEY_FILE": str(home / "dkim.pem"),
                "DMARCWORKS_WORKERS": f"mine={home / 'worker.py'}",
            },
        )
        system.start()
        try:
            system.add_domain("example.com")
            system.json("route", "destination", "add", "inbox@far.example", "--trust")
            for name in ("first", "second"):
                system.json("route", "add", f"{name}@example.com", "--forward", "inbox@far.example")
            system.json("route", "add", "bot@example.com", "--worker", "mine")
            wait_for(lambda: system.send("bot@example.com", b"x")[0][0] != 550, "the rules in effect")
            yield Post(system, sink, names, theirs, home)
        finally:
            system.stop()


GOOD = "verification (s=dmarcworks, d=reports.example.net, 2048-bit key) succeeded"
BOTH = [(HOST, "pass"), ("sender.example", "pass")]


def test_forwarded_mail_verifies_elsewhere(post: Post) -> None:
    """Our signature, the sender's own and the chain hold where the mail arrives; each change breaks what covers it."""
    arrived = post.passed_on("first@example.com", post.mail("one"))
    assert post.verified(arrived) == (Found(BOTH, "pass"), GOOD)
    text = post.verified(arrived.replace(b"From here", b"From there"))
    assert text[0] == Found([(HOST, "fail"), ("sender.example", "fail")], "fail")
    assert "signature verification failed" in text[1]
    # What we say that we saw is sealed: the chain breaks, signatures of the mail itself do not.
    assert arrived.count(b" spf=none ") == 2
    told = post.verified(arrived.replace(b" spf=none ", b" spf=pass "))
    assert told == (Found(BOTH, "fail"), GOOD)


def test_a_chain_of_two_verifies_elsewhere(post: Post) -> None:
    """A mail that comes back and is sent on again has two seals, the second saying pass of the first."""
    once = post.passed_on("first@example.com", post.mail("two"))
    twice = post.passed_on("second@example.com", once)
    assert twice.count(b"ARC-Seal: i=2; cv=pass;") == 1
    found, said = post.verified(twice)
    assert found == Found([(HOST, "pass"), *BOTH], "pass")
    assert said == GOOD
    broken = post.passed_on("second@example.com", once.replace(b"From here", b"From there"))
    found, _ = post.verified(broken)
    assert found == Found([(HOST, "pass"), (HOST, "fail"), ("sender.example", "fail")], "fail")


def test_answers_and_our_own_mail_verify_elsewhere(post: Post) -> None:
    """A worker's reply and the mail with a destination's link are signed; neither carries a chain."""
    post.sink.taken.clear()
    path = f"/client/v4/accounts/{post.system.account_id}/email/routing/addresses"
    token = post.system.json("token", "create", "--scope", "write")["token"]
    assert ask(post.system, "POST", path, {"email": "link@far.example"}, token)[0] == 200
    wait_for(lambda: post.sink.taken, "arrived")
    assert post.verified(post.sink.taken[0][2]) == (Found([(HOST, "pass")], "none"), GOOD)
    reply = post.passed_on("bot@example.com", post.mail("thanks"))
    assert b"In-Reply-To: <thanks@sender.example>" in reply
    assert post.verified(reply) == (Found([(HOST, "pass")], "none"), GOOD)
