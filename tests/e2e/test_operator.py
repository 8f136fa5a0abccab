"""A command on the same machine is let in by the secret in running.json, and nobody else is."""

from __future__ import annotations

import json
import os
import stat
import urllib.error
import urllib.request

from dmarcworks.cli.remote import server
from dmarcworks.settings import load
from tests.support.system import System


def ping(system: System, secret: str | None) -> int:
    request = urllib.request.Request(f"{system.http}/internal/ping")
    if secret is not None:
        request.add_header("Authorization", f"Bearer {secret}")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_operators_route_is_for_the_owner_of_the_data_directory_only(system: System) -> None:
    """The file is the owner's alone; no secret, a token's and a wrong one are 401; the log never holds it."""
    path = system.home / "running.json"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    secret = json.loads(path.read_text())["secret"]
    system.add_domain("operator.example")
    assert [ping(system, text) for text in (None, "", system.token, secret[:-1], secret)] == [401, 401, 401, 401, 200]
    settings, _ = load({"DMARCWORKS_HOME": str(system.home)})
    running = server(settings)
    assert running is not None
    assert system.process is not None
    assert running.request("GET", "/internal/ping").json() == {"pid": system.process.pid}
    assert secret not in system.log.read_text() + system.output.read_text()
