"""Look up the runtime dependencies of requirements.lock in a database of known vulnerabilities (`make audit`).

In: requirements.lock; SERVICE is `pypi` (default) or `osv`. Out: a line per vulnerability. Exit status 0: every package
was looked up and none is affected; 1: a package is affected; 2: the data could not be had for every package.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "requirements.lock"
OFFLINE = (
    "The audit needs a vulnerability database over HTTPS: run `make audit` where the package index's JSON API can be\n"
    "reached, or `make audit SERVICE=osv`, or give requirements.lock to the scanner that your organisation uses."
)


def audit(lock: Path, service: str) -> tuple[list[dict[str, Any]], str]:
    """What was found of each package, and what was said when there is no result."""
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip",
        "--vulnerability-service", service, "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        return [], done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit status {done.returncode}"


def judged(found: list[dict[str, Any]], error: str) -> tuple[int, list[str]]:
    """Exit status and lines for people."""
    affected = [one for one in found if one.get("vulns")]
    skipped = [one for one in found if "skip_reason" in one]
    lines = [
        f"{one['name']} {one['version']}: {vuln['id']}, fixed in {', '.join(vuln['fix_versions']) or 'no version yet'}"
        for one in affected
        for vuln in one["vulns"]
    ]
    looked_up = len(found) - len(skipped)
    if not looked_up:
        return 2, [f"No vulnerability data could be had for any package{f' ({error})' if error else ''}.", OFFLINE]
    if skipped:
        lines += [f"{one['name']}: not looked up: {one['skip_reason']}" for one in skipped]
    lines.append(f"{looked_up} of {len(found)} packages were looked up, {len(affected)} are affected.")
    return (1 if affected else 2 if skipped else 0), lines


def main() -> int:
    """Audit and print."""
    status, lines = judged(*audit(LOCK, sys.argv[1] if len(sys.argv) > 1 else "pypi"))
    print("\n".join(lines), file=sys.stderr if status == 2 else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
