"""What /api/v1 answers, as models: names of the field, times in ISO 8601 UTC, absent is null.

Everything in a report was written by strangers; it is returned as it was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from dmarcworks.api.rest.examples import ID, KEY, WHEN
from dmarcworks.catalogue.accounts import Account, Token, User
from dmarcworks.catalogue.arrivals import ReportRow
from dmarcworks.catalogue.audit import AuditRow
from dmarcworks.catalogue.problems import ProblemRow
from dmarcworks.catalogue.queries import LogLine

Scope = Literal["read", "write", "admin"]
_WARNINGS = 200


class AccountOut(BaseModel):
    """An account: everything belongs to exactly one."""

    id: str = Field(description="The account's id, GraphQL's accountTag.", examples=[ID])
    name: str = Field(description="Its name.", examples=["default"])
    created: datetime = Field(description="When it was made.", examples=[WHEN])

    @classmethod
    def of(cls, account: Account) -> AccountOut:
        """From the catalogue."""
        return cls(id=account.id, name=account.name, created=account.created)


class UserOut(BaseModel):
    """A person who may log in to the dashboard."""

    id: str = Field(description="The user's id.", examples=[ID])
    email: str = Field(description="Their name at login.", examples=["ann@example.com"])
    role: str = Field(description="What they may do.", examples=["admin"])
    has_password: bool = Field(description="Whether they have set a password.")
    enabled: bool = Field(description="Whether they may log in; false after `dmarcworks user disable`.")
    created: datetime = Field(description="When they were added.", examples=[WHEN])

    @classmethod
    def of(cls, user: User) -> UserOut:
        """From the catalogue."""
        return cls(**{name: getattr(user, name) for name in cls.model_fields})


class UserIn(BaseModel):
    """A user to add."""

    email: str = Field(
        min_length=3,
        max_length=320,
        pattern=r"^[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$",
        description="Their mail address.",
        examples=["ann@example.com"],
    )


class UserMade(BaseModel):
    """A new user, and the one-time login link to give to them."""

    user: UserOut = Field(description="The user.")
    login_link: str | None = Field(
        description="Valid once, for 24 hours; returned once, null when the request is repeated.",
        examples=["https://reports.example.net/login/…"],
    )


class TokenOut(BaseModel):
    """A token without its secret."""

    id: str = Field(description="The token's id.", examples=[ID])
    name: str = Field(description="What it is for.", examples=["nightly export"])
    scope: Scope = Field(description="read, write (uploads, domains, problems) or admin (users, tokens, audit log).")
    domains: list[str] | None = Field(
        description="The ids of the domains that it is limited to; null: all of the account.", examples=[[ID]]
    )
    expires: datetime | None = Field(description="When it ends; null: never.", examples=[WHEN])
    last_used: datetime | None = Field(description="To the minute; null: never.", examples=[WHEN])
    created: datetime = Field(description="When it was made.", examples=[WHEN])

    @classmethod
    def of(cls, token: Token) -> TokenOut:
        """From the catalogue."""
        return cls(
            id=token.id,
            name=token.name,
            scope=token.scope,  # type: ignore[arg-type]  # checked where it was stored
            domains=None if token.domains is None else list(token.domains),
            expires=token.expires,
            last_used=token.last_used,
            created=token.created,
        )


class TokenIn(BaseModel):
    """A token to make."""

    name: str = Field("", max_length=255, description="What it is for.", examples=["nightly export"])
    scope: Scope = Field("read", description="read, write or admin.")
    domains: list[str] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Names or ids of the domains that it is limited to; null: all of the account.",
        examples=[["example.com"]],
    )
    expires: datetime | None = Field(None, description="When it ends; null: never.", examples=["2027-11-24T00:00:00Z"])


class TokenMade(BaseModel):
    """A new token with its secret."""

    token: str | None = Field(description="The secret; returned once, null when the request is repeated.")
    info: TokenOut = Field(description="What is known of it.")


class WarningOut(BaseModel):
    """A deviation in a report that did not stop it from being counted."""

    code: str = Field(description="Its kind.", examples=["same_identity_other_content"])
    where: str = Field(description="Where it is.", examples=["record 3"])
    detail: str = Field(description="In words.")

    @classmethod
    def of(cls, warning: Mapping[str, str]) -> WarningOut:
        """From the catalogue."""
        return cls(code=warning.get("code", ""), where=warning.get("where", ""), detail=warning.get("detail", ""))


class ReportOut(BaseModel):
    """A report that came in."""

    id: str = Field(description="Its key here and in Analytics (`report_key`).", examples=[KEY])
    kind: str = Field(description="aggregate, tls or failure.", examples=["aggregate"])
    domain_id: str = Field(description="The domain whose address it came to.", examples=[ID])
    org_name: str = Field(description="The reporter, as it calls itself.", examples=["google.com"])
    org_email: str = Field(description="Its address.", examples=["noreply-dmarc-support@google.com"])
    policy_domain: str = Field(description="The domain that it is about.", examples=["example.com"])
    report_id: str = Field(description="The reporter's own name for it.", examples=["1234567890"])
    begin: int = Field(description="Start of its period, unix seconds, as sent.", examples=[1795392000])
    end: int = Field(description="End of its period, unix seconds, as sent.", examples=[1795478399])
    day: date = Field(description="The UTC day of `begin`.", examples=["2026-11-23"])
    received: datetime = Field(description="When it came in.", examples=[WHEN])
    records: int = Field(description="Its records (policies, or 1).", examples=[12])
    messages: int = Field(description="The messages or sessions in it.", examples=[345])
    state: str = Field(description="counted, foreign (about another domain) or kept.", examples=["counted"])
    published: bool = Field(description="Whether its rows are in Analytics.")
    file_name: str = Field(description="The file's name, as sent.", examples=["google.com!example.com!1!2.xml.gz"])
    mail_id: str = Field(description="The mail that brought it first.", examples=[ID])
    warnings: list[WarningOut] = Field(description=f"Oddities; at most {_WARNINGS}.")

    @classmethod
    def of(cls, row: ReportRow) -> ReportOut:
        """From the catalogue."""
        same = ("kind", "domain_id", "org_name", "org_email", "policy_domain", "report_id", "begin", "end", "day")
        more = ("received", "records", "messages", "state", "published", "file_name", "mail_id")
        values: dict[str, Any] = {name: getattr(row, name) for name in (*same, *more)}
        return cls(id=row.key, warnings=[WarningOut.of(w) for w in row.warnings[:_WARNINGS]], **values)


class ProblemOut(BaseModel):
    """What could not be read or counted, and why."""

    id: int = Field(description="Its number.", examples=[7])
    reason: str = Field(description="Its kind; docs/reading.md explains each.", examples=["xml_broken"])
    where: str = Field(description="The part of the mail.", examples=["mail > report.xml.gz"])
    detail: str = Field(description="In words.")
    domain_id: str = Field(description="The domain whose address it came to.", examples=[ID])
    mail_id: str = Field(description="The mail that it is about.", examples=[ID])
    file_name: str = Field(description="The part's file name, as sent.", examples=["report.xml.gz"])
    created: datetime = Field(description="When it was found.", examples=[WHEN])
    state: str = Field(description="open, retrying, closed (read), discarded or other (no report).", examples=["open"])

    @classmethod
    def of(cls, row: ProblemRow) -> ProblemOut:
        """From the catalogue."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class DiscardedOut(BaseModel):
    """What was discarded at once."""

    discarded: int = Field(description="How many entries.", examples=[12])


class AuditOut(BaseModel):
    """A change: who, what, when, from where."""

    id: int = Field(description="Its number; newer ones are larger.", examples=[42])
    at: datetime = Field(description="When.", examples=[WHEN])
    actor: str = Field(description="user, token, command, system or visitor (not logged in).", examples=["token"])
    name: str = Field(description="The user's address, the token's id, or the login name.", examples=[ID])
    action: str = Field(description="What was done.", examples=["domain.add"])
    target: str = Field(description="To what.", examples=["example.com"])
    detail: dict[str, Any] = Field(description="Further details; never a secret.")
    peer: str = Field(description="The network address that it came from.", examples=["192.0.2.1"])

    @classmethod
    def of(cls, row: AuditRow) -> AuditOut:
        """From the catalogue."""
        values = {name: getattr(row, name) for name in cls.model_fields if name != "detail"}
        return cls(**values, detail=dict(row.detail))


class AskedOut(BaseModel):
    """A SQL query that was run, and its outcome."""

    id: int = Field(description="Its number; newer ones are larger.", examples=[42])
    started: datetime = Field(description="When it was run.", examples=[WHEN])
    who: str = Field(description="The token's name or the person's address.", examples=["token reader"])
    source: str = Field(description="api, page or command.", examples=["api"])
    text: str = Field(description="The statement as sent, cut at 4,000 characters.", examples=["SELECT 1"])
    ms: float = Field(description="Milliseconds from request to response, waiting included.", examples=[12.5])
    rows: int = Field(description="Rows of the result.", examples=[1])
    error: str = Field(description="Why it was refused, or empty.", examples=[""])

    @classmethod
    def of(cls, line: LogLine) -> AskedOut:
        """From the catalogue."""
        return cls(**{name: getattr(line, name) for name in cls.model_fields})
