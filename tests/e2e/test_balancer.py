"""A real load balancer in front: HAProxy names the client by the PROXY protocol, both versions, in clear and by TLS."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import trustme

from tests.support.mails import report_mail
from tests.support.peers import free_port, program
from tests.support.system import HOST, System, wait_for

CONFIGURATION = """\
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen first
  bind 127.0.0.1:{first}
  server one 127.0.0.1:{door} send-proxy
listen second
  bind [::1]:{second}
  server one 127.0.0.1:{door} send-proxy-v2 check inter 200ms
listen tls
  bind 127.0.0.1:{tls}
  server one [::1]:{tls_door} send-proxy-v2
"""


@dataclass
class Balanced:
    """A system of two processes behind HAProxy: its ports, and who vouches for the certificate."""

    system: System
    ports: dict[str, int]
    authority: trustme.CA


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Balanced]:
    folder = tmp_path_factory.mktemp("balanced")
    authority = trustme.CA()
    both = folder / "both.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(both))
    ports = {name: free_port() for name in ("first", "second", "tls", "door", "tls_door")}
    system = System(
        folder / "home",
        {
            "DMARCWORKS_SMTP_PROCESSES": "2",
            "DMARCWORKS_SMTP_LISTEN": f"127.0.0.1:{ports['door']}/proxy [::1]:{ports['tls_door']}/proxy/tls",
            "DMARCWORKS_SMTP_PROXY_NETWORKS": "127.0.0.0/8 ::1/128",
            "DMARCWORKS_SMTP_TLS_CERT": str(both),
            "DMARCWORKS_SMTP_TLS_KEY": str(both),
        },
    )
    (folder / "haproxy.cfg").write_text(CONFIGURATION.format(**ports))
    command = program("haproxy")
    system.start()
    balancer = subprocess.Popen([command, "-f", str(folder / "haproxy.cfg"), "-db"])
    try:
        yield Balanced(system, ports, authority)
    finally:
        balancer.terminate()
        balancer.wait(60)
        assert system.stop() == 0


def connected(balanced: Balanced, listener: str) -> smtplib.SMTP:
    """A client that HAProxy lets through; it starts beside us and may not listen yet."""
    context = ssl.create_default_context()
    balanced.authority.configure_trust(context)
    context.check_hostname = False
    source = ("::1" if listener == "second" else "127.0.0.9", 0)
    host = "::1" if listener == "second" else "127.0.0.1"

    def attempt() -> smtplib.SMTP | None:
        try:
            if listener == "tls":
                return smtplib.SMTP_SSL(
                    host, balanced.ports[listener], "mail.example", timeout=30, source_address=source, context=context
                )
            return smtplib.SMTP(host, balanced.ports[listener], "mail.example", timeout=30, source_address=source)
        except (OSError, smtplib.SMTPException):
            return None

    client: smtplib.SMTP = wait_for(attempt, "let through")
    if listener == "second":
        client.starttls(context=context)
    return client


@pytest.mark.parametrize(
    ("listener", "peer", "tls"),
    [("first", "127.0.0.9", ""), ("second", "::1", "TLSv1.3"), ("tls", "127.0.0.9", "TLSv1.3")],
)
def test_the_real_client_is_noted(balanced: Balanced, listener: str, peer: str, tls: str) -> None:
    """A report comes through and is counted; the log has the client's own address and its TLS, not the balancer's."""
    system, domain = balanced.system, f"{listener}.example"
    rua = system.add_domain(domain)["rua"]
    with connected(balanced, listener) as client:
        client.sendmail("dmarc@mail.example", [rua], report_mail(listener, domain=domain))
    wait_for(lambda: system.total(domain) == 5, "counted")
    statement = f"SELECT peer, tls, status FROM activity WHERE recipient = '{rua}'"
    (line,) = wait_for(lambda: system.rows(statement), "noted")
    assert line == {"peer": peer, "tls": tls, "status": "250"}


def test_health_checks_are_no_trouble(balanced: Balanced) -> None:
    """HAProxy looks every 200 ms whether we are there: no warning, no error, no line in the activity log for it."""
    lines = balanced.system.log.read_text().splitlines()
    assert [line for line in lines if '"level": "warning"' in line or '"level": "error"' in line] == []
