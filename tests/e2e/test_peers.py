"""Other people's programs deliver a report each, which is then counted: Postfix, swaks, smtp-source."""

from __future__ import annotations

import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.mails import report_mail
from tests.support.peers import open_folder, postfix, program
from tests.support.system import HOST, System, wait_for

PORTS = ("smtp", "tls", "lmtp")


class Served(System):
    """A system with a door of every kind."""

    ports: dict[str, int]
    authority: Path
    socket: Path


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Served]:
    keys = tmp_path_factory.mktemp("keys")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    (folder / "authority.pem").chmod(0o644)
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(keys / "both.pem"))
    both = str(keys / "both.pem")
    system = Served(
        tmp_path_factory.mktemp("doors") / "home",
        {
            "DMARCWORKS_SMTP_LISTEN": f"127.0.0.1:0 127.0.0.1:0/tls 127.0.0.1:0/lmtp unix:{folder}/lmtp.sock",
            "DMARCWORKS_SMTP_TLS_CERT": both,
            "DMARCWORKS_SMTP_TLS_KEY": both,
        },
    )
    system.start()

    def served() -> list[str]:
        lines = [line for line in system.log.read_text().splitlines() if '"event": "listening"' in line]
        return lines if len(lines) == 4 else []

    # The log is written a moment after what it reports.
    listening = wait_for(served, "all listeners in the log")
    found = [int(line.split('"address": "127.0.0.1:')[1].split('"')[0].split("/")[0]) for line in listening[:3]]
    system.ports = dict(zip(PORTS, found, strict=True))
    system.authority, system.socket = folder / "authority.pem", folder / "lmtp.sock"
    for name in ("lmtp", "unix", "starttls"):
        system.add_domain(f"{name}.example")
    system.add_domain("example.com")
    yield system
    system.stop()


def last_activity(system: Served, recipient: str) -> dict[str, object]:
    """The activity log's line of the one mail that came for a recipient."""
    statement = f"SELECT tls, status, sender FROM activity WHERE recipient = '{recipient}'"
    return dict(wait_for(lambda: system.rows(statement), "noted")[0])


def test_postfix_relays_by_lmtp_and_by_smtp_with_starttls(served: Served, folder: Path) -> None:
    """A Postfix in front hands reports on over LMTP (port, Unix socket) and over SMTP with verified TLS."""
    smtp = f"[127.0.0.1]:{served.ports['smtp']}"
    transports = {
        served.rua["lmtp.example"]: f"lmtp:inet:127.0.0.1:{served.ports['lmtp']}",
        served.rua["unix.example"]: f"lmtp:unix:{served.socket}",
        served.rua["starttls.example"]: f"smtp:{smtp}",
        HOST: f"lmtp:unix:{served.socket}",
    }
    with postfix(folder, transports, served.authority, {smtp: f"verify match={HOST}"}) as relay:
        with smtplib.SMTP("127.0.0.1", relay.port, "mail.example") as client:
            for name in ("lmtp", "unix", "starttls"):
                domain = f"{name}.example"
                client.sendmail("dmarc@mail.example", [served.rua[domain]], report_mail(name, domain=domain))
            # One mail for two recipients over LMTP: one is ours, the other is nobody's.
            client.sendmail("dmarc@mail.example", [served.rua["unix.example"], f"nobody@{HOST}"], report_mail("unix"))
        try:
            for name in ("lmtp", "unix", "starttls"):
                wait_for(lambda name=name: served.total(f"{name}.example") == 5, f"{name} counted")
            wait_for(lambda: "550 5.1.1 No such recipient here" in relay.log, "nobody refused")
            wait_for(lambda: "is empty" in relay.waits() or "nobody@" not in relay.waits(), "nothing of it waits")
        except BaseException:
            print(relay.log)
            raise
        assert relay.log.count("status=sent (250 2.0.0 Accepted)") == 4
        assert "Verified TLS connection established" in relay.log
    assert last_activity(served, served.rua["starttls.example"]) == {
        "tls": "TLSv1.3",
        "status": "250",
        "sender": "dmarc@mail.example",
    }
    assert last_activity(served, served.rua["lmtp.example"])["tls"] == ""


def test_postfix_set_up_as_the_documentation_says(served: Served) -> None:
    """docs/receiving.md's lines for main.cf, word for word but for the socket: reports come in, and who is nobody's is
    refused for good at RCPT, before any mail is taken."""
    page = (Path(__file__).parents[2] / "docs" / "receiving.md").read_text()
    block = page.partition("In `main.cf`:\n\n")[2].partition("\n\n")[0]
    routing = "\n".join(line.strip() for line in block.splitlines())
    assert "/run/dmarcworks/lmtp.sock" in routing
    assert HOST in routing
    routing = routing.replace("/run/dmarcworks/lmtp.sock", str(served.socket)) + "\naddress_verify_map ="
    before = served.total("example.com")
    with (
        open_folder() as folder,
        postfix(folder, {}, served.authority, {}, routing) as relay,
        smtplib.SMTP("127.0.0.1", relay.port, "mail.example") as client,
    ):
        client.sendmail("dmarc@mail.example", [served.rua["example.com"]], report_mail("as documented"))
        client.mail("dmarc@mail.example")
        code, words = client.rcpt(f"nobody@{HOST}")
        assert (code, b"550 5.1.1 No such recipient here" in words) == (550, True), words
        assert client.rcpt("somebody@elsewhere.example")[0] == 554
        wait_for(lambda: served.total("example.com") == before + 5, "counted")


@pytest.mark.parametrize(
    ("how", "listener", "options"),
    [
        ("plain", "smtp", []),
        ("starttls", "smtp", ["-tls"]),
        ("smtps", "tls", ["-tlsc"]),
        ("lmtp", "lmtp", ["--protocol", "LMTP"]),
    ],
)
def test_swaks(served: Served, tmp_path: Path, how: str, listener: str, options: list[str]) -> None:
    """The tester's tool delivers a report in every protocol, and it is counted."""
    before = served.total("example.com")
    mail = tmp_path / "mail"
    mail.write_bytes(report_mail(f"swaks-{how}"))
    done = subprocess.run(
        [program("swaks"), "--server", "127.0.0.1", "--port", str(served.ports[listener]),
         "--to", served.rua["example.com"],
         "--from", "dmarc@mail.example", "--helo", "mail.example", "--data", f"@{mail}", *options],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "250 2.0.0 Accepted" in done.stdout
    wait_for(lambda: served.total("example.com") == before + 5, "counted")


def test_swaks_is_told_of_an_unknown_recipient(served: Served) -> None:
    """Its status for a refused recipient is 24, and the code stands in its transcript."""
    done = subprocess.run(
        [program("swaks"), "--server", "127.0.0.1", "--port", str(served.ports["smtp"]), "--to", f"nobody@{HOST}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "550 5.1.1 No such recipient here" in done.stdout) == (24, True)


def test_smtp_source(served: Served, tmp_path: Path) -> None:
    """Postfix's load generator over four connections: forty copies of a report are forty mails and one report."""
    before = served.total("example.com")
    mails = len(served.rows("SELECT id FROM mails"))
    report = tmp_path / "report"
    report.write_bytes(report_mail("source").replace(b"\r\n", b"\n"))
    subprocess.run(
        [program("smtp-source"), "-s", "4", "-m", "40", "-F", str(report), "-f", "dmarc@mail.example",
         "-t", served.rua["example.com"], f"127.0.0.1:{served.ports['smtp']}"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    served.settle()
    assert len(served.rows("SELECT id FROM mails")) == mails + 40
    assert served.total("example.com") == before + 5
