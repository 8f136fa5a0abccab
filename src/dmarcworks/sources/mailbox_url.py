"""The URL of a mailbox: `imaps://USER@HOST:PORT/FOLDER`, several folders with commas between them. Pure.

User, folders and paths are percent-encoded where they contain `/`, `,`, `?` or `%`. With `?auth=xoauth2` the password
is an OAuth 2.0 access token (read from its file at every login, so that another program may replace it).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from dmarcworks.errors import UsageError

__all__ = ["MailboxUrl"]

_PORTS = {"imaps": 993, "imap+starttls": 143, "imap": 143, "pop3s": 995}


@dataclass(frozen=True, slots=True)
class MailboxUrl:
    """Its parts; `port` is the scheme's own unless the URL names one."""

    scheme: str
    user: str
    host: str
    port: int
    folders: tuple[str, ...]
    path: str
    auth: str

    @classmethod
    def of(cls, url: str) -> MailboxUrl:
        """Of a URL that `MailboxTable.check` has passed; `UsageError` for what is still wrong with it."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        auth = options.pop("auth", "password")
        if options:
            raise UsageError(f"the mailbox URL has the option {next(iter(options))}; there is only auth=xoauth2")
        if auth not in ("password", "xoauth2"):
            raise UsageError(f"auth={auth} is none of password and xoauth2")
        path = parts.path.removeprefix("/")
        folders = tuple(dict.fromkeys(unquote(one) for one in path.split(",") if one))
        if not all(text.isprintable() for text in (unquote(parts.username or ""), unquote(parts.path))):
            raise UsageError("the mailbox URL has a control character in its user name or path")
        return cls(
            scheme=parts.scheme,
            user=unquote(parts.username or ""),
            host=parts.hostname or "",
            port=parts.port or _PORTS.get(parts.scheme, 0),
            folders=folders or ("INBOX",),
            path=unquote(parts.path),
            auth=auth,
        )

    @classmethod
    def text(cls, scheme: str, user: str, host: str, folders: str) -> str:
        """The URL of these; `host` may have a port, `folders` are names with commas between them."""
        names = ",".join(quote(one.strip(), safe="/") for one in folders.split(",") if one.strip())
        return f"{scheme}://{quote(user, safe='@')}@{host}/{names}"

    @property
    def server(self) -> str:
        """Host and port for a message."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
