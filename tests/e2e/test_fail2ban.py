"""The fail2ban filter that is shipped finds the failed logins in the real log, each with its own address."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.support.system import System, skip, wait_for
from tests.support.webclient import FORM, call, log_in, set_password

FILTER = Path(__file__).parents[2] / "examples" / "fail2ban" / "filter.d" / "dmarcworks.conf"
PASSWORD = "correct horse battery"
# A name that imitates the log's own text.
EVIL = 'x", "address": "192.0.2.1", "event": "login failed", "y": "'


def test_fail2ban_finds_each_failed_login_and_nothing_else(tmp_path: Path) -> None:
    """Through a trusted proxy the address is the visitor's; a login that succeeds is not matched."""
    if (regex := shutil.which("fail2ban-regex")) is None:
        skip("fail2ban is not installed")
    system = System(tmp_path / "home", {"DMARCWORKS_TRUSTED_PROXIES": "127.0.0.1", "DMARCWORKS_LOG_FORMAT": "json"})
    system.start()
    try:
        set_password(system.http, system.login_link(), PASSWORD)
        for name, address in (("eve@example.com", "203.0.113.9"), (EVIL, "203.0.113.10"), ("", "2001:db8::7")):
            assert log_in(system.http, name, "wrong", headers={"X-Forwarded-For": address}).status == 401
        headers = {**FORM, "X-Forwarded-For": "203.0.113.11"}
        assert call(system.http, "POST", "/login/invented", "", headers).status == 410
        wait_for(lambda: system.log.read_text().count('"event": "login"') >= 2, "the log")
    finally:
        system.stop()
    lines = [json.loads(line) for line in system.log.read_text().splitlines() if line.startswith("{")]
    failed = [line["address"] for line in lines if line["event"] == "login failed"]
    assert failed == ["203.0.113.9", "203.0.113.10", "2001:db8::7", "203.0.113.11"]
    found = subprocess.run(
        [regex, "-o", "ip", str(system.log), str(FILTER)], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.stdout.split() == failed, found.stdout + found.stderr
