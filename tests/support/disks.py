"""Small memory file systems for the stores: they can be filled up, freed, made read-only and larger."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.system import skip
from tests.support.waiting import wait_for

SIZES = {"objects": "2m", "database": "8m", "analytics": "64m"}


class Disks:
    """Small disks that can be filled up and made read-only."""

    def __init__(self, root: Path, sizes: Mapping[str, str] = SIZES) -> None:
        self.root = root
        self.sizes = sizes

    def path(self, name: str) -> Path:
        return self.root / name

    def mount(self) -> None:
        for name, size in self.sizes.items():
            self.path(name).mkdir(parents=True)
            done = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.path(name))],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                self.unmount()
                skip(f"a memory file system cannot be mounted here: {done.stderr.strip()}")

    def unmount(self) -> None:
        for name in self.sizes:
            if os.path.ismount(self.path(name)):
                subprocess.run(["umount", "-l", str(self.path(name))], check=True)

    def remount(self, name: str, mode: str) -> None:
        """The kernel calls a disk busy while a file on it is open for writing: asked again until it is not."""
        command = ["mount", "-o", f"remount,{mode}", str(self.path(name))]

        def done() -> bool:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert not done.returncode or "busy" in done.stderr, done.stderr
            return not done.returncode

        wait_for(done, f"mounted {mode}")

    def fill(self, name: str) -> None:
        """Leave not one block."""
        with (self.path(name) / "filler").open("wb", buffering=0) as filler:
            for block in (65536, 4096, 1):
                try:
                    while filler.write(b"x" * block):
                        pass
                except OSError:
                    continue

    def free(self, name: str) -> None:
        (self.path(name) / "filler").unlink()

    def urls(self) -> dict[str, str]:
        """Settings of a system whose stores stand on these disks."""
        return {
            "DMARCWORKS_OBJECTS_URL": f"file://{self.path('objects')}/objects",
            "DMARCWORKS_DATABASE_URL": f"sqlite:///{self.path('database')}/dmarcworks.db",
            "DMARCWORKS_ANALYTICS_URL": f"chdb://{self.path('analytics')}/analytics",
        }
