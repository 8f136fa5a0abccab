"""The content of a report: an aggregate report's records, a TLS report's policies, a failure report's fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, Field

from dmarcworks.analytics.questions.all import RecordRow
from dmarcworks.analytics.questions.reports import FailureRow, TlsPolicyRow
from dmarcworks.api.rest.models import ReportOut


class ReasonOut(BaseModel):
    """Why a receiver overrode the policy."""

    type: str | None = Field(description="Like local_policy.", examples=["local_policy"])
    comment: str | None = Field(description="In the reporter's words.")


class AuthOut(BaseModel):
    """A DKIM or SPF result, as the receiver saw it."""

    domain: str | None = Field(description="The domain that was checked.", examples=["example.com"])
    selector: str | None = Field(None, description="DKIM: the key's selector.", examples=["s1"])
    scope: str | None = Field(None, description="SPF: mfrom or helo.", examples=["mfrom"])
    result: str | None = Field(description="pass, fail, none …", examples=["pass"])
    human_result: str | None = Field(description="In the reporter's words.")

    @classmethod
    def of(cls, row: Mapping[str, str | None]) -> AuthOut:
        """From the store."""
        return cls(**{name: row.get(name) for name in cls.model_fields})


class RecordOut(BaseModel):
    """A record: messages from one address with one outcome."""

    index: int = Field(description="Its place in the report, from 0.", examples=[0])
    day: date = Field(description="The UTC day of the report's begin.", examples=["2026-11-23"])
    source_ip: str = Field(description="Who sent.", examples=["192.0.2.1"])
    count: int = Field(description="Messages.", examples=[17])
    disposition: str | None = Field(description="none, quarantine, reject or pass.", examples=["none"])
    dmarc: str = Field(description="pass when DKIM or SPF is aligned, else fail.", examples=["pass"])
    dkim_aligned: str | None = Field(description="pass or fail.", examples=["pass"])
    spf_aligned: str | None = Field(description="pass or fail.", examples=["fail"])
    header_from: str | None = Field(description="The domain that the reader saw.", examples=["example.com"])
    envelope_from: str | None = Field(description="The domain of the return path.")
    envelope_to: str | None = Field(description="The recipient's domain.")
    reasons: list[ReasonOut] = Field(description="Why the receiver did otherwise.")
    dkim: list[AuthOut] = Field(description="DKIM results.")
    spf: list[AuthOut] = Field(description="SPF results.")
    sender: str | None = Field(
        description="Your name for the sender, otherwise the service's; null when it is unknown.", examples=["SendGrid"]
    )
    sender_kind: str | None = Field(description="The kind of service; own for your own systems.", examples=["crm"])
    sender_decision: str | None = Field(
        description="What you decided about the sender: mine, not_mine, forwarder or ignore.", examples=["mine"]
    )

    @classmethod
    def of(cls, row: RecordRow) -> RecordOut:
        """From the store."""
        same = ("day", "source_ip", "count", "disposition", "dmarc", "dkim_aligned", "spf_aligned", "header_from")
        other = ("envelope_from", "envelope_to", "sender_kind", "sender_decision")
        values: dict[str, Any] = {name: getattr(row, name) for name in (*same, *other)}
        return cls(
            index=row.record_index,
            sender=row.sender_name,
            reasons=[ReasonOut(type=r.get("type"), comment=r.get("comment")) for r in row.reasons],
            dkim=[AuthOut.of(result) for result in row.dkim],
            spf=[AuthOut.of(result) for result in row.spf],
            **values,
        )


class TlsFailureOut(BaseModel):
    """Sessions that failed in one way (RFC 8460 §4.3)."""

    result_type: str | None = Field(description="Like certificate-expired.", examples=["certificate-expired"])
    sending_mta_ip: str | None = Field(description="Who sent.")
    receiving_mx_hostname: str | None = Field(description="To which MX.")
    receiving_mx_helo: str | None = Field(description="What it called itself.")
    receiving_ip: str | None = Field(description="Its address.")
    failed_sessions: int | None = Field(description="How many.", examples=[3])
    additional_information: str | None = Field(description="A link.")
    failure_reason_code: str | None = Field(description="In the reporter's words.")


class TlsPolicyOut(BaseModel):
    """A policy of a TLS report with its sessions."""

    policy_type: str | None = Field(description="sts, tlsa or no-policy-found.", examples=["sts"])
    policy_domain: str | None = Field(description="The domain that it is for.", examples=["example.com"])
    policy_string: list[str] = Field(description="Its text.")
    mx_host: list[str] = Field(description="The MX that it names.")
    successful_sessions: int | None = Field(description="Sessions that went well.", examples=[120])
    failed_sessions: int | None = Field(description="Sessions that did not.", examples=[3])
    failures: list[TlsFailureOut] = Field(description="How they failed.")

    @classmethod
    def of(cls, row: TlsPolicyRow) -> TlsPolicyOut:
        """From the store."""
        values = {name: getattr(row, name) for name in cls.model_fields if name != "failures"}
        names = TlsFailureOut.model_fields
        failures = [TlsFailureOut(**{name: failure.get(name) for name in names}) for failure in row.failures]
        return cls(
            **{**values, "policy_string": list(row.policy_string), "mx_host": list(row.mx_host)}, failures=failures
        )


class FailureOut(BaseModel):
    """A failure report, without the message that it is about."""

    feedback_type: str | None = Field(description="auth-failure.", examples=["auth-failure"])
    version: str | None = Field(description="Of the format.")
    user_agent: str | None = Field(description="What wrote it.")
    auth_failure: str | None = Field(description="What failed.", examples=["dmarc"])
    delivery_result: str | None = Field(description="What was done with the message.")
    identity_alignment: str | None = Field(description="What was aligned.")
    reported_domain: str | None = Field(description="The domain that it is about.")
    source_ip: str | None = Field(description="Who sent.")
    incidents: int | None = Field(description="How many messages it stands for.")
    dkim_domain: str | None = Field(description="The signature's domain.")
    dkim_selector: str | None = Field(description="The signature's selector.")
    spf_dns: str | None = Field(description="The SPF record that was used.")
    original_mail_from: str | None = Field(description="The message's return path.")
    original_rcpt_to: list[str] = Field(description="Its recipients.")
    header_from: str | None = Field(description="Its From.")
    message_id: str | None = Field(description="Its Message-ID.")
    subject: str | None = Field(description="Its subject.")

    @classmethod
    def of(cls, row: FailureRow) -> FailureOut:
        """From the store."""
        values = {name: getattr(row, name) for name in cls.model_fields}
        return cls(**{**values, "original_rcpt_to": list(row.original_rcpt_to)})


class ReportWhole(ReportOut):
    """A report with its content; records and policies from the first on."""

    duplicates: int = Field(description="How many duplicates were received.", examples=[0])
    archived: bool = Field(description="Whether its file as received can be downloaded.")
    rows: list[RecordOut] = Field(description="Aggregate: its records, the first 100.")
    policies: list[TlsPolicyOut] = Field(description="TLS: its policies, the first 100.")
    failure: FailureOut | None = Field(description="Failure: its fields.")
    rows_total: int = Field(description="How many records or policies there are.", examples=[12])
