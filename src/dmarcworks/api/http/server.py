"""uvicorn inside our event loop, on a socket that is bound before anything starts, behind our own `HttpListener`."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Generator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from dmarcworks.api.http.admission import Admission
from dmarcworks.api.http.bodies import Bodies
from dmarcworks.api.http.bounds import HttpBounds
from dmarcworks.api.http.connection import HttpConnection
from dmarcworks.api.http.listener import HttpListener
from dmarcworks.errors import SettingsError

__all__ = ["Web"]


class Web:
    """The HTTP server of one address. It listens at once; `serve` an application until `stop`.

    `ended` is called with the reason whenever a connection is refused or ended, or a body refused.
    """

    def __init__(
        self,
        host: str,
        port: int,
        setting: str,
        bounds: HttpBounds,
        *,
        admission: Admission | None = None,
        ended: Callable[[str], None] = lambda why: None,
    ) -> None:
        try:
            listener = _listen(host, port)
        except OSError as error:
            raise SettingsError(f"HTTP cannot listen on {host}:{port}: {error.strerror}; see {setting}") from None
        self._bounds, self._ended = bounds, ended
        self._listeners = [listener]
        host = f"[{host}]" if ":" in host else host
        address, port = listener.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self.commands = self._loopback(ipaddress.ip_address(address), port)
        admission = admission or Admission(bounds.connections, bounds.connections_per_address)
        self._listener = HttpListener(self._listeners, bounds, admission, ended)
        self._bodies: Bodies | None = None
        self._server: _Server | None = None
        self._accepting: asyncio.Task[None] | None = None

    def _loopback(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> str:
        """A loopback address for commands on this machine, with a socket of its own where needed."""
        if address.is_loopback:
            return self.url
        if address.is_unspecified:
            return f"http://{'127.0.0.1' if address.version == 4 else '[::1]'}:{port}"
        self._listeners.append(_listen("127.0.0.1", 0))
        return f"http://127.0.0.1:{self._listeners[-1].getsockname()[1]}"

    @property
    def body_bytes(self) -> int:
        """Bytes of requests' bodies in memory."""
        return self._bodies.held if self._bodies else 0

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return self._listener.total

    async def serve(self, app: ASGIApp) -> None:
        """Answer until `stop`, and close the sockets at the end; raises what ended accepting."""
        self._bodies = Bodies(app, self._bounds, self._ended)
        config = uvicorn.Config(
            self._bodies,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            # What strangers send that is no HTTP is counted, not logged.
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=self._bounds.idle_seconds,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=self._bounds.header_bytes,
        )
        server = self._server = _Server(config)
        make = partial(HttpConnection, config, server.server_state, {}, self._listener)
        try:
            async with asyncio.TaskGroup() as group:
                self._accepting = group.create_task(self._listener.run(make), name="http listener")
                await server.serve(sockets=[])
                self._accepting.cancel()
        finally:
            await self._listener.close()

    async def stop(self) -> None:
        """Accept nothing more and make `serve` return: open responses have a second to finish."""
        if self._server is not None and self._accepting is not None:
            self._accepting.cancel()
            self._server.should_exit = True

    def close(self) -> None:
        """Close the sockets, also where `serve` was never called."""
        for listener in self._listeners:
            listener.close()


class _Server(uvicorn.Server):
    """uvicorn's server without sockets, which are our listener's, and without signals, which are the process's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to the process: uvicorn would end the process with SIGTERM instead of status 0."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener
