"""Wheel and source archive, built from what a clean clone has and installed elsewhere: complete, or not built at all.

The environments are fresh ones beside the tests', made from requirements.lock: one with the wheel, one with the source
archive. Each is shared by this module's tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.mails import report_mail
from tests.support.peers import program
from tests.support.system import System, skip
from tests.support.webclient import call, set_password

ROOT = Path(__file__).parents[2]
ASSETS = ["echarts.LICENSE.txt", "echarts.NOTICE.txt", "echarts.min.js", "htmx.LICENSE.txt", "htmx.min.js"]
VENDOR = "dmarcworks/dashboard/static/vendor"


def clean_copy(folder: Path) -> Path:
    """The files that git has or would add, and nothing that an installation left behind."""
    if not (ROOT / ".git").exists():
        skip("this is no clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "bench/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    assert not (folder / "src" / VENDOR).exists()
    return folder


def build(source: Path, *what: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Build into `dist` of the source."""
    return subprocess.run(
        [sys.executable, "-m", "hatchling", "build", *(f"--target={one}" for one in what)],
        cwd=source,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass(frozen=True)
class Built:
    """The archives that were built from a clean clone."""

    source: Path
    wheel: Path
    archive: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    program("npm")
    source = clean_copy(tmp_path_factory.mktemp("clone"))
    done = build(source, "sdist", "wheel")
    assert done.returncode == 0, done.stderr
    (wheel,), (archive,) = source.glob("dist/*.whl"), source.glob("dist/*.tar.gz")
    return Built(source, wheel, archive)


@dataclass(frozen=True)
class Installed:
    """A fresh environment with the wheel or the source archive."""

    folder: Path

    @property
    def command(self) -> str:
        return str(self.folder / "bin" / "dmarcworks")

    @property
    def bytes(self) -> int:
        """What it takes on disk, without what Python itself brings."""
        return sum(path.lstat().st_blocks * 512 for path in self.folder.rglob("*"))


@pytest.fixture(scope="module", params=["wheel", "archive"])
def installed(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed where there is no npm: a source archive brings the pages' scripts."""
    folder = tmp_path_factory.mktemp("elsewhere") / "env"
    python = str(folder / "bin" / "python")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--no-deps", "--python", python]
    subprocess.run([*install, "-r", str(built.source / "requirements.lock")], check=True)
    package: Path = getattr(built, request.param)
    without_npm = {**os.environ, "PATH": str(folder / "nothing")}
    subprocess.run([*install, str(package)], env=without_npm, check=True)
    return Installed(folder)


@pytest.fixture(scope="module")
def serving(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The installed server, started in a directory of its own."""
    folder = tmp_path_factory.mktemp("anywhere")
    system = System(folder / "data", {"PYTHONPATH": ""}, command=["env", "-C", str(folder), installed.command])
    system.start()
    yield system
    assert system.stop() == 0


def test_wheel_and_source_archive_have_the_pages_scripts(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        packed = wheel.namelist()
    with tarfile.open(built.archive) as archive:
        sources = archive.getnames()
    top = built.archive.name.removesuffix(".tar.gz")
    for name in ASSETS:
        assert f"{VENDOR}/{name}" in packed
        assert f"{top}/src/{VENDOR}/{name}" in sources
    ours = {
        path.relative_to(built.source / "src").as_posix()
        for path in (built.source / "src").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours - {name for name in packed if not name.startswith("dmarcworks-")} == set()
    assert {f"{top}/{name}" for name in ("LICENSE", "README.md", "docs/operating.md", "requirements.lock")} <= set(
        sources
    )
    assert not [name for name in packed if not name.startswith("dmarcworks")]


def test_a_wheel_from_the_source_archive_needs_no_npm(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.archive) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    done = build(source, "wheel", environment={"PATH": str(tmp_path / "nothing"), "PIP_NO_INDEX": "1"})
    assert done.returncode == 0, done.stderr
    (wheel,) = source.glob("dist/*.whl")
    with zipfile.ZipFile(wheel) as again, zipfile.ZipFile(built.wheel) as first:
        assert sorted(again.namelist()) == sorted(first.namelist())
        assert again.read(f"{VENDOR}/echarts.min.js") == first.read(f"{VENDOR}/echarts.min.js")


def test_a_build_without_the_scripts_fails(tmp_path: Path) -> None:
    """A registry that does not answer: no archive, and the error names what is missing and what to do."""
    program("npm")
    source = clean_copy(tmp_path / "clone")
    unreachable = {
        "npm_config_registry": "http://127.0.0.1:9/",
        "npm_config_fetch_retries": "0",
        "npm_config_cache": str(tmp_path / "cache"),
    }
    done = build(source, "sdist", "wheel", environment=unreachable)
    assert done.returncode != 0
    assert "the scripts of the dashboard's pages are missing" in done.stderr
    assert "Install npm" in done.stderr
    assert list(source.glob("dist/*")) == []


def test_the_installed_server_has_its_pages_and_assets(serving: System) -> None:
    cookie = set_password(serving.http, serving.login_link(), "a password of sixteen")
    linked: set[str] = set()
    serving.add_domain("example.org")
    assert call(serving.http, "GET", "/healthz").status == 200
    for path in ("/login", "/", "/domains/example.org", "/problems", "/sql", "/graphql"):
        page = call(serving.http, "GET", path, headers={"Cookie": cookie})
        assert page.status == 200 or path == "/login"
        linked.update(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    assert [
        name for name in ("htmx", "echarts", "app.js", "style.css") if not any(name in path for path in linked)
    ] == []
    for path in [*linked, *(f"/static/vendor/{name}" for name in ASSETS if name.endswith(".js"))]:
        answer = call(serving.http, "GET", path)
        assert (answer.status, bool(answer.text)) == (200, True), path


@pytest.mark.parametrize("installed", ["wheel"], indirect=True, scope="module")
def test_the_installed_commands_work_end_to_end(installed: Installed, serving: System) -> None:
    """Mail in, figures out, also as Parquet: what is left out of the environment is not missed."""
    environment = {**serving.environment, "PATH": "/usr/bin:/bin"}

    def run(*arguments: str) -> str:
        return subprocess.run(
            [installed.command, *arguments], env=environment, cwd="/", capture_output=True, text=True, check=True
        ).stdout

    domain = json.loads(run("domain", "add", "example.com", "--json"))
    assert serving.send(domain["rua"], report_mail()) == [(250, "")]
    serving.settle()
    figures = run("sql", "SELECT sum(count) AS n FROM dmarc_reports FORMAT JSON")
    assert int(json.loads(figures)["data"][0]["n"]) > 0
    token = json.loads(run("token", "create", "--json"))["token"]
    export = subprocess.run(
        [
            "curl",
            "-sSf",
            "-H",
            f"Authorization: Bearer {token}",
            f"{serving.http}/api/v1/exports/records?format=parquet",
        ],
        capture_output=True,
        check=True,
    ).stdout
    assert (export[:4], export[-4:]) == (b"PAR1", b"PAR1")


@pytest.mark.parametrize("installed", ["wheel"], indirect=True, scope="module")
def test_the_environment_has_only_what_is_used(installed: Installed) -> None:
    """No data-frame libraries; the README states the size."""
    packages = installed.folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    assert [name for name in ("pandas", "numpy", "pytest", "playwright") if (packages / name).exists()] == []
    stated = re.search(r"An installation takes about ([\d.]+) GB", (ROOT / "README.md").read_text())
    assert stated
    assert float(stated[1]) == pytest.approx(installed.bytes / 1e9, rel=0.1)
