"""Where mail comes in: `host:port`, `[v6]:port` or `unix:path`, then `/tls`, `/lmtp`, `/proxy` as wanted.

In: the text of DMARCWORKS_SMTP_LISTEN. Out: listeners, and their bound sockets. Refused with `SettingsError`: what is
no such list, a port that LMTP must not have (25, RFC 2033 §5), an address that cannot be had.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import re
import socket
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from dmarcworks.errors import SettingsError

_TCP = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\s:/\[\]]+)):(\d{1,5})$")
_OPTIONS = ("tls", "lmtp", "proxy")
_BACKLOG = 1024
SETTING = "DMARCWORKS_SMTP_LISTEN"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener. `path` is set for a Unix socket (always LMTP), `port` 0 binds a free one."""

    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False
    lmtp: bool = False
    proxy: bool = False

    @property
    def name(self) -> str:
        """The address as people write it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return self.name + "".join(f"/{option}" for option in _OPTIONS if getattr(self, option) and not self.path)


def parse_listeners(text: str) -> list[Listener]:
    """The listeners of a list that commas or spaces part."""
    listeners = [_listener(item) for item in re.split(r"[,\s]+", text) if item]
    names = [item.name for item in listeners if item.port or item.path]
    if len(names) > len(set(names)):
        raise SettingsError(f"{SETTING}: {text!r} contains an address twice")
    return listeners


def _listener(item: str) -> Listener:
    if item.startswith("unix:"):
        path = item.removeprefix("unix:")
        if not path.startswith("/") or len(os.fsencode(path)) > 100:
            raise SettingsError(f"{SETTING}: {item!r} needs an absolute path of at most 100 bytes")
        return Listener(path=path, lmtp=True)
    address, *options = item.split("/")
    match = _TCP.match(address)
    if match is None or int(match[3]) > 65_535:
        raise SettingsError(f"{SETTING}: {item!r} is not host:port, [IPv6]:port or unix:/path")
    if wrong := [option for option in options if option not in _OPTIONS]:
        raise SettingsError(f"{SETTING}: {item!r}: /{wrong[0]} is not one of {', '.join('/' + o for o in _OPTIONS)}")
    listener = Listener(match[1] or match[2], int(match[3]), "", *(option in options for option in _OPTIONS))
    if listener.lmtp and listener.port == 25:
        raise SettingsError(f"{SETTING}: {item!r}: LMTP must not be spoken on port 25 (RFC 2033)")
    return listener


def parse_networks(text: str, setting: str) -> list[Network]:
    """Networks like 192.0.2.0/24 or 2001:db8::/32 that commas or spaces part; an address is a network of one."""
    try:
        return [ipaddress.ip_network(item) for item in re.split(r"[,\s]+", text) if item]
    except ValueError as error:
        raise SettingsError(f"{setting}: {error}") from None


@dataclass(frozen=True, slots=True)
class BoundListener:
    """A listener with its socket, bound to the real address; another process may own it."""

    listener: Listener
    socket: socket.socket
    owned: bool = True


def bind(listener: Listener, *, shared: bool = False) -> list[BoundListener]:
    """Bind what the listener names (a name may have several addresses); with `shared` other processes may too."""
    if listener.path:
        return [BoundListener(listener, _unix(listener))]
    bound: list[BoundListener] = []
    port = listener.port
    try:
        for family, _, _, _, address in socket.getaddrinfo(
            listener.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            opened = socket.socket(family, socket.SOCK_STREAM)
            bound.append(BoundListener(listener, opened))
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.bind((address[0], port, *address[2:]))
            port = opened.getsockname()[1]
            bound[-1] = BoundListener(replace(listener, host=str(address[0]), port=port), opened)
    except OSError as error:
        for one in bound:
            one.socket.close()
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        setting = "DMARCWORKS_SMTP_HOST, DMARCWORKS_SMTP_PORT and DMARCWORKS_SMTP_LISTEN"
        raise SettingsError(f"SMTP cannot listen on {listener.name}: {why}; see {setting}") from None
    return bound


def listen(bound: BoundListener) -> None:
    """Let connections come in."""
    bound.socket.listen(_BACKLOG)


def _unix(listener: Listener) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened.setblocking(False)
    try:
        _remove_stale(Path(listener.path))
        opened.bind(listener.path)
        # Write permission on the socket is permission to send: the owner and the group, which the folder can set
        # (setgid).
        os.chmod(listener.path, 0o660)
    except OSError as error:
        opened.close()
        raise SettingsError(f"LMTP cannot listen on {listener.name}: {error.strerror}; see {SETTING}") from None
    return opened


def _remove_stale(path: Path) -> None:
    """A socket that nobody serves any more is in the way; anything else is not ours to remove."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "there is a file that is no socket")
    except FileNotFoundError:
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)
    else:
        raise OSError(errno.EADDRINUSE, "another process serves this socket")
    finally:
        probe.close()


def remove(bound: BoundListener) -> None:
    """Close the socket; a Unix one's name goes too, if it is ours."""
    bound.socket.close()
    if bound.listener.path and bound.owned:
        with contextlib.suppress(OSError):
            os.unlink(bound.listener.path)
