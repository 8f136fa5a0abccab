"""The hierarchy of errors. The class of an error decides the response: SMTP code, HTTP status or exit status.

    DmarcworksError
    ├── SettingsError            a setting is unknown, out of its bounds or unreadable (exit status 2)
    ├── UsageError               a command or call was used wrongly (exit status 2, HTTP 400)
    ├── NotFoundError            no such account, domain, report, problem … (HTTP 404, exit status 1)
    ├── ConflictError            it exists already, or another holds it (HTTP 409, exit status 1)
    ├── DeniedError              no token, a wrong one, or one without the scope (HTTP 401/403)
    ├── BoundError               a bound was hit; its text names the bound and the setting (HTTP 413/422)
    ├── QueryError               SQL that we refuse or the engine refuses (HTTP 422)
    ├── RefusedError             the next mail server refused a mail; its own reply (HTTP 502, passed on in the session)
    ├── BusyError                the server is at its limit of concurrent work: temporary (HTTP 503 with Retry-After)
    └── StoreError               a store is unavailable, full or read-only: temporary (SMTP 451, HTTP 503, retry)
        └── LostStoreError       a store has lost its content, or is another system's (exit status 1)

`temporary`: whether the same call may succeed later. True means SMTP 4yz and a retry, False 5yz and a problem.
"""

from __future__ import annotations


class DmarcworksError(Exception):
    """Base of every error that dmarcworks raises deliberately; its text is for people: what, where, what to do."""

    temporary: bool = False


class SettingsError(DmarcworksError):
    """A setting is unknown, out of its bounds or cannot be read."""


class UsageError(DmarcworksError):
    """A command or a call was used wrongly."""


class NotFoundError(DmarcworksError):
    """There is no such thing, or not for this account."""


class ConflictError(DmarcworksError):
    """The thing exists already, or somebody else holds it."""


class DeniedError(DmarcworksError):
    """No credentials, wrong ones, or without the scope that the call needs."""


class BoundError(DmarcworksError):
    """A bound was hit. The text names the bound."""


class QueryError(DmarcworksError):
    """SQL that is refused, by us or by the engine."""


class BusyError(DmarcworksError):
    """The server is at its limit of concurrent work; the same call may succeed in a moment."""

    temporary = True


class RefusedError(DmarcworksError):
    """The next mail server refused a mail: `reply` is its whole reply, like "550 5.1.1 No such user"."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply
        self.temporary = reply.startswith("4")


class StoreError(DmarcworksError):
    """A store is unavailable, full, locked or read-only; the same call may succeed later."""

    temporary = True


class LostStoreError(StoreError):
    """A store has lost what it held, or belongs to another system; the text names the command that repairs it."""
