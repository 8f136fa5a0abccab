"""What /domains/{domain}/check answers: the same object as `dmarcworks check --json`."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, Field

from dmarcworks.policy.dns_records.report_card import ReportCard

__all__ = ["DnsFindingOut", "DomainCheckOut", "EffectivePolicyOut"]


class DnsFindingOut(BaseModel):
    """One finding; docs/dns-checks.md lists every code."""

    check: str = Field(description="What was checked.", examples=["dmarc"])
    code: str = Field(description="Stable; begins with the check.", examples=["dmarc-policy-none"])
    severity: str = Field(description="error, warning, notice or good.", examples=["notice"])
    message: str = Field(description="What it means.", examples=["The policy is none."])
    record: str = Field(description="The record as published; empty for none.", examples=["v=DMARC1; p=none"])
    fix: str = Field(description="The record to publish, or what to do; empty for nothing.", examples=[""])
    reference: str = Field(description="The clause of the standard.", examples=["RFC 9989 section 4.7"])


class EffectivePolicyOut(BaseModel):
    """The DMARC policy that applies to mail from the domain; all null when none does."""

    record_domain: str | None = Field(description="Where the record is.", examples=["example.com"])
    organizational_domain: str | None = Field(description="The organizational domain.", examples=["example.com"])
    policy: str | None = Field(description="none, quarantine or reject.", examples=["none"])
    tag: str | None = Field(description="The tag that it comes from: p, sp or np.", examples=["p"])
    adkim: str | None = Field(description="r or s.", examples=["r"])
    aspf: str | None = Field(description="r or s.", examples=["r"])
    testing: bool | None = Field(description="Whether t=y requests it one step weaker.", examples=[False])


class SpfCheckOut(BaseModel):
    """The SPF record and what it costs to evaluate."""

    record: str | None = Field(description="The one record; null for none or several.", examples=["v=spf1 -all"])
    lookups: int = Field(description="Terms that cause queries; 10 are allowed.", examples=[0])
    void_lookups: int = Field(description="Queries without an answer; 2 are allowed.", examples=[0])


class SpfEvaluationOut(SpfCheckOut):
    """The same with what SPF decides about mail from an address (RFC 7208)."""

    result: str = Field(description="none, neutral, pass, fail, softfail, temperror or permerror.", examples=["pass"])
    mechanism: str | None = Field(description="The mechanism that matched; null for none.", examples=["ip4:192.0.2.1"])
    explanation: str | None = Field(description="What exp= states for a fail; null for nothing.", examples=[None])
    trace: list[str] = Field(description="The terms in the order of their evaluation.", examples=[["ip4: match"]])


class DomainCheckOut(BaseModel):
    """A domain's DNS records about mail, checked now."""

    domain: str = Field(description="In lower-case A-labels.", examples=["example.com"])
    findings: list[DnsFindingOut] = Field(description="The most serious first.")
    effective: EffectivePolicyOut = Field(description="The DMARC policy that applies.")
    spf: SpfEvaluationOut | SpfCheckOut = Field(description="The SPF record; evaluated when the query has `spf_ip`.")
    answered: bool = Field(description="False when DNS did not answer about the DMARC, SPF or MX records.")

    @classmethod
    def of(cls, card: ReportCard) -> DomainCheckOut:
        """From a report card."""
        return cls(
            domain=card.domain,
            findings=[DnsFindingOut(**asdict(finding)) for finding in card.findings],
            effective=EffectivePolicyOut(**asdict(card.effective)),
            spf=SpfEvaluationOut(**card.spf) if "result" in card.spf else SpfCheckOut(**card.spf),
            answered=card.answered,
        )
