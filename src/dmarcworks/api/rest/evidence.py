"""/evidence: a document about domains over a period, for auditors, as HTML, PDF or JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from dmarcworks.api.evidence.document import evidence_html
from dmarcworks.api.evidence.pdf import PdfUnavailableError, pdf_of
from dmarcworks.api.rest.deps import Caller, Reader
from dmarcworks.api.rest.download import HEADERS
from dmarcworks.api.rest.errors import RestError
from dmarcworks.api.rest.figures import Span
from dmarcworks.api.rest.route import Route
from dmarcworks.api.rest.tags import answer
from dmarcworks.catalogue.accounts import Domain
from dmarcworks.errors import NotFoundError
from dmarcworks.policy.evidence import DomainEvidence, EvidenceDocument
from dmarcworks.policy.history import RecordEvent

routes = APIRouter(tags=["evidence"], route_class=Route)

Named = Annotated[
    str,
    Query(
        alias="domains",
        pattern=r"^[A-Za-z0-9._,-]{0,4000}$",
        description="Names or ids, separated by commas; default: every domain within reach, at most 50.",
        examples=["example.com,example.org"],
    ),
]
Format = Annotated[
    Literal["json", "html", "pdf"], Query(description="html: a page of its own; pdf: the same to print.")
]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"description": "The document", "content": {"text/html": _BINARY, "application/pdf": _BINARY}}


class PolicySpanOut(BaseModel):
    """Days in a row on which most reports found the same policy."""

    policy: str = Field(description="The policy's tags.", examples=["p=quarantine"])
    first: date = Field(description="First day, UTC.", examples=["2026-10-01"])
    last: date = Field(description="Last day, UTC.", examples=["2026-11-24"])
    days: int = Field(description="Days of it with a report.", examples=[55])
    reports: int = Field(description="Reports that found it.", examples=[400])
    others: int = Field(description="Reports of these days that found another one.", examples=[0])
    reporters: list[str] = Field(description="Who found it.", examples=[["google.com"]])


class EvidenceSenderOut(BaseModel):
    """A sender with the owner's decision."""

    sender: str = Field(description="The owner's or the service's name, else its evidence.", examples=["Zendesk"])
    id: str = Field(description="The sender's id.", examples=["name:Zendesk"])
    sender_class: str = Field(description="aligned, forwarder, unaligned, unknown or suspicious.", examples=["aligned"])
    decision: str | None = Field(description="mine, not_mine, forwarder or ignore; null: none.", examples=["mine"])
    decided: datetime | None = Field(description="When it was decided.")
    decided_by: str = Field(description="Who decided.", examples=["owner@example.com"])
    messages: int = Field(description="Messages of the period.", examples=[340])
    passed: int = Field(description="Those that passed DMARC.", examples=[340])


class EvidenceChangeOut(BaseModel):
    """A change in this system."""

    at: datetime = Field(description="When.")
    who: str = Field(description="A mail address, a token's name or a system user.", examples=["owner@example.com"])
    kind: str = Field(description="user, token, command, system or visitor.", examples=["user"])
    action: str = Field(description="What.", examples=["sender.decide"])
    detail: str = Field(description="More about it.")


class EvidenceRecordOut(BaseModel):
    """A DNS record that a check found for the first time, changed or removed."""

    at: datetime = Field(description="When it was found.")
    kind: str = Field(description="dmarc, spf, dkim, mx and others.", examples=["dmarc"])
    name: str = Field(description="The name of the record.", examples=["_dmarc.example.com"])
    what: str = Field(description="first seen, published, changed or removed.", examples=["changed"])
    before: list[str] = Field(description="The records before.", examples=[["v=DMARC1; p=none"]])
    now: list[str] = Field(description="The records after.", examples=[["v=DMARC1; p=quarantine"]])

    @classmethod
    def of(cls, event: RecordEvent) -> EvidenceRecordOut:
        """From a document."""
        texts = {"before": list(event.before), "now": list(event.now)}
        return cls(at=event.at, kind=event.kind.value, name=event.name, what=event.what, **texts)


class DomainEvidenceOut(BaseModel):
    """One domain."""

    domain: str = Field(description="The domain.", examples=["example.com"])
    added: datetime = Field(description="Since when it is in this system.")
    messages: int = Field(description="Messages in reports.", examples=[1000])
    passed: int = Field(description="Those that passed DMARC.", examples=[960])
    failed: int = Field(description="Those that failed.", examples=[40])
    quarantined: int = Field(description="Those that receivers quarantined.", examples=[0])
    rejected: int = Field(description="Those that receivers rejected.", examples=[0])
    enforced: int = Field(description="Messages whose reports found p=quarantine or p=reject.", examples=[500])
    reports: int = Field(description="Reports.", examples=[60])
    reporters: int = Field(description="Different reporters.", examples=[4])
    policies: list[PolicySpanOut] = Field(description="The policy over time, oldest first.")
    records: list[EvidenceRecordOut] = Field(description="DNS records over time, the oldest first, at most 200.")
    records_total: int = Field(description="All of them in the period.", examples=[1])
    senders: list[EvidenceSenderOut] = Field(description="The largest by messages, at most 100.")
    senders_total: int = Field(description="All senders.", examples=[14])
    changes: list[EvidenceChangeOut] | None = Field(
        description="Oldest first, at most 500; null: the token has no scope admin, or not for the whole account."
    )
    more_changes: bool = Field(description="Whether there are more changes.")

    @classmethod
    def of(cls, one: DomainEvidence) -> DomainEvidenceOut:
        """From a document."""
        names = ("messages", "passed", "failed", "quarantined", "rejected", "reports", "reporters")
        values: dict[str, Any] = {name: getattr(one.figures, name) for name in names}
        spans = [
            {name: getattr(span, name) for name in ("first", "last", "days", "reports", "others")}
            | {"policy": span.policy.text, "reporters": list(span.reporters)}
            for span in one.spans
        ]
        return cls(
            **values,
            domain=one.domain,
            added=one.added,
            enforced=one.enforcement.enforced,
            policies=[PolicySpanOut(**span) for span in spans],
            senders=[
                EvidenceSenderOut(
                    sender=row.name,
                    id=row.id,
                    sender_class=row.sender_class.value,
                    decision=row.decision.decision.value if row.decision else None,
                    decided=row.decision.decided if row.decision else None,
                    decided_by=row.decision.decided_by if row.decision else "",
                    messages=row.group.messages,
                    passed=row.group.passed,
                )
                for row in one.senders
            ],
            records=[EvidenceRecordOut.of(event) for event in one.records],
            records_total=one.records_total,
            senders_total=one.senders_total,
            changes=None
            if one.changes is None
            else [
                EvidenceChangeOut(at=row.at, who=row.who, kind=row.kind, action=row.action, detail=row.detail)
                for row in one.changes
            ],
            more_changes=one.more_changes,
        )


class EvidenceOut(BaseModel):
    """The document."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    made: datetime = Field(description="When it was made.")
    first: date = Field(alias="from", description="First day, UTC.", examples=["2026-10-26"])
    last: date = Field(alias="to", description="Last day, UTC.", examples=["2026-11-24"])
    domains: list[DomainEvidenceOut] = Field(description="The domains.")

    @classmethod
    def of(cls, evidence: EvidenceDocument) -> EvidenceOut:
        """From what was read."""
        domains = [DomainEvidenceOut.of(one) for one in evidence.domains]
        values: dict[str, Any] = {"made": evidence.made, "first": evidence.first, "last": evidence.last}
        return cls(**values, domains=domains)


@routes.get(
    "/evidence",
    operation_id="get_evidence",
    response_model=EvidenceOut,
    responses={200: _FILES, 400: {}, 404: {}, 501: {}},
    summary="Make a document for auditors",
)
async def evidence(
    request: Request, caller: Reader, span: Span, named: Named = "", format: Format = "json"
) -> Response:
    """Policy over time, share of mail at enforcement, senders with decisions, and changes; by default of 30 days.

    The changes are part of it for a token with scope admin for the whole account.
    """
    domains = await _domains(caller, named)
    trail = caller.token.allows("admin") and caller.token.domains is None
    read = await caller.deps.evidence.read(domains, *span, caller.deps.now(), changes=trail)
    if format == "json":
        return answer(request, EvidenceOut.of(read))
    html = evidence_html(read)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="dmarc-{span[0]}-{span[1]}.{format}"'}
    if format == "html":
        return Response(html, headers=headers, media_type="text/html; charset=utf-8")
    try:
        return Response(await pdf_of(html), headers=headers, media_type="application/pdf")
    except PdfUnavailableError as error:
        raise RestError(501, str(error)) from error


async def _domains(caller: Caller, named: str) -> list[Domain]:
    wanted = list(dict.fromkeys(name for name in named.split(",") if name))
    if not wanted:
        domains = await caller.domains()
        if not domains:
            raise NotFoundError("there is no domain yet")
        return domains
    return list({domain.id: domain for domain in [await caller.domain(name) for name in wanted]}.values())
