"""A logged-in IMAP connection, by imap-tools over imaplib: bounded answers, an own socket, plain words for errors."""

from __future__ import annotations

import contextlib
import imaplib
import socket
import ssl
from typing import Any

from imap_tools import BaseMailBox
from imap_tools.errors import ImapToolsError

from dmarcworks.sources.contract import MailboxError
from dmarcworks.sources.explain import refusal, server_words
from dmarcworks.sources.hosts import Network, connected, tls_context
from dmarcworks.sources.mailbox_url import MailboxUrl

__all__ = ["BoundedMailBox", "logged_in", "words_of"]

# In addition to what is requested: headers of a FETCH, and a server that sends a mail's length in other line ends.
_MARGIN_BYTES = 64 * 1024


class _BoundedImap:
    """What the two kinds of connection share: where they connect to, and how much they read at once."""

    network = Network()
    largest = 1 << 20

    def read(self, size: int) -> bytes:
        """A literal; one that is larger than what was requested ends the connection before it is read."""
        if size > self.largest + _MARGIN_BYTES:
            raise imaplib.IMAP4.abort(f"it sent {size} bytes where {self.largest} were requested")
        return bytes(super().read(size))  # type: ignore[misc]  # of imaplib


class _Plain(_BoundedImap, imaplib.IMAP4):
    def _create_socket(self, timeout: float | None) -> socket.socket:
        return connected(self.host, self.port, self.network)


class _Tls(_BoundedImap, imaplib.IMAP4_SSL):
    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        made = connected(self.host, self.port, self.network)
        context: ssl.SSLContext = self.ssl_context
        return context.wrap_socket(made, server_hostname=self.host)


class BoundedMailBox(BaseMailBox):
    """imap-tools' mailbox over a connection of ours."""

    client: Any

    def __init__(self, url: MailboxUrl, network: Network) -> None:
        self._url, self._network = url, network
        super().__init__()

    def _get_mailbox_client(self) -> imaplib.IMAP4:
        kind = _Tls if self._url.scheme == "imaps" else _Plain
        # imaplib connects in its constructor, so what it needs is an attribute of a class for this connection.
        made = type(kind.__name__, (kind,), {"network": self._network})
        more = {"ssl_context": tls_context(self._network)} if kind is _Tls else {}
        client: imaplib.IMAP4 = made(self._url.host, self._url.port, timeout=self._network.seconds, **more)
        if self._url.scheme == "imap+starttls":
            if "STARTTLS" not in client.capabilities:
                text = f"{self._url.server} does not offer STARTTLS; try imaps:, or another port."
                raise MailboxError("tls", text)
            client.starttls(tls_context(self._network))
        return client

    def cut(self) -> None:
        """End the connection from another thread; a call that waits for an answer fails."""
        with contextlib.suppress(OSError, AttributeError):
            socket.socket.shutdown(self.client.sock, socket.SHUT_RDWR)

    def end(self) -> None:
        """Log out as far as that is possible, and close the socket."""
        with contextlib.suppress(Exception):
            self.client.logout()
        with contextlib.suppress(Exception):
            self.client.shutdown()


def logged_in(url: MailboxUrl, password: str, network: Network) -> BoundedMailBox:
    """A connection that is logged in; the errors of the libraries, or a `MailboxError`."""
    box = BoundedMailBox(url, network)
    try:
        if url.auth == "xoauth2":
            box.xoauth2(url.user, password, initial_folder=None)
        elif password.isascii() and password.isprintable() and url.user.isascii():
            box.login(url.user, password, initial_folder=None)
        else:
            box.login_utf8(url.user, password, initial_folder=None)
    except (ImapToolsError, imaplib.IMAP4.error) as error:
        box.end()
        if isinstance(error, imaplib.IMAP4.abort):
            raise
        raise refusal(words_of(error), f"log in as {url.user}", url.server, "login") from None
    except BaseException:
        box.end()
        raise
    # A server may show all that it can do only after the login.
    _, data = box.client.capability()
    box.client.capabilities = tuple(b" ".join(data).decode("ascii", "replace").upper().split())
    return box


def words_of(error: Exception) -> str:
    """The server's own words in a library's error."""
    result = getattr(error, "command_result", None)
    if result and len(result) > 1 and isinstance(result[1], list) and result[1]:
        last = result[1][-1]
        return last.decode("utf-8", "replace") if isinstance(last, bytes) else str(last)
    return server_words(error).removeprefix("b'").removesuffix("'")
