"""What the stored checks, the history and the silence of a domain look like over REST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dmarcworks.api.rest.check_models import DomainCheckOut
from dmarcworks.catalogue.dns_schedule import SELECTORS, CheckPart, CheckStatus
from dmarcworks.catalogue.dns_states import DnsState, StoredCard
from dmarcworks.policy.dns_records.full_check import card_from
from dmarcworks.policy.history import DifferencePiece, RecordEvent, SeenPolicy
from dmarcworks.policy.record_reader import DomainHistory, DomainSilence
from dmarcworks.policy.silence import AlignmentFall, RecordCause, SilentReporter

__all__ = ["CheckRequestIn", "DomainHistoryOut", "DomainSilenceOut", "StoredCheckOut"]

_Selector = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")]
# What is listed of a period: anyone may report any policy under any name.
_SEEN, _REPORTERS, _OF_REPORTER = 1000, 500, 100
_TIME = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_KIND = "dmarc, authorisation, spf, spf-include, dkim, mx, mta-sts, mta-sts-policy, tls-rpt, bimi or dnssec."


class CheckRequestIn(BaseModel):
    """A check to be made in the background."""

    model_config = ConfigDict(extra="forbid")

    selectors: list[_Selector] = Field(
        [], max_length=SELECTORS, description="DKIM selectors to check from now on.", examples=[["s1"]]
    )


class RecordStateOut(BaseModel):
    """The records of a name while they stayed the same."""

    kind: str = Field(description=_KIND, examples=["dmarc"])
    name: str = Field(description="Where it is published.", examples=["_dmarc.example.com"])
    records: list[str] = Field(description="The records; empty for none.", examples=[["v=DMARC1; p=none"]])
    codes: list[str] = Field(description="Codes of the findings about it.", examples=[["dmarc-policy-none"]])
    first_seen: datetime = Field(description="The first look-up that found it.", examples=[_TIME])
    last_seen: datetime = Field(description="The newest look-up that found it.", examples=[_TIME])
    checked: datetime = Field(description="The newest look-up, with or without an answer.", examples=[_TIME])
    failure: str = Field(description="Why the newest look-up had no answer; empty when it had one.", examples=[""])
    resolver: str = Field(description="Who answered: system, or the name server of the settings.", examples=["system"])
    shortened: bool = Field(description="Whether the records are longer than what is stored.", examples=[False])

    @classmethod
    def of(cls, state: DnsState) -> RecordStateOut:
        """From a stored state."""
        values = {name: getattr(state, name) for name in cls.model_fields}
        return cls(**{**values, "kind": str(state.kind), "records": list(state.records), "codes": list(state.codes)})


class NextCheckOut(BaseModel):
    """When a part of the records is checked next."""

    part: str = Field(description="dmarc (that record alone) or records (all of them).", examples=["dmarc"])
    due: datetime = Field(description="When the next check is due.", examples=[_TIME])
    requested: datetime | None = Field(description="When a check was requested that is to be made.", examples=[None])
    checked: datetime | None = Field(description="When the last check ended; null before the first.", examples=[_TIME])
    running: bool = Field(description="Whether a check runs now.", examples=[False])
    failures: int = Field(description="Checks in a row without an answer.", examples=[0])


class StoredCheckOut(BaseModel):
    """The last stored check of a domain."""

    domain: str = Field(description="The domain.", examples=["example.com"])
    checked: datetime | None = Field(description="When all records were checked; null before.", examples=[_TIME])
    resolver: str | None = Field(description="Who answered; null before the first check.", examples=["system"])
    card: DomainCheckOut | None = Field(description="The report card; null before the first check.")
    records: list[RecordStateOut] = Field(description="The newest state of every name.")
    next: list[NextCheckOut] = Field(description="The next checks; empty before the domain has a schedule.")
    selectors: list[str] = Field(description="DKIM selectors that are checked by request.", examples=[["s1"]])

    @classmethod
    def of(
        cls,
        domain: str,
        card: StoredCard | None,
        states: Sequence[DnsState],
        status: Mapping[CheckPart, CheckStatus],
    ) -> StoredCheckOut:
        """From what is stored."""
        names = ("due", "requested", "checked", "running", "failures")
        ordered = [status[part] for part in CheckPart if part in status]
        return cls(
            domain=domain,
            checked=card.checked if card else None,
            resolver=card.resolver if card else None,
            card=DomainCheckOut.of(card_from(card.card)) if card else None,
            records=[RecordStateOut.of(state) for state in states],
            next=[NextCheckOut(part=str(one.part), **{name: getattr(one, name) for name in names}) for one in ordered],
            selectors=list(dict.fromkeys(name for one in ordered for name in one.selectors)),
        )


class DifferencePieceOut(BaseModel):
    """A part of a record."""

    text: str = Field(description="The part; joined, the parts are the records, one per line.", examples=["p=none"])
    changed: bool = Field(description="Whether the other state has something else there.", examples=[True])

    @classmethod
    def all_of(cls, pieces: Sequence[DifferencePiece]) -> list[DifferencePieceOut]:
        """From pieces."""
        return [cls(text=piece.text, changed=piece.changed) for piece in pieces]


class DnsChangeOut(BaseModel):
    """A change of a name's records: after `after`, and by `at`."""

    kind: str = Field(description=_KIND, examples=["dmarc"])
    name: str = Field(description="Where it is published.", examples=["_dmarc.example.com"])
    what: str = Field(description="first seen, published, changed or removed.", examples=["changed"])
    at: datetime = Field(description="The first look-up that found the new state.", examples=[_TIME])
    after: datetime | None = Field(description="The last look-up that found the old one.", examples=[_TIME])
    before: list[str] = Field(description="The records of before.", examples=[["v=DMARC1; p=none"]])
    now: list[str] = Field(description="The records since.", examples=[["v=DMARC1; p=reject"]])
    removed: list[DifferencePieceOut] = Field(description="The records of before in parts.")
    added: list[DifferencePieceOut] = Field(description="The records since in parts.")

    @classmethod
    def of(cls, event: RecordEvent) -> DnsChangeOut:
        """From an event."""
        return cls(
            kind=str(event.kind),
            name=event.name,
            what=event.what,
            at=event.at,
            after=event.after,
            before=list(event.before),
            now=list(event.now),
            removed=DifferencePieceOut.all_of(event.removed),
            added=DifferencePieceOut.all_of(event.added),
        )


class SeenPolicyOut(BaseModel):
    """A policy as reports found it published, on an unbroken series of days with reports."""

    policy: str = Field(description="Tags of the record.", examples=["p=none"])
    first: date = Field(description="The first of these days.", examples=["2026-10-30"])
    last: date = Field(description="The last of these days.", examples=["2026-11-23"])
    days: int = Field(description="Days with such a report.", examples=[25])
    reports: int = Field(description="Reports; days for a single reporter.", examples=[50])
    reporters: list[str] = Field(description="Who reported it.", examples=[["google.com"]])

    @classmethod
    def of(cls, one: SeenPolicy) -> SeenPolicyOut:
        """From a seen policy."""
        return cls(**{name: getattr(one, name) for name in cls.model_fields} | {"reporters": list(one.reporters)})


class ReporterPoliciesOut(BaseModel):
    """What one reporter saw published."""

    reporter: str = Field(description="As it calls itself.", examples=["google.com"])
    policies: list[SeenPolicyOut] = Field(description="The newest first.")


class DomainHistoryOut(BaseModel):
    """What happened to a domain's records in a period, and what reports of it state."""

    domain: str = Field(description="The domain.", examples=["example.com"])
    first: date = Field(description="The first day.", examples=["2026-10-25"])
    last: date = Field(description="The last day.", examples=["2026-11-23"])
    records: list[RecordStateOut] = Field(description="The newest state of every name.")
    changes: list[DnsChangeOut] = Field(description="The changes of the period, the newest first.")
    seen: list[SeenPolicyOut] = Field(description="The policies that reports state, the newest first.")
    reporters: list[ReporterPoliciesOut] = Field(description="The same by reporter.")

    @classmethod
    def of(cls, domain: str, span: tuple[date, date], history: DomainHistory) -> DomainHistoryOut:
        """From a history."""
        return cls(
            domain=domain,
            first=span[0],
            last=span[1],
            records=[RecordStateOut.of(state) for state in history.states],
            changes=[DnsChangeOut.of(event) for event in history.events],
            seen=[SeenPolicyOut.of(one) for one in history.seen[:_SEEN]],
            reporters=[
                ReporterPoliciesOut(reporter=name, policies=[SeenPolicyOut.of(one) for one in policies[:_OF_REPORTER]])
                for name, policies in list(history.reporters.items())[:_REPORTERS]
            ],
        )


class RecordCauseOut(BaseModel):
    """The change of a record nearest before."""

    text: str = Field(description="What changed and when.", examples=["the DMARC record at … was gone from …"])
    lost: bool = Field(description="Whether it ends reports or authentication by itself.", examples=[True])
    change: str = Field(description="The name that changed.", examples=["_dmarc.example.com"])
    at: datetime = Field(description="The first look-up that found the new state.", examples=[_TIME])

    @classmethod
    def of(cls, cause: RecordCause | None) -> RecordCauseOut | None:
        """From a cause."""
        if cause is None:
            return None
        return cls(text=cause.text, lost=cause.lost, change=cause.change.now.name, at=cause.change.at)


class SilenceOut(BaseModel):
    """A reporter, or the whole domain, that had reports regularly and has none any more."""

    reporter: str | None = Field(description="As it calls itself; null for all together.", examples=["google.com"])
    last: date = Field(description="The last day that a report is about.", examples=["2026-11-01"])
    days: int = Field(description="Days since.", examples=[12])
    usual: int = Field(description="The longest pause in days before.", examples=[1])
    cause: RecordCauseOut | None = Field(description="null: no change seen.")

    @classmethod
    def of(cls, one: SilentReporter) -> SilenceOut:
        """From a silence."""
        cause = RecordCauseOut.of(one.cause)
        return cls(reporter=one.name or None, last=one.last, days=one.days, usual=one.usual, cause=cause)


class AlignmentFallOut(BaseModel):
    """A sender whose share of aligned messages fell."""

    sender: str = Field(description="The sender's id.", examples=["name:Zendesk"])
    name: str = Field(description="Its name.", examples=["Zendesk"])
    since: date = Field(description="The first day of the fall.", examples=["2026-11-12"])
    before: float = Field(description="Share of aligned messages before, from 0 to 1.", examples=[0.99])
    now: float = Field(description="Share since.", examples=[0.1])
    messages: int = Field(description="Messages since.", examples=[320])
    cause: RecordCauseOut | None = Field(description="null: no change seen.")

    @classmethod
    def of(cls, one: AlignmentFall) -> AlignmentFallOut:
        """From a fall."""
        cause = RecordCauseOut.of(one.cause)
        return cls(
            sender=one.sender, name=one.name, since=one.since, before=round(one.before, 4), now=round(one.now, 4),
            messages=one.messages, cause=cause,
        )  # fmt: skip


class DomainSilenceOut(BaseModel):
    """What stopped within the last 60 days."""

    domain: str = Field(description="The domain.", examples=["example.com"])
    newest: date | None = Field(description="The newest day with a report; null for none.", examples=["2026-11-23"])
    silent: SilenceOut | None = Field(description="All reports together; null while they continue.")
    reporters: list[SilenceOut] = Field(description="Reporters that stopped, the most recent first.")
    alignment: list[AlignmentFallOut] = Field(description="Senders whose alignment fell, the most recent first.")

    @classmethod
    def of(cls, domain: str, silence: DomainSilence) -> DomainSilenceOut:
        """From a silence."""
        return cls(
            domain=domain,
            newest=silence.newest,
            silent=SilenceOut.of(silence.domain) if silence.domain else None,
            reporters=[SilenceOut.of(one) for one in silence.reporters],
            alignment=[AlignmentFallOut.of(one) for one in silence.alignment],
        )
