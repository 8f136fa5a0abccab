"""A mailbox of the catalogue → the source that fetches from it, chosen by the scheme of its URL."""

from __future__ import annotations

from dmarcworks.catalogue.mailboxes import BY_WEB, MailboxRow
from dmarcworks.errors import DmarcworksError
from dmarcworks.settings import Settings
from dmarcworks.sources.contract import MailboxError, MailSource, SettleRule
from dmarcworks.sources.folder import FolderSource
from dmarcworks.sources.hosts import Network
from dmarcworks.sources.imap.source import ImapSource
from dmarcworks.sources.mailbox_url import MailboxUrl
from dmarcworks.sources.pop3 import Pop3Source

__all__ = ["SCHEMES", "checked_url", "opened_source"]

_IMAP = ("imaps", "imap+starttls", "imap")
# What this version fetches from.
SCHEMES = (*_IMAP, "pop3s", "file")


def checked_url(url: str) -> MailboxUrl:
    """The URL's parts; `MailboxError` for one that this version does not fetch from."""
    try:
        parts = MailboxUrl.of(url)
    except DmarcworksError as error:
        raise MailboxError("settings", f"{error}.") from None
    if parts.scheme not in SCHEMES:
        raise MailboxError(
            "settings", f"{parts.scheme}: is not fetched from in this version; use {', '.join(SCHEMES)}."
        )
    if parts.scheme == "file" and not parts.path.startswith("/"):
        raise MailboxError("settings", "The URL has no path; write it like file:///var/spool/reports.")
    if parts.scheme != "file" and not parts.user:
        raise MailboxError("settings", f"The URL has no user; write it like {parts.scheme}://user@{parts.host}/INBOX.")
    if parts.scheme == "pop3s" and parts.auth != "password":
        raise MailboxError("settings", "auth=xoauth2 is possible with IMAP only.")
    return parts


def opened_source(
    mailbox: MailboxRow, password: str, settings: Settings, *, private: bool = False, idle: bool = True
) -> MailSource:
    """The source, not connected yet. `private`: a mailbox that was added on the web may be on a private address."""
    url = checked_url(mailbox.url)
    rule = SettleRule.of(mailbox.settle)
    if url.scheme == "file":
        return FolderSource(url.path, rule)
    trusted = private or mailbox.origin != BY_WEB
    network = Network(settings.mailbox_timeout_seconds, settings.mailbox_ca_file, trusted)
    if not password:
        text = f"The mailbox {mailbox.name} has no password; give it one with --password-file."
        raise MailboxError("settings", text)
    if url.scheme == "pop3s":
        return Pop3Source(url, password, rule, network)
    return ImapSource(url, password, rule, network, idle=idle and settings.mailbox_idle == "on")
