"""Promise: a signing key that is not there is told at the start, before mail leaves without a signature."""

from __future__ import annotations

from pathlib import Path

from tests.support.system import System


def test_a_key_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    """Absent, empty, no key: status 2 and one line with setting, path and reason; nothing of the file is printed."""
    system = System(tmp_path / "home")
    key = tmp_path / "dkim.pem"
    system.settings["DMARCWORKS_DKIM_KEY_FILE"] = str(key)

    def refused() -> str:
        done = system.cli("serve")
        assert (done.returncode, done.stdout) == (2, "")
        return [line for line in done.stderr.splitlines() if line.startswith("dmarcworks:")][-1]

    assert refused() == f"dmarcworks: DMARCWORKS_DKIM_KEY_FILE={key} cannot be read: No such file or directory"
    key.touch()
    assert refused() == f"dmarcworks: DMARCWORKS_DKIM_KEY_FILE={key} is empty"
    key.write_text("-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n")
    told = refused()
    assert told.startswith(
        "dmarcworks: DMARCWORKS_DKIM_KEY (or what DMARCWORKS_DKIM_KEY_FILE names) is no RSA key in PEM form: "
    )
    assert "hush" not in told
