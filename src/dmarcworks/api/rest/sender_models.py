"""What /api/v1 answers about senders, as models. Names that neither owner nor catalogue gives come from strangers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from dmarcworks.analytics.questions.all import (
    FailureSample,
    SenderAddress,
    SenderDay,
    SenderPair,
    SenderReporter,
    SenderSelector,
)
from dmarcworks.analytics.sender_directory import DomainSender
from dmarcworks.api.rest.examples import KEY, WHEN
from dmarcworks.catalogue.senders import NAME_CHARACTERS, NOTE_CHARACTERS, OwnerDecision, OwnName, SenderDecision
from dmarcworks.enrich.senders.classify import SenderClass

__all__ = [
    "DecisionIn",
    "DecisionOut",
    "OwnNameIn",
    "OwnNameOut",
    "SenderAddressOut",
    "SenderDetailOut",
    "SenderOut",
]

Model = TypeVar("Model", bound=BaseModel)
_DECISION = "mine, not_mine, forwarder or ignore: what you know. It changes no DNS and authorises no address."


class _Counts(BaseModel):
    """Messages by result."""

    messages: int = Field(description="Messages.", examples=[100])
    passed: int = Field(description="Those that passed DMARC.", examples=[90])
    failed: int = Field(description="Those that did not.", examples=[10])
    dkim_aligned: int = Field(description="Those with an aligned DKIM pass.", examples=[80])
    spf_aligned: int = Field(description="Those with an aligned SPF pass.", examples=[70])
    quarantined: int = Field(description="Those put aside.", examples=[0])
    rejected: int = Field(description="Those refused.", examples=[0])


class DecisionIn(BaseModel):
    """What the owner of a domain knows about a sender."""

    decision: OwnerDecision = Field(description=_DECISION, examples=["mine"])
    name: str = Field(
        "", max_length=NAME_CHARACTERS, description="Your name for it; empty: none.", examples=["Support"]
    )
    note: str = Field("", max_length=NOTE_CHARACTERS, description="A note for yourself.", examples=["Since May"])


class DecisionOut(BaseModel):
    """A decision, with who made it and when."""

    sender: str = Field(description="The sender's id when it was made.", examples=["name:Zendesk"])
    decision: OwnerDecision = Field(description=_DECISION, examples=["mine"])
    name: str = Field(description="The owner's name for it; empty: none.", examples=["Support"])
    note: str = Field(description="The owner's note.", examples=["Since May"])
    decided: datetime = Field(description="When it was made.", examples=[WHEN])
    decided_by: str = Field(description="Who made it, as in the audit log.", examples=["ann@example.com"])

    @classmethod
    def of(cls, decision: SenderDecision) -> DecisionOut:
        """From the catalogue."""
        return cls(**{name: getattr(decision, name) for name in cls.model_fields})


class SenderOut(_Counts):
    """A sender of a domain: its figures, and what it is to the domain's owner."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    id: str = Field(description="The sender's id, for other routes.", examples=["name:Zendesk"])
    name: str = Field(description="The owner's or the service's name, else its evidence.", examples=["Zendesk"])
    sender: str = Field(description="The service's name; empty: not known.", examples=["Zendesk"])
    kind: str = Field(description="What the service is for; own: a system that you named.", examples=["helpdesk"])
    confidence: float = Field(description="Confidence of the name, 0 to 1.", examples=[1.0])
    claimed: bool = Field(description="Whether the name rests on a choice of the sender.")
    basis: str = Field(
        description="Evidence that the rows are grouped by: name, dkim, self, envelope, ptr, network or block.",
        examples=["name"],
    )
    sender_class: SenderClass = Field(
        alias="class", description="aligned, forwarder, unaligned, unknown or suspicious.", examples=["unaligned"]
    )
    because: list[str] = Field(description="Why it has this class.", examples=[["0 of 100 messages are aligned."]])
    fix: str | None = Field(description="What to do; null: nothing.", examples=["Publish the two CNAME records."])
    setup: str | None = Field(description="The service's own guide.", examples=["https://support.zendesk.com/"])
    needs_decision: bool = Field(description="Whether it waits for your decision.")
    open: bool = Field(description="Whether it waits for a decision, or for reports that show the fix.")
    decision: DecisionOut | None = Field(description="Your decision; null: none.")
    sources: int = Field(description="Addresses that it sent from.", examples=[3])
    countries: list[str] = Field(description="Countries of its addresses, at most 300.", examples=[["DE", "US"]])
    networks: int = Field(description="Networks of its addresses.", examples=[1])
    reporters: int = Field(description="How many reporters covered it.", examples=[2])
    first_day: date = Field(description="First day seen in the period.", examples=["2026-10-30"])
    last_day: date = Field(description="Last day seen in the period.", examples=["2026-11-23"])

    @classmethod
    def values(cls, row: DomainSender) -> dict[str, Any]:
        """The fields of a sender."""
        group, verdict = row.group, row.classification
        return {
            **{name: getattr(group, name) for name in _Counts.model_fields},
            "id": row.id,
            "name": row.name,
            "sender": row.service_name,
            "kind": row.kind,
            "confidence": row.confidence,
            "claimed": row.claimed,
            "basis": str(group.key.basis),
            "sender_class": verdict.sender_class,
            "because": list(verdict.because),
            "fix": verdict.fix,
            "setup": row.service.setup if row.service else None,
            "needs_decision": row.needs_decision,
            "open": verdict.open,
            "decision": DecisionOut.of(row.decision) if row.decision else None,
            "sources": group.addresses,
            "countries": list(group.countries),
            **{name: getattr(group, name) for name in ("networks", "reporters", "first_day", "last_day")},
        }

    @classmethod
    def of(cls, row: DomainSender) -> SenderOut:
        """From the directory of senders."""
        return cls(**cls.values(row))


class SenderDayOut(BaseModel):
    """A sender's messages of a day."""

    day: date = Field(description="UTC day on which the reports begin.", examples=["2026-11-23"])
    messages: int = Field(description="Messages.", examples=[100])
    passed: int = Field(description="Those that passed DMARC.", examples=[90])


class SenderAddressOut(_Counts):
    """An address of a sender."""

    source_ip: str = Field(description="The address, as reported.", examples=["192.0.2.1"])
    ptr: str = Field(description="Its host name; empty: not known.", examples=["out1.example.net"])
    ptr_confirmed: bool = Field(description="Whether the host name resolves back to the address.")
    network: str = Field(description="The owner of its network; empty: not known.", examples=["Example Hosting"])
    asn: int | None = Field(description="AS number of its network.", examples=[64500])
    country: str = Field(description="Its country; empty: not known.", examples=["DE"])
    ip_data: str = Field(description="IP data that network and country are from.", examples=["ipinfo-lite 2026-11-20"])
    dkim_valid: int = Field(description="Messages with a DKIM pass of any domain.", examples=[95])
    spf_valid: int = Field(description="Messages with an SPF pass of any domain.", examples=[98])
    first_day: date = Field(description="First day seen in the period.", examples=["2026-10-30"])
    last_day: date = Field(description="Last day seen in the period.", examples=["2026-11-23"])


class SenderSelectorOut(BaseModel):
    """Signatures on a sender's messages."""

    domain: str = Field(description="d= of the signature.", examples=["example.com"])
    selector: str = Field(description="s= of the signature.", examples=["s1"])
    messages: int = Field(description="Messages that carry it.", examples=[100])
    valid: int = Field(description="Those where it verified.", examples=[98])
    aligned: int = Field(description="Those where DKIM aligned too.", examples=[98])


class SenderPairOut(_Counts):
    """Domains in the return path and in From."""

    envelope_from: str = Field(description="Domain of the return path; empty: not stated.", examples=["b.example.net"])
    header_from: str = Field(description="Domain in From; empty: not stated.", examples=["example.com"])
    spf_valid: int = Field(description="Messages with an SPF pass of any domain.", examples=[98])


class SenderReporterOut(_Counts):
    """What one reporter saw of a sender."""

    org_name: str = Field(description="Its own name for itself; empty: not stated.", examples=["google.com"])


class FailureSampleOut(BaseModel):
    """A failure report about an address of the sender."""

    report: str = Field(description="The report's key.", examples=[KEY])
    day: date = Field(description="Its UTC day.", examples=["2026-11-23"])
    org_name: str = Field(description="Its reporter.", examples=["mail.example"])
    source_ip: str = Field(description="The address that it is about.", examples=["192.0.2.1"])
    auth_failure: str = Field(description="What failed.", examples=["dkim"])
    header_from: str = Field(description="The address in From.", examples=["news@example.com"])
    original_mail_from: str = Field(description="The return path.", examples=["b@example.net"])
    subject: str = Field(description="The subject of the message.", examples=["Your order"])


class SenderDetailOut(SenderOut):
    """A sender with all that reports show of it."""

    named_because: list[str] = Field(description="Why it has this name.", examples=[["DKIM d=zendesk.com passed"]])
    dispositions: dict[str, int] = Field(description="Messages by disposition.", examples=[{"none": 100}])
    reasons: dict[str, int] = Field(description="Messages by override reason.", examples=[{"forwarded": 2}])
    days: list[SenderDayOut] = Field(description="Its messages by day; days without a report are absent.")
    addresses: list[SenderAddressOut] = Field(description="Its first 100 addresses by messages.")
    selectors: list[SenderSelectorOut] = Field(description="Its DKIM domains and selectors, at most 100.")
    pairs: list[SenderPairOut] = Field(description="Its return-path and From domains, at most 100.")
    results: list[SenderReporterOut] = Field(description="Results by reporter, at most 100.")
    failures: list[FailureSampleOut] = Field(description="The newest failure reports about its addresses, at most 10.")

    @classmethod
    def detailed(
        cls,
        row: DomainSender,
        days: Sequence[SenderDay],
        addresses: Sequence[SenderAddress],
        selectors: Sequence[SenderSelector],
        pairs: Sequence[SenderPair],
        results: Sequence[SenderReporter],
        failures: Sequence[FailureSample],
    ) -> SenderDetailOut:
        """From the directory of senders and the questions about one."""
        return cls(
            **cls.values(row),
            named_because=list(row.because),
            dispositions=dict(row.group.dispositions),
            reasons=dict(row.group.reasons),
            days=[_same(SenderDayOut, one) for one in days],
            addresses=[_same(SenderAddressOut, one) for one in addresses],
            selectors=[_same(SenderSelectorOut, one) for one in selectors],
            pairs=[_same(SenderPairOut, one) for one in pairs],
            results=[_same(SenderReporterOut, one) for one in results],
            failures=[FailureSampleOut(report=one.report_key, **_fields(FailureSampleOut, one)) for one in failures],
        )


class OwnNameIn(BaseModel):
    """A name for a system of the account, by one kind of evidence."""

    name: str = Field(min_length=1, max_length=NAME_CHARACTERS, description="The name.", examples=["Billing"])
    evidence: str = Field(max_length=16, description="block, dkim, envelope or ptr.", examples=["dkim"])
    value: str = Field(
        min_length=1,
        max_length=300,
        description="A block like 203.0.113.0/28, or a domain; names below it match too.",
        examples=["example.com"],
    )
    selector: str = Field(
        "",
        max_length=253,
        description="For dkim: only this selector; * is one character or more.",
        examples=["inv*"],
    )


class OwnNameOut(OwnNameIn):
    """A name that the account gives to a system of its own."""

    id: int = Field(description="Its number.", examples=[1])
    created: datetime = Field(description="When it was added.", examples=[WHEN])
    created_by: str = Field(description="Who added it.", examples=["ann@example.com"])

    @classmethod
    def of(cls, own: OwnName) -> OwnNameOut:
        """From the catalogue."""
        return _same(cls, own)


def address_out(row: SenderAddress) -> SenderAddressOut:
    """An address as the API answers it."""
    return _same(SenderAddressOut, row)


def _fields(model: type[BaseModel], row: object) -> dict[str, Any]:
    return {name: getattr(row, name) for name in model.model_fields if hasattr(row, name)}


def _same(model: type[Model], row: object) -> Model:
    return model(**_fields(model, row))
