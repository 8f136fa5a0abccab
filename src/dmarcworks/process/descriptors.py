"""File descriptors: what the system allows, and how they are shared out before anything listens.

Each connection takes one, and so does each file of a store. Mail comes first: when the limit is too low for all that
the settings allow, HTTP gets fewer connections, then SMTP, and what the stores need is kept from both. Nothing that a
stranger does over HTTP can then take the descriptor that a mail or its file needs.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

import structlog

from dmarcworks.errors import SettingsError

__all__ = ["LEAST", "Shares", "granted", "raised", "shared"]

log = structlog.get_logger("dmarcworks.descriptors")

# Kept for stores, DNS, the relay and child processes: half of the limit, within these bounds.
_RESERVE_LEAST, _RESERVE_MOST = 256, 1024
_HTTP_LEAST, _SMTP_LEAST = 32, 32
LEAST = _RESERVE_LEAST + _HTTP_LEAST + _SMTP_LEAST


@dataclass(frozen=True, slots=True)
class Shares:
    """Descriptors in all, kept for other things, and how many connections SMTP and HTTP may have of the rest."""

    limit: int
    reserve: int
    smtp: int
    http: int


def raised() -> int:
    """Raise the soft limit of this process to the hard one, as far as the system lets it; the limit from now on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard or soft == resource.RLIM_INFINITY:
        return _number(soft)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS allows less than the hard limit that it reports
        return _number(soft)
    return _number(hard)


def shared(limit: int, smtp: int, http: int) -> Shares:
    """How so many descriptors are shared out between connections of SMTP and HTTP (0 for none of them here).

    `SettingsError` when the limit is too low for even a few of each.
    """
    if limit < LEAST:
        raise SettingsError(
            f"this process may open only {limit} files, and {LEAST} are the least that it needs;"
            f" raise the limit with `ulimit -n` or LimitNOFILE= of its systemd unit"
        )
    reserve = min(_RESERVE_MOST, max(_RESERVE_LEAST, limit // 2))
    left = limit - reserve
    least = min(http, _HTTP_LEAST)
    http = max(least, min(http, left - smtp))
    return Shares(limit, reserve, min(smtp, left - http), http)


def granted(smtp: int, http: int) -> Shares:
    """Raise the limit and share it out; a log line when there are fewer than the wanted connections."""
    shares = shared(raised(), smtp, http)
    figures = {"files": shares.limit, "kept": shares.reserve, "smtp": shares.smtp, "http": shares.http}
    if (shares.smtp, shares.http) != (smtp, http):
        log.warning(
            "fewer connections than the settings allow, since the system allows too few open files",
            **figures,
            smtp_wanted=smtp,
            http_wanted=http,
        )
    else:
        log.info("open files", **figures)
    return shares


def _number(limit: int) -> int:
    return 1 << 30 if limit == resource.RLIM_INFINITY else limit
