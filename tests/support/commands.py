"""Run a command in a process of its own, on a data directory that a server has prepared."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from dmarcworks.catalogue.stores import opened
from dmarcworks.settings import load


def prepared(home: Path) -> Path:
    """A data directory with its stores, as the first start of a server leaves it."""
    settings, _ = load({"DMARCWORKS_HOME": str(home), "DMARCWORKS_HOSTNAME": "reports.example.net"})

    async def make() -> None:
        async with opened(settings):
            pass

    if not (home / "dmarcworks.db").exists():
        asyncio.run(make())
    return home


def run(home: Path, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from dmarcworks.cli import main; main()", *arguments]
    environ = {**os.environ, "DMARCWORKS_HOME": str(prepared(home)), "DMARCWORKS_HOSTNAME": "reports.example.net"}
    # Most machines that run tests have no DNS to query.
    environ |= {"DMARCWORKS_SETUP_CHECKS": "off"}
    return subprocess.run(command, input=answer, capture_output=True, text=True, check=False, timeout=180, env=environ)
