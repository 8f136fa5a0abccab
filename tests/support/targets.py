"""What the tests run in isolated child processes."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dmarcworks.reports.model import Warning

IMPORTER = os.getpid()


def work(argument: Any) -> Any:
    """Do what the argument says."""
    word, *rest = argument
    return globals()[f"do_{word}"](*rest)


def make(prefix: str) -> Callable[[str], str]:
    """A function with something of its own."""
    return lambda text: prefix + text


def pieces(number: int) -> Iterator[list[int]]:
    """A list for each number."""
    for one in range(number):
        yield [one]


def do_echo(value: Any) -> Any:
    return value


def do_pid() -> int:
    return os.getpid()


def do_importer() -> int:
    """The process that imported this module."""
    return IMPORTER


def do_parent() -> int:
    return os.getppid()


def do_end_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def do_warning() -> Warning:
    return Warning("code", "where", "detail")


def do_path() -> Path:
    return Path("/")


def do_spin() -> None:
    """Holds the interpreter's lock: no other thread of the process runs meanwhile."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def do_spin_in_thread() -> None:
    thread = threading.Thread(target=do_spin)
    thread.start()
    thread.join()


def do_wait(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.005)
    return "waited"


def do_meet(directory: str, name: str, number: int) -> None:
    """Wait until `number` jobs are here."""
    (Path(directory) / name).touch()
    while len(list(Path(directory).iterdir())) < number:
        time.sleep(0.005)


def do_sleep() -> None:
    time.sleep(600)


def do_fill() -> int:
    return len([bytes(1 << 20) for _ in range(1 << 16)])


def do_exit() -> None:
    sys.exit(3)


def do_end() -> None:
    os._exit(3)


def do_raise() -> None:
    raise ValueError("no such thing")


def do_print() -> str:
    print("this is no answer")
    os.write(1, b"nor is this\n")
    return "printed"


def do_environment() -> list[str]:
    return sorted(os.environ)


def do_modules() -> list[str]:
    return sorted({name.partition(".")[0] for name in sys.modules})


def do_descriptors() -> list[str]:
    """What is open beside standard input, output and error."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue
    return sorted(target.partition(":")[0] for number, target in found if number > 2 and "/proc/" not in target)


def do_write(path: str) -> str:
    try:
        Path(path).write_bytes(b"x")
    except OSError as error:
        return type(error).__name__
    return "written"


def do_socket() -> str:
    first, second = socket.socketpair()
    with first, second:
        first.sendall(b"y")
        return second.recv(1).decode()
