"""Bytes as they come → command lines, and mails after DATA. Pure, and the same however the bytes are cut into packets.

A mail ends at CRLF.CRLF and nowhere else (CVE-2023-51764 and its like): bare CR, bare LF and NUL are content. Dots are
unstuffed (RFC 5321 §4.5.2). What is over a bound is read to its end and not kept.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"
# RFC 5321 §4.5.3.1.4: 512 bytes; MAIL and RCPT have extensions and long addresses.
COMMAND_BYTES = 512
ADDRESS_COMMAND_BYTES = 1000
_LONGER = (b"MAIL", b"RCPT")


class CommandReader:
    """Takes bytes, gives lines without their end; None for one over the bound."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self._searched = 0
        self._skipping = False

    def next(self) -> bytes | None:
        """The next line; None for one that was too long. `LookupError` when no line is complete yet."""
        end = self.buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self.buffer)
            if self._searched > ADDRESS_COMMAND_BYTES:
                # Only that it is too long is kept of it.
                self._skipping = True
                self.buffer.clear()
                self._searched = 0
            raise LookupError
        line = bytes(self.buffer[:end]).removesuffix(b"\r")
        del self.buffer[: end + 1]
        self._searched = 0
        too_long = self._skipping or end + 1 > _bound(line)
        self._skipping = False
        return None if too_long else line

    @property
    def has_line(self) -> bool:
        """Whether `next` would give a line."""
        return b"\n" in self.buffer


def _bound(line: bytes) -> int:
    return ADDRESS_COMMAND_BYTES if line[:4].upper() in _LONGER else COMMAND_BYTES


class MailReader:
    """The bytes after DATA; `raw` is the mail once `done`, `too_large` and `too_long` (a line) show what was
    refused."""

    def __init__(self, *, mail_bytes: int, line_bytes: int) -> None:
        self._mail_bytes = mail_bytes
        self._line_bytes = line_bytes
        # At most every third byte of a mail is a dot that needs another one; the exact size is looked at in the end.
        self._most = mail_bytes + mail_bytes // 3 + len(_END)
        self._kept = bytearray(b"\r\n")  # a dot on the first line ends an empty mail
        self.raw = b""
        self.done = False
        self.discarding = False
        self.too_large = False
        self.too_long = False

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._kept)

    def discard(self) -> None:
        """Keep nothing more: the mail is refused when its end comes."""
        self.discarding = True
        del self._kept[: -len(_END) + 1]

    def feed(self, data: bytes | bytearray) -> bytes:
        """Take bytes; those behind the mail's end come back."""
        kept = self._kept
        start = max(0, len(kept) - len(_END) + 1)
        kept += data
        end = kept.find(_END, start)
        if end < 0:
            if len(kept) > self._most:
                self.too_large = True
                self.discard()
            elif self.discarding:
                del kept[: -len(_END) + 1]
            return b""
        rest = bytes(kept[end + len(_END) :])
        self.done = True
        if not self.discarding:
            del kept[end + 2 :]
            raw = kept.replace(b"\r\n.", b"\r\n") if kept.find(b"\r\n.") >= 0 else kept
            self.too_large = len(raw) - 2 > self._mail_bytes
            self.too_long = not self.too_large and _longer(raw, self._line_bytes)
            if not (self.too_large or self.too_long):
                self.raw = bytes(memoryview(raw)[2:])
        self._kept = bytearray()
        return rest


def _longer(raw: bytearray, line_bytes: int) -> bool:
    """Whether a line has more bytes than that, its CRLF counted. `raw` begins with a CRLF that is not its own."""
    at = 2
    while len(raw) - at > line_bytes:
        end = raw.rfind(b"\r\n", at, at + line_bytes)
        if end < 0:
            return True
        at = end + 2
    return False
