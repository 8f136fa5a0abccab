"""Settings of the mailboxes that reports are fetched from."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from dmarcworks.settings.tables import MailboxTable

__all__ = ["MailboxSettings"]


class MailboxSettings(BaseModel):
    """Mailboxes of the file, how they are polled, and the key that encrypts their passwords."""

    mailboxes: tuple[MailboxTable, ...] = Field(
        (),
        description="Mailboxes to fetch reports from, in the TOML file only: a table [[mailbox]] each, with name, url, "
        "password_file, settle (leave, seen, move:FOLDER or delete) and account.",
    )
    mailbox_poll_seconds: int = Field(
        300,
        ge=1,
        le=86_400,
        description="Seconds between two looks into a mailbox; with IDLE new mail is seen at once.",
    )
    mailbox_idle: str = Field(
        "on", pattern="^(on|off)$", description="Whether new mail is waited for with IMAP IDLE where there is it."
    )
    mailbox_timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="Seconds that a mailbox's server may take to answer."
    )
    mailbox_connections: int = Field(
        50, ge=1, le=10_000, description="Mailboxes that are connected at the same time; half of them may wait in IDLE."
    )
    mailbox_mails_per_second: float = Field(
        200.0, gt=0, le=100_000, description="Mails per second that are fetched from one mailbox at most."
    )
    mailbox_ca_file: str = Field(
        "", description="PEM file of authorities to trust for mailboxes, in addition to those of the system."
    )
    secret_key_file: str = Field(
        "",
        description="File of the keys that encrypt stored passwords; empty: secret.key in DMARCWORKS_HOME. "
        "All hosts of a system need the same file.",
    )

    def secret_key_path(self, data_directory: Path) -> Path:
        """The file of the keys."""
        return Path(self.secret_key_file) if self.secret_key_file else data_directory / "secret.key"
