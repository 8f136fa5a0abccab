"""What /api/v1 answers about the set-up of domains, claims to domains, and notices."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from dmarcworks.api.rest.domain_models import DnsRecordOut
from dmarcworks.api.rest.examples import RUA, WHEN
from dmarcworks.catalogue.domain_claims import DomainClaim
from dmarcworks.catalogue.domain_lines import DomainOutcome
from dmarcworks.catalogue.notices import AccountNotice
from dmarcworks.policy.setup.model import DomainSetup, SetupChange, SetupItem
from dmarcworks.policy.setup.plan import challenge_record

__all__ = [
    "ClaimIn",
    "ClaimOut",
    "ClaimsOut",
    "DomainFileIn",
    "DomainOutcomesOut",
    "DomainSetupOut",
    "NoticeOut",
    "NoticesOut",
]


class SetupChangeOut(BaseModel):
    """A record to publish, with what is published there now."""

    name: str = Field(description="Without trailing dot.", examples=["_dmarc.example.com"])
    type: str = Field(description="TXT or MX.", examples=["TXT"])
    before: str = Field(description="What is published; empty for nothing.", examples=["v=DMARC1; p=none"])
    after: str = Field(description="What to publish.", examples=[f"v=DMARC1; p=none; rua=mailto:{RUA}"])

    @classmethod
    def of(cls, change: SetupChange) -> SetupChangeOut:
        """From the set-up."""
        return cls(name=change.name, type=change.type, before=change.before, after=change.after)


class SetupItemOut(BaseModel):
    """One thing of a set-up."""

    code: str = Field(description="Stable.", examples=["dmarc"])
    title: str = Field(description="What it is.", examples=["DMARC record"])
    status: Literal["done", "change", "missing", "unknown", "unchecked"] = Field(
        description="change: it works, and should be changed; unknown: DNS gave no answer; unchecked: not looked up."
    )
    message: str = Field(description="What is so, and why.", examples=["No DMARC record is published."])
    fix: str = Field(description="What to do; empty for nothing.", examples=["Publish this record."])
    optional: bool = Field(description="Whether reports arrive without it too.")
    changes: list[SetupChangeOut] = Field(description="The records to publish for it.")

    @classmethod
    def of(cls, item: SetupItem) -> SetupItemOut:
        """From the set-up."""
        return cls(
            code=item.code,
            title=item.title,
            status=item.status.value,
            message=item.message,
            fix=item.fix,
            optional=item.optional,
            changes=[SetupChangeOut.of(one) for one in item.changes],
        )


class DomainSetupOut(BaseModel):
    """The set-up of a domain, as of the newest look at DNS."""

    domain: str = Field(description="In lower-case A-labels.", examples=["example.com"])
    state: Literal["unchecked", "unknown", "publish", "waiting", "receiving"] = Field(
        description="publish: something is missing; waiting: all is published, the first report is awaited.",
        examples=["publish"],
    )
    proven: datetime | None = Field(description="When DNS proved the domain; null: unproven.", examples=[WHEN])
    evidence: str = Field(description="What proved it: rua, txt, or empty.", examples=["rua"])
    checked: datetime | None = Field(description="When DNS was looked up; null: not yet.", examples=[WHEN])
    checking: bool = Field(description="Whether a check is requested or running.")
    due: datetime | None = Field(description="When the next check is due; null: all was seen.", examples=[WHEN])
    resolver: str = Field(description="The name server that was queried; empty: the system's.", examples=[""])
    items: list[SetupItemOut] = Field(description="Each thing with its state.")
    notes: list[str] = Field(description="Which domain reports about subdomains count for.")
    records: list[DnsRecordOut] = Field(description="All records that the domain needs, as they should be.")
    challenge: DnsRecordOut = Field(description="The record that proves the domain without changing another one.")

    @classmethod
    def of(cls, setup: DomainSetup) -> DomainSetupOut:
        """From the set-up."""
        return cls(
            domain=setup.domain,
            state=setup.state.value,
            proven=setup.proven,
            evidence=setup.evidence,
            checked=setup.checked,
            checking=setup.checking,
            due=setup.due,
            resolver=setup.resolver,
            items=[SetupItemOut.of(one) for one in setup.items],
            notes=list(setup.notes),
            records=[DnsRecordOut.of(one) for one in setup.records],
            challenge=DnsRecordOut.of(setup.challenge),
        )


class ClaimIn(BaseModel):
    """A domain to claim."""

    name: str = Field(min_length=1, max_length=300, description="Like example.com.", examples=["example.com"])


class ClaimOut(BaseModel):
    """A claim to a domain: once DNS shows the record, or the address in the DMARC record, the account has it."""

    name: str = Field(description="In lower-case A-labels.", examples=["example.com"])
    record: DnsRecordOut = Field(description="The record that proves it.")
    rua: str = Field(description="The domain's address for reports once it is proven.", examples=[RUA])
    created: datetime = Field(description="When it was claimed.", examples=[WHEN])
    checked: datetime | None = Field(description="When DNS was looked up; null: not yet.", examples=[WHEN])
    checking: bool = Field(description="Whether a check is requested or running.")
    reason: str = Field(description="Why it is not proven yet; empty before the first check.", examples=[""])

    @classmethod
    def of(cls, claim: DomainClaim, hostname: str) -> ClaimOut:
        """From the catalogue."""
        return cls(
            name=claim.name,
            record=DnsRecordOut.of(challenge_record(claim.name, claim.token)),
            rua=f"{claim.token}@{hostname}",
            created=claim.created,
            checked=claim.checked,
            checking=claim.checking,
            reason=claim.reason,
        )


class ClaimsOut(BaseModel):
    """The open claims of the account; at most a hundred."""

    items: list[ClaimOut] = Field(description="By name.")


class NoticeOut(BaseModel):
    """A notice to the account."""

    id: int = Field(description="The notice's number.", examples=[1])
    created: datetime = Field(description="When it was left.", examples=[WHEN])
    code: str = Field(description="domain-lost or domain-received.", examples=["domain-lost"])
    domain: str = Field(description="The domain that it is about.", examples=["example.com"])
    text: str = Field(description="For a person.", examples=["Another account proved the domain."])

    @classmethod
    def of(cls, notice: AccountNotice) -> NoticeOut:
        """From the catalogue."""
        return cls(id=notice.id, created=notice.created, code=notice.code, domain=notice.domain, text=notice.text)


class NoticesOut(BaseModel):
    """The notices to the account; the newest hundred."""

    items: list[NoticeOut] = Field(description="Newest first.")


class DomainFileIn(BaseModel):
    """Domains to add."""

    csv: str = Field(
        min_length=1,
        max_length=60_000,
        description="One domain per line, or CSV with the columns domain and parked; at most 500 domains.",
        examples=["domain,parked\nexample.com,no\nexample.org,yes\n"],
    )


class DomainOutcomeOut(BaseModel):
    """What became of a line."""

    line: int = Field(description="The number of the line.", examples=[2])
    domain: str = Field(description="The domain.", examples=["example.com"])
    outcome: Literal["added", "present", "refused"] = Field(description="present: the account had it.")
    rua: str | None = Field(description="Its address for reports; null when it was refused.", examples=[RUA])
    reason: str = Field(description="Why it was refused; empty when it was not.", examples=[""])


class DomainOutcomesOut(BaseModel):
    """What became of each line."""

    items: list[DomainOutcomeOut] = Field(description="In the order of the file.")

    @classmethod
    def of(cls, outcomes: list[DomainOutcome]) -> DomainOutcomesOut:
        """From the catalogue."""
        return cls(
            items=[
                DomainOutcomeOut.model_validate(
                    {
                        "line": one.line,
                        "domain": one.domain,
                        "outcome": one.outcome,
                        "rua": one.rua,
                        "reason": one.reason,
                    }
                )
                for one in outcomes
            ]
        )
