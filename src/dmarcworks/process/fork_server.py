"""The process that isolated child processes are forked from (`python -m dmarcworks.process.fork_server`).

It is a fresh interpreter with a clean environment that imports the functions' modules once, so that a child starts in
milliseconds. It has one thread, runs none of the functions and never meets strangers' bytes. Requests come in on a Unix
socket as standard input, which ends when the server does; the requests that start a child carry its two pipes. Only
this process waits for its children, so a process id that it kills is never one of another process.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from enum import IntEnum
from importlib import import_module
from typing import NoReturn

from dmarcworks.process import child
from dmarcworks.process.limits import restrict

__all__ = ["ANSWER", "REQUEST", "Request", "main"]

# A request's kind, the child's number and the length of what follows; an answer's kind, the child's number, and its
# process id, or its exit status as `subprocess` gives it (a signal is negative), or the negative error number.
REQUEST = struct.Struct(">BQI")
ANSWER = struct.Struct(">BQq")
_DESCRIPTORS = 1 << 20


class Request(IntEnum):
    """What the server wants."""

    SETUP = 1  # the search path for modules and the server's process id
    IMPORT = 2  # import this module, for children to come
    FORK = 3  # start a child with these two pipes, with this module imported
    KILL = 4  # end this child
    WAIT = 5  # end this child and return its exit status


def main() -> None:
    """Serve requests until the server's end of the socket is closed."""
    channel = socket.socket(fileno=os.dup(0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    os.close(nowhere)
    # An event loop may leave copies of descriptors; a child must not inherit any of them.
    os.closerange(channel.fileno() + 1, _DESCRIPTORS)
    if (first := _received(channel)) is None:
        return
    # The server's own modules, and those that a test's server finds, are found in the same places here.
    path, parent = pickle.loads(first[2])  # noqa: S301 - from our parent
    sys.path[:] = path
    restrict(0, 0, parent, expendable=False)
    # A collection would only copy pages that the children share.
    gc.disable()
    children: dict[int, int] = {}
    while (request := _received(channel)) is not None:
        kind, number, payload, pipes = request
        if kind in (Request.IMPORT, Request.FORK):
            _import(payload.decode())
        if kind == Request.FORK:
            _answer(channel, kind, number, _fork(channel, pipes, children, number))
        elif kind in (Request.KILL, Request.WAIT):
            status = _end(children, number, wait=kind == Request.WAIT)
            if kind == Request.WAIT:
                _answer(channel, kind, number, status)
    os._exit(0)


def _received(channel: socket.socket) -> tuple[int, int, bytes, list[int]] | None:
    """The next request with its descriptors; None at the end."""
    header, pipes, _, _ = socket.recv_fds(channel, REQUEST.size, 2)
    while 0 < len(header) < REQUEST.size and (more := channel.recv(REQUEST.size - len(header))):
        header += more
    if len(header) < REQUEST.size:
        return None
    kind, number, length = REQUEST.unpack(header)
    payload = b""
    while len(payload) < length:
        if not (more := channel.recv(length - len(payload))):
            return None
        payload += more
    return kind, number, payload, pipes


def _answer(channel: socket.socket, kind: int, number: int, value: int) -> None:
    try:
        channel.sendall(ANSWER.pack(kind, number, value))
    except OSError:
        os._exit(1)  # the server is gone


def _import(module: str) -> None:
    if module in sys.modules:
        return
    # The child tries again, and it is the child that reports the error.
    with contextlib.suppress(Exception, SystemExit):
        import_module(module)
    gc.freeze()


def _fork(channel: socket.socket, pipes: list[int], children: dict[int, int], number: int) -> int:
    """The new child's process id, or a negative error number."""
    try:
        process = os.fork()
    except OSError as error:
        process = -(error.errno or 1)
    if process == 0:
        _run(channel, pipes)
    if process > 0:
        children[number] = process
    for pipe in pipes:
        os.close(pipe)
    return process


def _end(children: dict[int, int], number: int, *, wait: bool) -> int:
    """Kill a child; its exit status when it is waited for."""
    if (process := children.get(number)) is None:
        return 0  # it could not be forked
    os.kill(process, signal.SIGKILL)
    if not wait:
        return 0
    del children[number]
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _run(channel: socket.socket, pipes: list[int]) -> NoReturn:
    """The child: in a session of its own, with its pipes and nothing else."""
    status = 1
    try:
        os.setsid()
        # The object must not close a descriptor that has this number later.
        channel.detach()
        for place, pipe in enumerate(pipes):
            os.dup2(pipe, place)
        os.closerange(3, _DESCRIPTORS)
        gc.enable()
        child.main()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
