"""What /api/v1 answers about mailboxes, as models. A password is accepted and never returned."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from dmarcworks.api.rest.examples import ID, RUA, WHEN
from dmarcworks.catalogue.mailbox_state import FolderMark, LeftMail, UnknownDomain
from dmarcworks.catalogue.mailboxes import MailboxRow
from dmarcworks.sources.contract import MailboxLook

__all__ = [
    "LeftMailOut",
    "MailboxChangeIn",
    "MailboxDomainIn",
    "MailboxDomainMade",
    "MailboxDomainOut",
    "MailboxIn",
    "MailboxOut",
    "MailboxTestOut",
]

_SETTLE = "What becomes of accepted mail: leave, seen, move:FOLDER or delete."


class MailboxFolderOut(BaseModel):
    """A folder of a mailbox."""

    folder: str = Field(description="Its name.", examples=["INBOX"])
    waiting: int = Field(description="Mails that are listed and not processed yet.", examples=[0])
    error: str | None = Field(description="Why it cannot be read; null when it can.")


class MailboxOut(BaseModel):
    """A mailbox that reports are fetched from, with its state."""

    id: str = Field(description="The mailbox's id.", examples=[ID])
    name: str = Field(description="Its name.", examples=["reports"])
    url: str = Field(description="Where it is, without a password.", examples=["imaps://ann@imap.example.com/INBOX"])
    settle: str = Field(description=_SETTLE, examples=["move:Done"])
    origin: Literal["command", "file", "web"] = Field(
        description="Where it was added; one of the file is changed there."
    )
    state: Literal["ok", "new", "running", "failing", "paused"] = Field(description="Its condition.")
    paused: bool = Field(description="Whether nothing is fetched until it is resumed.")
    error_code: str | None = Field(
        description="address, connection, timeout, tls, certificate, login, folder, permission, quota, protocol, "
        "settings, store or internal; null when the last run went well."
    )
    error: str | None = Field(description="What is wrong, in plain words.")
    failures: int = Field(description="Runs that failed since the last one that went well.")
    next_try: datetime | None = Field(description="When it is tried again.", examples=[WHEN])
    last_run: datetime | None = Field(description="When the last run began.", examples=[WHEN])
    last_mail: datetime | None = Field(description="When the last report mail was accepted.", examples=[WHEN])
    waiting: int = Field(description="Mails that are listed and not processed yet.")
    accepted: int = Field(description="Mails that were accepted.")
    known: int = Field(description="Mails that had been accepted before, from here or another mailbox.")
    left_alone: int = Field(description="Mails without a report, which stay untouched.")
    too_large: int = Field(description="Mails over the bound; each is a problem and stays.")
    gone: int = Field(description="Mails that another client removed before they were fetched.")
    folders: list[MailboxFolderOut] = Field(description="Its folders, once they were listed.")

    @classmethod
    def of(cls, row: MailboxRow, folders: dict[str, FolderMark]) -> MailboxOut:
        """From the catalogue."""
        own = {"state", "error", "error_code", "folders"}
        return cls(
            **{name: getattr(row, name) for name in cls.model_fields if name not in own},
            state=row.condition,  # type: ignore[arg-type]  # one of them
            error=row.error or None,
            error_code=row.error_code or None,
            folders=[
                MailboxFolderOut(folder=name, waiting=mark.waiting, error=mark.error or None)
                for name, mark in folders.items()
            ],
        )


class MailboxIn(BaseModel):
    """A mailbox to add."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="A name for it.", examples=["reports"])
    url: str = Field(
        min_length=1,
        max_length=2000,
        description="Like imaps://USER@HOST:PORT/FOLDER; several folders with commas.",
        examples=["imaps://ann@imap.example.com:993/INBOX"],
    )
    password: SecretStr = Field(max_length=10_000, description="It is stored encrypted and never returned.")
    settle: str = Field("leave", max_length=255, description=_SETTLE, examples=["leave"])
    paused: bool = Field(False, description="true: fetch nothing until it is resumed.")


class MailboxChangeIn(BaseModel):
    """What to change."""

    model_config = ConfigDict(hide_input_in_errors=True)

    paused: bool | None = Field(None, description="true: fetch nothing; false: fetch again, at once.", examples=[True])
    password: SecretStr | None = Field(None, max_length=10_000, description="A new password.")


class MailboxFolderTestOut(BaseModel):
    """What a test found in a folder."""

    folder: str = Field(description="Its name.", examples=["INBOX"])
    mails: int = Field(description="Its mails.", examples=[214])
    new: int = Field(description="Those that were not processed yet.", examples=[214])
    error: str | None = Field(description="Why it cannot be used.")


class MailboxTestOut(BaseModel):
    """What a test found; nothing was changed."""

    ok: bool = Field(description="Whether everything that is needed works.")
    error_code: str | None = Field(description="What is wrong, as in a mailbox's state.")
    error: str | None = Field(description="What is wrong, in plain words.")
    notes: list[str] = Field(description="What worked.")
    folders: list[MailboxFolderTestOut] = Field(description="The folders.")

    @classmethod
    def of(cls, look: MailboxLook) -> MailboxTestOut:
        """From a look that connected."""
        wrong = [folder.error for folder in look.folders if folder.error]
        return cls(
            ok=not wrong,
            error_code="folder" if wrong else None,
            error=" ".join(wrong) or None,
            notes=list(look.notes),
            folders=[
                MailboxFolderTestOut(folder=one.folder, mails=one.mails, new=one.new, error=one.error or None)
                for one in look.folders
            ],
        )


class LeftMailOut(BaseModel):
    """A mail without a report, which was left where it is."""

    folder: str = Field(description="Its folder.", examples=["INBOX"])
    sender: str = Field(description="Its From, as it was written.")
    subject: str = Field(description="Its subject, as it was written.")
    reason: str = Field(description="Why it is no report, as the reasons of problems.", examples=["no_report"])
    detail: str = Field(description="The same in a sentence.")
    size: int = Field(description="Its size in bytes.")
    at: datetime = Field(description="When it was looked at.", examples=[WHEN])

    @classmethod
    def of(cls, left: LeftMail) -> LeftMailOut:
        """From the catalogue."""
        return cls(**{name: getattr(left, name) for name in cls.model_fields})


class MailboxDomainOut(BaseModel):
    """A domain that reports from mailboxes are about and that the account does not have."""

    name: str = Field(description="The policy domain, as the reports have it.", examples=["example.com"])
    reports: int = Field(description="Reports that wait.")
    messages: int = Field(description="Their messages.")
    first_day: str = Field(description="The UTC day of the first one.", examples=["2026-11-23"])
    last_day: str = Field(description="The UTC day of the last one.", examples=["2026-11-24"])

    @classmethod
    def of(cls, domain: UnknownDomain) -> MailboxDomainOut:
        """From the catalogue."""
        return cls(**{name: getattr(domain, name) for name in cls.model_fields})


class MailboxDomainIn(BaseModel):
    """A domain to add."""

    name: str = Field(min_length=1, max_length=300, description="The domain.", examples=["example.com"])


class MailboxDomainMade(BaseModel):
    """The domain, and how many reports about it are being counted."""

    domain_id: str = Field(description="The domain's id.", examples=[ID])
    name: str = Field(description="Its name.", examples=["example.com"])
    rua: str = Field(description="Its address for reports.", examples=[RUA])
    reports: int = Field(description="Reports that waited and are being counted.")
