"""Every contract's implementations by name: a later form adds a parameter and its opener here, and nothing else."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

DEBIAN = Path("/usr/lib/postgresql")


class PostgresServer:
    """`initdb`, `postgres`: found by pg_config or in Debian's folder, run as the user postgres where we are root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.why = ""
        self.url = ""
        found = [Path(path).parent for path in (shutil.which("initdb"), *DEBIAN.glob("*/bin/initdb")) if path]
        self.programs = found[0] if found else None
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.who: dict[str, Any] = {}

    def start(self) -> bool:
        if self.programs is None:
            self.why = "initdb is not installed"
            return False
        who: dict[str, Any] = {}
        if not os.geteuid():
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                self.why = "there is no user postgres"
                return False
            who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            # Every run of pytest shuts its folders for others, also those of a run that is under way: the server has
            # one beside them.
            self.folder = Path(tempfile.mkdtemp(prefix="dmarcworks-postgres-"))
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        made = subprocess.run(
            [self.programs / "initdb", "-A", "trust", "-U", "test", "-N", "-D", self.folder / "data"],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            **who,
        )
        if made.returncode:
            self.why = made.stderr.strip()
            return False
        self.who = who
        for _ in range(3):  # between the choice of a port and the server's start somebody else may take it
            self.port = free_port()
            self.url = f"postgresql://test@127.0.0.1:{self.port}/postgres"
            if self.boot():
                return True
        return False

    def boot(self) -> bool:
        """Start it on the data that are there."""
        assert self.programs is not None
        data, port, who = self.folder / "data", self.port, self.who
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", str(self.folder), "-F"],
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("wb"),
            cwd=self.folder,
            **who,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            # The server's own word: whoever answers on the port may be somebody else.
            with contextlib.suppress(OSError):
                lines = (data / "postmaster.pid").read_text().splitlines()
                if len(lines) > 7 and lines[0] == str(self.process.pid) and lines[7].strip() == "ready":
                    return True
            time.sleep(0.05)
        self.why = (self.folder / "log").read_text()[-500:]
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(30)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def fresh(url: str) -> str:
    """The URL of a new, empty database on the server; waits until the server is up."""
    name = f"t{secrets.token_hex(6)}"
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), isolation_level="AUTOCOMMIT")
    for left in reversed(range(200)):
        try:
            async with engine.connect() as connection:
                await connection.execute(text(f"CREATE DATABASE {name}"))
            break
        except (DBAPIError, OSError):
            if not left:
                raise
            await asyncio.sleep(0.05)
    await engine.dispose()
    return url.rpartition("/")[0] + f"/{name}"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


def fill(folder: Path) -> Path:
    """Take every byte that is left on the folder's disk; the file that holds them."""
    filler = folder / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue
    return filler
