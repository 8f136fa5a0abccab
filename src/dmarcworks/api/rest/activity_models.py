"""What /api/v1/activity answers, as models. Text of a mail was written by strangers; it is given as it was written.

Times are ISO 8601 in UTC, with the offset written out.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, Field, JsonValue

from dmarcworks.api.rest.examples import ID, RUA
from dmarcworks.catalogue.activity import ActivityLine, Bucket

__all__ = ["ActivityOut", "ActivityPage", "ActivityStep", "ActivitySummary", "Outcome"]

Outcome = Literal["handled", "replied", "forwarded", "dropped", "rejected", "failed"]
_AT: dict[str, JsonValue] = {"format": "date-time"}
_WHEN = "2026-11-24T12:00:00+00:00"


class ActivityOut(BaseModel):
    """A mail that reached the SMTP listener, for one recipient, and its outcome."""

    id: int = Field(description="Its number; newer ones are larger.", examples=[42])
    time: str = Field(description="When it came.", examples=[_WHEN], json_schema_extra=_AT)
    sender: str = Field(description="The envelope's sender; empty for a bounce.", examples=["noreply@mail.example"])
    recipient: str = Field(description="The envelope's recipient.", examples=[RUA])
    peer: str = Field(description="The network address that it came from.", examples=["192.0.2.1"])
    size: int = Field(description="Bytes.", examples=[2048])
    rule: str = Field(description="The rule that matched.", examples=["rua address"])
    action: str = Field(description="What the rule does.", examples=["worker dmarc"])
    outcome: Outcome = Field(description="What became of it.", examples=["handled"])
    status: str = Field(description="The SMTP reply's code.", examples=["250"])
    account_id: str = Field(description="Whose it is.", examples=[ID])
    domain_id: str = Field(description="The domain that it was for; empty for none of the account's.", examples=[ID])
    mail_id: str = Field(description="The kept mail, when a worker of ours took it; else empty.", examples=[ID])
    helo: str = Field(description="What the peer called itself.", examples=["mail.example"])
    tls: str = Field(description="The TLS version, or empty.", examples=["TLSv1.3"])
    error: str = Field(description="Why it was refused or failed, or empty.")
    message_id: str = Field(description="Its Message-ID, as sent.", examples=["<1@mail.example>"])
    subject: str = Field(description="Its subject, decoded.")
    seconds: float = Field(description="From the end of DATA to the reply.", examples=[0.012])
    spf: str = Field(description="Result of RFC 8601; empty when nobody checked.", examples=["pass"])
    dkim: str = Field(description="The same for DKIM.", examples=["pass"])
    dmarc: str = Field(description="The same for DMARC.", examples=["pass"])
    arc: str = Field(description="The same for ARC.", examples=["none"])

    @classmethod
    def of(cls, line: ActivityLine) -> ActivityOut:
        """From the catalogue."""
        return cls(**{**asdict(line), "time": line.time.isoformat()})


class ActivityPage(BaseModel):
    """A page of the log, newest first."""

    activity: list[ActivityOut] = Field(description="The lines.")
    next: int | None = Field(description="Send it as `before` for the next page; null on the last.", examples=[7])


class _Counted(BaseModel):
    """Mails by outcome."""

    received: int = Field(description="All of them.", examples=[12])
    handled: int = Field(description="A worker took them.", examples=[10])
    replied: int = Field(description="Answered by a mail.", examples=[0])
    forwarded: int = Field(description="Sent on.", examples=[1])
    dropped: int = Field(description="Accepted and dropped.", examples=[0])
    rejected: int = Field(description="Refused permanently.", examples=[1])
    failed: int = Field(description="Deferred: the sender will retry.", examples=[0])


class ActivityStep(_Counted):
    """Mails by outcome in one step of time."""

    start: str = Field(description="Its start.", examples=[_WHEN], json_schema_extra=_AT)


class ActivitySummary(_Counted):
    """Mails by outcome in a period, whole and by step."""

    since: str = Field(description="The period's start.", examples=[_WHEN], json_schema_extra=_AT)
    until: str = Field(description="Its end, exclusive.", examples=[_WHEN], json_schema_extra=_AT)
    step: int = Field(description="Seconds of a step.", examples=[3600])
    series: list[ActivityStep] = Field(description="The steps, oldest first, empty ones too.")

    @classmethod
    def of(cls, first: datetime, last: datetime, step: int, buckets: list[Bucket]) -> ActivitySummary:
        """From the catalogue."""
        steps = [ActivityStep(start=bucket.start.isoformat(), **_counted(bucket.outcomes)) for bucket in buckets]
        sums = {name: sum(getattr(one, name) for one in steps) for name in _Counted.model_fields}
        since, until = (moment.astimezone(UTC).isoformat() for moment in (first, last))
        return cls(since=since, until=until, step=step, series=steps, **sums)


def _counted(outcomes: dict[str, int]) -> dict[str, int]:
    counts = {name: outcomes.get(name, 0) for name in _Counted.model_fields if name != "received"}
    return {"received": sum(counts.values()), **counts}
