"""The source of POP3 mailboxes over TLS: unique ids kept, one connection per run, leave or delete."""

from __future__ import annotations

import contextlib
import poplib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from dmarcworks.catalogue.mailbox_state import FolderMark
from dmarcworks.sources.blocking import BlockingCalls
from dmarcworks.sources.contract import (
    DELETE,
    HEAD_BYTES,
    FetchedMail,
    FolderCount,
    MailboxError,
    MailboxLook,
    MailListing,
    SettleRule,
    WaitingMail,
)
from dmarcworks.sources.explain import explained, refusal
from dmarcworks.sources.hosts import Network, connected, tls_context
from dmarcworks.sources.mailbox_url import MailboxUrl
from dmarcworks.sources.name_progress import NameProgress

__all__ = ["Pop3Source"]

_Result = TypeVar("_Result")
# A mail drop has no folders; ours is called that.
_FOLDER = "INBOX"
_CALL_FACTOR = 10
_GROUP_BYTES = 4 << 20
# The library's own limit is that of RFC 1939 for answers; lines of mails are longer.
_LINE_BYTES = 1 << 20


class _Pop3(poplib.POP3_SSL):
    """A connection of ours, whose long answers are bounded."""

    network = Network()
    largest = 32 << 20

    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        made = connected(self.host, self.port, self.network)
        context: ssl.SSLContext = self.context  # type: ignore[attr-defined]  # set by the library
        return context.wrap_socket(made, server_hostname=self.host)

    def _getline(self) -> tuple[bytes, int]:
        line = self.file.readline(_LINE_BYTES + 1)
        if not line:
            raise EOFError("the server closed the connection")
        self._received = getattr(self, "_received", 0) + len(line)
        if len(line) > _LINE_BYTES or self._received > self.largest:
            raise EOFError(f"it sent more than the {self.largest} bytes that were requested")
        return line.rstrip(b"\r\n"), len(line)

    def bounded(self, largest: int) -> None:
        """The next answer may have so many bytes."""
        self.largest, self._received = largest, 0


class Pop3Source:
    """A mail drop. What is deleted is deleted at the end of the connection, as POP3 has it."""

    def __init__(self, url: MailboxUrl, password: str, rule: SettleRule, network: Network) -> None:
        self._url, self._password, self._rule, self._network = url, password, rule, network
        self._client: _Pop3 | None = None
        self._numbers: dict[str, int] = {}
        self._progress: NameProgress | None = None
        self._calls = BlockingCalls(self._cut)

    async def list_new(self, marks: Mapping[str, FolderMark]) -> MailListing:
        """Newest first, as servers number mails as they come."""
        if self._rule.action not in ("leave", DELETE):
            raise MailboxError("settings", f"POP3 has no folders and no flags: {self._rule.action} is not possible.")
        await self._call(self._listed)
        names = list(reversed(self._numbers))
        self._progress = NameProgress(_FOLDER, marks.get(_FOLDER), names)
        return MailListing(self._progress.new(names), self._progress.unsettled())

    async def fetch(self, mails: Sequence[WaitingMail], most: int) -> AsyncIterator[Sequence[FetchedMail]]:
        """A few at a time."""
        group: list[FetchedMail] = []
        held = 0
        for mail in mails:
            fetched = await self._call(partial(self._fetched, mail, most))
            group.append(fetched)
            held += len(fetched.raw or b"")
            if held >= _GROUP_BYTES:
                yield group
                group, held = [], 0
        if group:
            yield group

    async def settle(self, mails: Sequence[WaitingMail]) -> None:
        """Delete them, and end the connection, which carries that out."""
        if self._rule.action != DELETE:
            return

        def work() -> None:
            client = self._connected()
            for mail in mails:
                if (number := self._numbers.get(mail.key)) is not None:
                    client.bounded(4096)
                    client.dele(number)
            client.bounded(4096)
            client.quit()
            self._client = None

        await self._call(work)

    def note(self, mails: Sequence[WaitingMail], *, settled: bool) -> Mapping[str, FolderMark]:
        """Done, or accepted and to be settled."""
        assert self._progress is not None
        return {_FOLDER: self._progress.note([mail.key for mail in mails], settled=settled)}

    async def wait(self, seconds: float) -> bool:
        """A POP3 server announces nothing."""
        return False

    async def look(self, marks: Mapping[str, FolderMark]) -> MailboxLook:
        """Log in and count."""
        await self._call(self._listed)
        progress = NameProgress(_FOLDER, marks.get(_FOLDER), list(self._numbers))
        count = FolderCount(_FOLDER, len(self._numbers), len(progress.new(self._numbers)))
        return MailboxLook([count], [f"Logged in to {self._url.server} as {self._url.user}."])

    async def close(self, *, abort: bool = False) -> None:
        """End the connection."""
        if abort:
            self._cut()
        client, self._client = self._client, None
        if client is not None:

            def end() -> None:
                with contextlib.suppress(Exception):
                    client.quit()
                with contextlib.suppress(Exception):
                    client.close()

            with contextlib.suppress(TimeoutError):
                await self._calls.call(end, 5.0)
        self._calls.close()

    def _connected(self) -> _Pop3:
        if self._client is None:
            kind: Any = type("_Pop3", (_Pop3,), {"network": self._network})
            client: _Pop3 = kind(
                self._url.host, self._url.port, timeout=self._network.seconds, context=tls_context(self._network)
            )
            try:
                client.user(self._url.user)
                client.pass_(self._password)
            except poplib.error_proto as error:
                client.close()
                raise refusal(_words(error), f"log in as {self._url.user}", self._url.server, "login") from None
            self._client = client
            self._number(client)
        return self._client

    def _number(self, client: _Pop3) -> None:
        client.bounded(64 << 20)
        lines = (line.decode("utf-8", "replace").split(" ", 1) for line in client.uidl()[1])
        self._numbers = {parts[1]: int(parts[0]) for parts in lines if len(parts) == 2 and parts[0].isdigit()}

    def _listed(self) -> None:
        if self._client is None:
            self._connected()
            return
        # A mail drop does not change while a connection holds it (RFC 1939 section 4): only a new one shows new mail.
        client, self._client = self._client, None
        with contextlib.suppress(Exception):
            client.quit()
        self._connected()

    def _fetched(self, mail: WaitingMail, most: int) -> FetchedMail:
        client = self._connected()
        number = self._numbers.get(mail.key)
        if number is None:
            return FetchedMail(mail, None)
        client.bounded(4096)
        answer: Any = client.list(number)
        size = int(answer.split()[2])
        if size > most:
            client.bounded(1 << 20)
            head = b"\r\n".join(client.top(number, 0)[1])
            return FetchedMail(mail, head[:HEAD_BYTES], size, cut=True)
        client.bounded(most + 1024)
        raw = b"\r\n".join(client.retr(number)[1]) + b"\r\n"
        return FetchedMail(mail, raw, len(raw))

    async def _call(self, work: Callable[[], _Result]) -> _Result:
        try:
            return await self._calls.call(work, self._network.seconds * _CALL_FACTOR)
        except MailboxError as error:
            raise explained(error, self._url.server, self._url.scheme, self._password) from None
        except poplib.error_proto as error:
            words = refusal(_words(error), "read the mailbox", self._url.server)
            raise explained(words, self._url.server, self._url.scheme, self._password) from None
        except Exception as error:
            self._cut()
            self._client = None
            raise explained(error, self._url.server, self._url.scheme, self._password) from None

    def _cut(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError, AttributeError):
                socket.socket.shutdown(self._client.sock, socket.SHUT_RDWR)


def _words(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
