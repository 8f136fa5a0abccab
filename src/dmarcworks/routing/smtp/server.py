"""Accepts connections on every listener, runs an `SmtpConnection` for each, and ends them all at a stop. PROXY
listeners read a connection's header first, and only from networks that may speak for others; every other client is
closed without a reply. Listeners with TLS from the first byte count a client before its handshake. `SettingsError` when
something that such a listener needs is not set.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import resource
import socket
from collections.abc import Sequence

import structlog

from dmarcworks.errors import SettingsError
from dmarcworks.routing.smtp.connection import HANDSHAKE_SECONDS, SmtpConnection
from dmarcworks.routing.smtp.limits import SmtpLimits, plain_address
from dmarcworks.routing.smtp.listeners import BoundListener, Listener, Network, bind, listen, remove
from dmarcworks.routing.smtp.proxy import ProxyError, read_header
from dmarcworks.routing.smtp.session import Delivery, Recipient, SmtpBounds
from dmarcworks.routing.smtp.tls import Certificate

log = structlog.get_logger("dmarcworks.smtp")

_PROXY_SECONDS = 5.0
_OTHER_FILES = 1024


class SmtpServer:
    """The SMTP and LMTP server. `start`, then `stop`; `run` watches what accepts in between."""

    def __init__(
        self,
        *,
        listeners: Sequence[Listener],
        hostname: str,
        bounds: SmtpBounds,
        recipient: Recipient,
        deliver: Delivery,
        certificate: Certificate | None = None,
        proxies: Sequence[Network] = (),
    ) -> None:
        self._listeners = listeners
        self._proxies = proxies
        self.hostname = hostname
        self.bounds = bounds
        self.recipient = recipient
        self.deliver = deliver
        self.certificate = certificate
        self.limits = SmtpLimits(bounds, asyncio.get_running_loop().time)
        self.connections: set[SmtpConnection] = set()
        self.transfer = 0
        self.closing = False
        self.bound: list[BoundListener] = []
        self._servers: list[asyncio.Server] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._arriving: set[asyncio.Task[None]] = set()
        self._shutting = asyncio.Event()
        self._empty = asyncio.Event()
        for listener in listeners:
            if listener.tls and certificate is None:
                raise SettingsError(f"{listener}: TLS needs DMARCWORKS_SMTP_TLS_CERT and DMARCWORKS_SMTP_TLS_KEY")
            if listener.proxy and not proxies:
                raise SettingsError(f"{listener}: PROXY needs DMARCWORKS_SMTP_PROXY_NETWORKS")

    def settled(self) -> None:
        """Called whenever a conversation ends: signals when the last one ends while we close."""
        if self.closing and not self.connections:
            self._empty.set()

    @property
    def listening(self) -> list[Listener]:
        """The listeners with their real ports."""
        return [bound.listener for bound in self.bound]

    @property
    def port(self) -> int:
        """The first listener's real port."""
        return self.bound[0].listener.port if self.bound else self._listeners[0].port

    async def start(self, bound: Sequence[BoundListener] | None = None) -> None:
        """Listen, on sockets of its own or on those handed in. `SettingsError` when an address cannot be had."""
        try:
            for listener in self._listeners if bound is None else ():
                self.bound += bind(listener)
            self.bound += bound or ()
            _allow_files(self.bounds.connections)
            for one in self.bound:
                await self._open(one)
                log.info("listening", address=str(one.listener))
        except BaseException:
            await self._shut()
            raise

    async def run(self) -> None:
        """Wait for `stop`; raises what ended a listener before that."""
        waiting = asyncio.create_task(self._shutting.wait(), name="smtp stop")
        try:
            done, _ = await asyncio.wait({waiting, *self._accepting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self.closing:
            for task in done:
                task.result()

    async def _open(self, bound: BoundListener) -> None:
        loop, listener = asyncio.get_running_loop(), bound.listener
        listen(bound)
        if listener.proxy or listener.tls:
            self._accepting.append(loop.create_task(self._accept(bound), name=f"smtp {listener}"))
        elif listener.path:
            server = await loop.create_unix_server(lambda: SmtpConnection(self, listener), sock=bound.socket)
            self._servers.append(server)
        else:
            self._servers.append(await loop.create_server(lambda: SmtpConnection(self, listener), sock=bound.socket))

    async def _accept(self, bound: BoundListener) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(bound.socket)
            except OSError as error:  # no more file handles, or a client that went again
                log.warning("accept failed", error=str(error))
                await asyncio.sleep(0.1)
                continue
            if len(self._arriving) >= self.bounds.connections:
                connection.close()
                continue
            task = loop.create_task(self._arrive(connection, plain_address(str(address[0])), bound.listener))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _arrive(self, connection: socket.socket, peer: str, listener: Listener) -> None:
        """What comes before the conversation on a PROXY or TLS listener."""
        connection.setblocking(False)
        try:
            client = await self._client(connection, peer) if listener.proxy else peer
            refusal = self.limits.enter(client)
            if refusal is not None:
                log.warning("connection refused", peer=client, reply=refusal)
                if not listener.tls:
                    await asyncio.get_running_loop().sock_sendall(connection, refusal.encode() + b"\r\n")
                connection.close()
                return
            try:
                await self._converse(connection, client, listener)
            except BaseException:
                self.limits.leave(client)
                raise
        except (ProxyError, OSError, TimeoutError) as error:  # a failed handshake is an OSError too
            log.warning("connection failed", peer=peer, error=str(error) or type(error).__name__)
            connection.close()
        except BaseException:
            connection.close()
            raise

    async def _client(self, connection: socket.socket, balancer: str) -> str:
        if not any(ipaddress.ip_address(balancer) in network for network in self._proxies):
            raise ProxyError("not from DMARCWORKS_SMTP_PROXY_NETWORKS")
        return plain_address(await asyncio.wait_for(read_header(connection), _PROXY_SECONDS)) or balancer

    async def _converse(self, connection: socket.socket, client: str, listener: Listener) -> None:
        context = self.certificate.context if listener.tls and self.certificate is not None else None
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: SmtpConnection(self, listener, client),
            connection,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
        )

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, let mails in transfer finish for `grace` seconds, reply 421 to the rest."""
        self.closing = True
        self._shutting.set()
        await self._shut()
        for connection in list(self.connections):
            if not connection.busy:
                connection.dismiss()
        self.settled()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), grace)
        for connection in list(self.connections):
            connection.dismiss()

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        tasks = [*self._accepting, *self._arriving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._servers, self._accepting = [], []
        for bound in self.bound:
            remove(bound)


def _allow_files(connections: int) -> None:
    """As many open files as connections and what else a server has; the usual soft limit of 1,024 is too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        log.warning("few open files allowed", limit=hard, connections=connections)
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
