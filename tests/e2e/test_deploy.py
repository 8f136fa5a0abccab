"""What deploy/ ships, tried with the programs that read it: systemd, logrotate, hadolint, the Compose specification."""

from __future__ import annotations

import configparser
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.peers import program
from tests.support.system import COMMAND, System, skip

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
INSTALLED = "/opt/dmarcworks/bin/dmarcworks"
UNITS = ["dmarcworks.service", "dmarcworks-backup.service", "dmarcworks-backup.timer"]


class Unit(configparser.RawConfigParser):
    """A unit file's values; of a key that is given twice the last one."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, delimiters=("=",), interpolation=None)
        self.read(DEPLOY / "systemd" / name)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def units(folder: Path) -> list[str]:
    """The unit files and their drop-ins, with a command that is there."""
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (folder / name).write_text(text.replace(INSTALLED, sys.executable))
    drop_ins = folder / "dmarcworks.service.d"
    drop_ins.mkdir()
    for name in ("backup.conf", "logfile.conf"):
        shutil.copy(DEPLOY / "systemd" / name, drop_ins)
    return [str(folder / name) for name in UNITS]


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("systemd-analyze"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    """Nothing unknown, nothing misspelt, with the drop-ins."""
    done = systemd_analyze("verify", "--man=no", *units(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("name", "most"), [("dmarcworks.service", 1.8), ("dmarcworks-backup.service", 1.6)])
def test_the_services_are_little_exposed(tmp_path: Path, name: str, most: float) -> None:
    """The figure that docs/installing.md states, on systemd's scale from 0 to 10."""
    units(tmp_path)
    limit = f"--threshold={round(most * 10) + 1}"
    done = systemd_analyze("security", "--offline=true", "--no-pager", limit, str(tmp_path / name))
    assert done.returncode == 0, done.stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level
    assert float(level[1]) <= most


def test_the_service_is_a_user_of_its_own(tmp_path: Path) -> None:
    """systemd-sysusers makes the user that the units name; both services share data directory and settings."""
    server, backup = Unit("dmarcworks.service")["Service"], Unit("dmarcworks-backup.service")["Service"]
    assert server["User"] == backup["User"] == "dmarcworks"
    assert server["ExecStart"] == f"{INSTALLED} serve"
    assert server["AmbientCapabilities"] == server["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert (server["StateDirectory"], server["StateDirectoryMode"]) == ("dmarcworks", "0700")
    assert backup["ExecStart"] == f"{INSTALLED} backup %S/dmarcworks-backup"
    (tmp_path / "etc").mkdir()
    command = [program("systemd-sysusers"), f"--root={tmp_path}", str(DEPLOY / "systemd" / "sysusers.conf")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    name, _, number, _, _, home, shell = (tmp_path / "etc" / "passwd").read_text().strip().split(":")
    assert (name, home, shell) == ("dmarcworks", "/var/lib/dmarcworks", "/usr/sbin/nologin")
    assert 0 < int(number) < 1000


def confined(capability: str) -> list[str]:
    """The command without the rights of root, but for one capability."""
    only = f"-all{capability}"
    drop = [f"--bounding-set={only}", f"--inh-caps={only}", f"--ambient-caps={only}", "--no-new-privs"]
    return [program("setpriv"), *drop, *COMMAND]


def test_port_25_needs_the_units_capability_and_nothing_else(tmp_path: Path) -> None:
    """With CAP_NET_BIND_SERVICE alone the server accepts mail on a port below 1024; without it, it names the port."""
    if os.geteuid() or int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 25:
        skip("every user may bind port 25 here, or rights cannot be dropped")
    address = {"DMARCWORKS_SMTP_HOST": "127.0.0.77", "DMARCWORKS_SMTP_PORT": "25"}
    system = System(tmp_path / "data", address, command=confined(",+net_bind_service"))
    system.start()
    assert system.smtp == ("127.0.0.77", 25)
    domain = system.add_domain("example.com")
    assert system.send(domain["rua"], report_mail()) == [(250, "")]
    system.settle()
    assert system.total() > 0
    assert system.stop() == 0
    refused = subprocess.run(
        [*confined(""), "serve"], env=system.environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert refused.returncode in (1, 2)
    assert "127.0.0.77:25: Permission denied" in refused.stderr


def test_the_log_is_rotated_while_the_server_writes(tmp_path: Path) -> None:
    """logrotate with the shipped rules: every line is in the old or in the new file, and the server goes on."""
    logrotate = program("logrotate")
    text = (DEPLOY / "logrotate" / "dmarcworks").read_text()
    assert "/var/log/dmarcworks/*.log {" in text
    assert (
        "StandardError=append:/var/log/dmarcworks/dmarcworks.log" in (DEPLOY / "systemd" / "logfile.conf").read_text()
    )
    system = System(tmp_path / "data")  # its log is opened in append mode, as systemd does it
    system.start()
    domain = system.add_domain("example.com")
    assert system.send(domain["rua"], report_mail("1")) == [(250, "")]
    system.settle()
    rules = text.replace("/var/log/dmarcworks/*.log", str(system.log)).replace(
        "su dmarcworks dmarcworks", "su root root"
    )
    (tmp_path / "rules").write_text(rules)
    (tmp_path / "rules").chmod(0o644)
    before = system.log.read_text()
    command = [logrotate, "--force", "--state", str(tmp_path / "state"), str(tmp_path / "rules")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    rotated = Path(f"{system.log}.1")
    assert rotated.read_text().startswith(before)
    assert system.send(domain["rua"], report_mail("2")) == [(250, "")]
    system.settle()
    assert system.stop() == 0
    lines = (rotated.read_text() + system.log.read_text()).splitlines()
    assert [json.loads(line)["event"] for line in lines].count("mail") == 2
    assert "\0" not in system.log.read_text()


def test_the_linter_finds_nothing_in_the_containerfile() -> None:
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if not found:
        skip("there is no hadolint; `make dev` installs it")
    assert found
    done = subprocess.run(
        [found, str(DEPLOY / "container" / "Containerfile")], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_containerfile_copies_what_is_there() -> None:
    """The build's context has what it copies, and leaves out what a clone's use leaves behind."""
    text = (DEPLOY / "container" / "Containerfile").read_text()
    for name in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        assert (ROOT / name).exists(), name
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "var", "node_modules"} <= set(ignored)
    assert not {"requirements.lock", "src", "scripts", "package-lock.json"} & set(ignored)


def test_the_compose_file_is_valid_and_matches_the_containerfile() -> None:
    """By the Compose specification; its ports, volume and settings are those of the image."""
    try:
        compose = importlib.import_module("compose_spec").PyCompose
    except ImportError:
        skip("there is no compose-spec; `make dev` installs it")
    file = DEPLOY / "container" / "compose.yaml"
    parsed = compose.from_yaml(file.read_text())
    parsed.validate()
    service = parsed.to_dict()["services"]["dmarcworks"]
    text = (DEPLOY / "container" / "Containerfile").read_text()
    for port in re.search(r"^EXPOSE (.*)$", text, re.MULTILINE)[1].split():  # type: ignore[index]
        assert any(str(mapped).endswith(f":{port}") or f"'{port}'" in str(mapped) for mapped in service["ports"]), port
    assert "data:/data" in file.read_text()
    assert "VOLUME /data" in text
    assert (file.parent / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_the_names_of_settings_are_settings() -> None:
    """In every file that is shipped."""
    from dmarcworks.settings import CONFIG, PREFIX, Settings

    known = {CONFIG, *(PREFIX + name.upper() for name in Settings.model_fields)}
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            assert set(re.findall(r"DMARCWORKS_[A-Z_]+", path.read_text())) <= known, path
