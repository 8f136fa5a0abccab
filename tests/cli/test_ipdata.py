"""Promise: `dmarcworks ipdata` shows what is in use and how old it is, and puts a checked file in place, or nothing."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from dmarcworks.enrich.network.setup import INSTALLED
from tests.support import mmdb
from tests.support.mmdb import write_mmdb

ROOT = Path(__file__).parents[2]
DAY = 86_400


def ran(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DMARCWORKS_")}
    return subprocess.run(
        [sys.executable, "-c", "from dmarcworks.cli import main; main()", "ipdata", *arguments],
        env={**clean, "NO_COLOR": "1", "COLUMNS": "200", "DMARCWORKS_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def database(folder: Path, *, days_ago: int = 0, name: str = "Google LLC", network: str = "8.0.0.0/8") -> Path:
    built = int(time.time()) - days_ago * DAY
    return write_mmdb(
        folder / "a.db", mmdb.IPINFO, {network: mmdb.ipinfo("AS15169", name, "google.com", "US")}, built=built
    )


def files(home: Path, **environment: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(ran(home, "status", "--json", **environment).stdout)["files"]
    return [file for file in found if not str(file["path"]).startswith(str(INSTALLED))]


@contextmanager
def serving(content: bytes, *, status: int = 200, location: str = "") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if location else status)
            self.send_header("Content-Length", str(len(content)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/lite.mmdb?token=s3cret"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def test_a_file_is_put_in_place_and_its_licence_with_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = ran(home, "update", "--file", str(database(tmp_path, days_ago=3)), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["file"] == str(home / "ipdata" / "ipinfo-lite.mmdb")
    (file,) = files(home)
    assert {name: file[name] for name in ("kind", "age_days", "old", "path", "licence", "link")} == {
        "kind": "ipinfo-lite",
        "age_days": 3,
        "old": False,
        "path": str(home / "ipdata" / "ipinfo-lite.mmdb"),
        "licence": "Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)",
        "link": "https://ipinfo.io/",
    }
    notice = (home / "ipdata" / "ipinfo-lite.NOTICE.txt").read_text()
    assert notice.startswith("IP address data powered by IPinfo\nhttps://ipinfo.io/\n")
    assert sorted(path.name for path in (home / "ipdata").iterdir()) == ["ipinfo-lite.NOTICE.txt", "ipinfo-lite.mmdb"]
    shown = ran(home, "status").stdout
    assert "IP address data powered by IPinfo (https://ipinfo.io/), Creative Commons" in shown


def test_a_file_older_than_sixty_days_is_reported(tmp_path: Path) -> None:
    path = str(database(tmp_path, days_ago=60))
    fresh = json.loads(ran(tmp_path, "status", "--json", DMARCWORKS_IP_DATA=path).stdout)
    assert (fresh["files"][0]["age_days"], fresh["files"][0]["old"], fresh["warning"]) == (60, False, None)
    database(tmp_path, days_ago=61)
    old = ran(tmp_path, "status", "--json", DMARCWORKS_IP_DATA=path)
    assert old.returncode == 0
    assert json.loads(old.stdout)["warning"] == (
        "ipinfo-lite is 61 days old: networks have moved since; update the file with `dmarcworks ipdata update`"
    )


def test_without_a_file_the_status_shows_it(tmp_path: Path) -> None:
    done = ran(tmp_path, "status", DMARCWORKS_IP_DATA=str(tmp_path / "none.mmdb"))
    assert done.returncode == 1
    assert "No IP data file is in use." in done.stdout
    assert "warning: there is no IP data: network and country of addresses stay unknown" in done.stdout


@pytest.mark.parametrize("form", ["plain", "gzip", "tar"])
def test_a_download_is_unpacked_whatever_its_form(tmp_path: Path, form: str) -> None:
    content = database(tmp_path).read_bytes()
    if form == "gzip":
        content = gzip.compress(content)
    elif form == "tar":
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, data in (("GeoLite2/COPYRIGHT.txt", b"(c)"), ("GeoLite2/GeoLite2.mmdb", content)):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        content = packed.getvalue()
    with serving(content) as url:
        done = ran(tmp_path, "update", "--url", url)
        assert (done.returncode, done.stderr) == (0, "")
        again = ran(tmp_path, "update", DMARCWORKS_IP_DATA_URL=url)
        assert (again.returncode, again.stderr) == (0, "")
    assert [file["kind"] for file in files(tmp_path)] == ["ipinfo-lite"]


def test_what_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    assert ran(tmp_path, "update", "--file", str(database(tmp_path, days_ago=1))).returncode == 0
    before = (tmp_path / "ipdata" / "ipinfo-lite.mmdb").read_bytes()
    bad = tmp_path / "bad"
    cut = database(tmp_path).read_bytes()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as empty:
        empty.addfile(tarfile.TarInfo("README"))
    for content, reason in (
        (b"<html>no</html>", f"{bad} is not a file in MaxMind's format"),
        (gzip.compress(cut)[:-20], f"{bad} cannot be unpacked"),
        (archive.getvalue(), f"{bad} is an archive without an .mmdb file"),
        (b"", f"{bad} is not a file in MaxMind's format"),
        (database(tmp_path, network="192.0.2.0/24").read_bytes(), "has no data for any of the sampled addresses"),
        (
            write_mmdb(tmp_path / "x", "GeoIP2-ISP", {"8.0.0.0/8": {}}).read_bytes(),
            "has the database type 'GeoIP2-ISP'",
        ),
        (database(tmp_path, days_ago=9).read_bytes(), "to use the older one, remove"),
    ):
        bad.write_bytes(content)
        done = ran(tmp_path, "update", "--file", str(bad))
        assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
        assert "Traceback" not in done.stderr
    missing = ran(tmp_path, "update", "--file", str(tmp_path / "missing"))
    assert (missing.returncode, "missing cannot be read: No such file" in missing.stderr) == (1, True)
    assert (tmp_path / "ipdata" / "ipinfo-lite.mmdb").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "ipdata").iterdir()) == [
        "ipinfo-lite.NOTICE.txt",
        "ipinfo-lite.mmdb",
    ]


def test_a_download_is_over_https_and_shows_no_token(tmp_path: Path) -> None:
    plain = ran(tmp_path, "update", "--url", "http://data.example/lite.mmdb?token=s3cret")
    assert plain.returncode == 2
    assert "must begin with https:// (here http://data.example)" in plain.stderr
    with serving(b"", location="http://data.example/lite.mmdb") as url:
        led = ran(tmp_path, "update", "--url", url)
    assert (led.returncode, "must begin with https://" in led.stderr) == (2, True)
    with serving(b"", status=403) as url:
        refused = ran(tmp_path, "update", "--url", url)
    assert (refused.returncode, refused.stderr.strip()) == (
        1,
        "dmarcworks: 127.0.0.1 answered with status 403; check the address",
    )
    gone = ran(tmp_path, "update", "--url", url)
    assert (gone.returncode, "downloading from 127.0.0.1 failed" in gone.stderr) == (1, True)
    for done in (plain, led, refused, gone):
        assert "s3cret" not in done.stdout + done.stderr


def test_wrong_usage_names_what_to_do(tmp_path: Path) -> None:
    for arguments, environment, reason in (
        ((), {}, "there is no URL: give --url or --file, or set ip_data_url"),
        (("--url", "https://a.example", "--file", "a"), {}, "give either --url or --file"),
        (("--file", "a"), {"DMARCWORKS_IP_DATA": "off"}, "the setting ip_data is `off`"),
        (("--file", "a"), {"DMARCWORKS_IP_DATA": "/data/x.mmdb"}, "names your own files (/data/x.mmdb)"),
        (("--url", "nonsense"), {}, "must begin with https://"),
    ):
        done = ran(tmp_path, "update", *arguments, **environment)
        assert (done.returncode, reason in done.stderr) == (2, True), done.stderr


@pytest.fixture
def script() -> ModuleType:
    """scripts/ipdata.py, which `make install` runs."""
    spec = importlib.util.spec_from_file_location("ipdata_script", ROOT / "scripts" / "ipdata.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, content: bytes) -> str:
    """A wheel with one file; its SHA-256."""
    path = folder / "somedata-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("somedata/lite.mmdb", content)
        archive.writestr("somedata/__init__.py", "raise SystemExit('nobody runs this')")
        archive.writestr("somedata-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: somedata\nVersion: 1.0\n")
        archive.writestr(
            "somedata-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("somedata-1.0.dist-info/RECORD", "")
    return sha256(path.read_bytes()).hexdigest()


def test_the_installation_unpacks_one_file_of_the_pinned_wheel(
    tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    if importlib.util.find_spec("pip") is None:
        monkeypatch.setattr(script, "pip", lambda: ("pip",))
    target = tmp_path / "share"
    pin = script.Pin("somedata", "1.0", wheel(tmp_path, database(tmp_path).read_bytes()), "somedata/lite.mmdb")
    assert script.main(pin, target) == 0
    assert sorted(path.name for path in target.iterdir()) == [
        "ipinfo-lite.NOTICE.txt",
        "ipinfo-lite.mmdb",
        "wheel.sha256",
    ]
    assert [file["kind"] for file in files(tmp_path, DMARCWORKS_IP_DATA=str(target))] == ["ipinfo-lite"]
    assert capsys.readouterr().err == ""
    # Another wheel under the same name, and none at all: the installation continues and reports it.
    wheel(tmp_path, b"other")
    (target / "wheel.sha256").write_text("")
    assert script.main(pin, target) == 0
    error = capsys.readouterr().err
    assert error.startswith("IP data: not installed (")
    assert "`dmarcworks ipdata update` adds a file of your own" in error
    (tmp_path / "somedata-1.0-py3-none-any.whl").unlink()
    assert script.main(pin, tmp_path / "other") == 0
    assert "No matching distribution found" in capsys.readouterr().err
    assert [file["kind"] for file in files(tmp_path, DMARCWORKS_IP_DATA=str(target))] == ["ipinfo-lite"]


def test_the_notice_of_the_installation_is_the_programs(script: ModuleType) -> None:
    from dmarcworks.enrich.network.attribution import IPINFO

    assert IPINFO.notice == script.NOTICE
