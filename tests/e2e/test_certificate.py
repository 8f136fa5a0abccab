"""A running server tells until when its certificate holds, to people and machines; bad files end its start."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.support.routing_mail import metric
from tests.support.system import HOST, System

FIGURE = "dmarcworks_tls_certificate_expiry_seconds"
DAY = 86_400


class Shown:
    """The two files of a certificate."""

    def __init__(self, folder: Path) -> None:
        self.cert, self.key = folder / "cert.pem", folder / "key.pem"
        self.settings = {
            "DMARCWORKS_SMTP_TLS_CERT": str(self.cert),
            "DMARCWORKS_SMTP_TLS_KEY": str(self.key),
        }

    def renew(self, days: int) -> datetime:
        """A certificate that ends in so many days and half an hour; when it ends."""
        end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days, minutes=30)
        issued = trustme.CA().issue_cert(HOST, not_after=end)
        issued.private_key_pem.write_to_path(str(self.key))
        self.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return end


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_end_is_told(tmp_path: Path, processes: str) -> None:
    """/readyz, /metrics and the log name the end, after a renewal the new one; nothing of it makes the server unready.

    The same when other processes take the mail.
    """
    shown = Shown(tmp_path)
    end = shown.renew(days=10)
    system = System(tmp_path / "home", {**shown.settings, "DMARCWORKS_SMTP_PROCESSES": processes})
    system.start()
    status, body = system.get("/readyz")
    assert (status, json.loads(body)["status"]) == (200, "ok")
    assert json.loads(body)["certificate"] == {"state": "ends soon", "until": end.isoformat(), "days": 10.0}
    assert 10 * DAY < metric(system, FIGURE) <= 10 * DAY + 1800
    end = shown.renew(days=90)
    assert 90 * DAY < metric(system, FIGURE) <= 90 * DAY + 1800
    told = json.loads(system.get("/readyz")[1])["certificate"]
    assert told == {"state": "ok", "until": end.isoformat(), "days": 90.0}
    shown.renew(days=-2)
    status, body = system.get("/readyz")
    assert (status, json.loads(body)["certificate"]["state"]) == (200, "expired")
    assert metric(system, FIGURE) < -DAY
    assert system.stop() == 0
    events = [json.loads(line)["event"] for line in system.log.read_text().splitlines() if line.startswith("{")]
    assert events.count("certificate ends soon") == (1 if processes == "1" else 3)
    assert events.count("certificate expired") == 1


def test_without_a_certificate_there_is_no_figure(system: System) -> None:
    """No zero that would look like an expired one."""
    assert FIGURE not in system.get("/metrics")[1]
    assert "certificate" not in json.loads(system.get("/readyz")[1])


def test_files_that_cannot_serve_end_the_start(tmp_path: Path) -> None:
    """Status 2 and one line with setting, path and reason: absent, unreadable, of another kind, only one named."""
    shown = Shown(tmp_path)
    shown.renew(days=30)
    system = System(tmp_path / "home")

    def refused(**settings: str) -> str:
        system.settings = {**shown.settings, **settings}
        done = system.cli("serve")
        assert done.returncode == 2, done.stderr
        return [line for line in done.stderr.splitlines() if line.startswith("dmarcworks:")][-1]

    away = str(tmp_path / "away.pem")
    assert refused(DMARCWORKS_SMTP_TLS_CERT=away) == (
        f"dmarcworks: DMARCWORKS_SMTP_TLS_CERT={away} cannot be read: No such file or directory"
    )
    assert refused(DMARCWORKS_SMTP_TLS_KEY=str(tmp_path)) == (
        f"dmarcworks: DMARCWORKS_SMTP_TLS_KEY={tmp_path} cannot be read: Is a directory"
    )
    assert refused(DMARCWORKS_SMTP_TLS_KEY=str(shown.cert)) == (
        f"dmarcworks: DMARCWORKS_SMTP_TLS_KEY={shown.cert}: there is no key in PEM form"
    )
    assert refused(DMARCWORKS_SMTP_TLS_KEY="") == (
        "dmarcworks: DMARCWORKS_SMTP_TLS_CERT and DMARCWORKS_SMTP_TLS_KEY belong together: one is missing"
    )
