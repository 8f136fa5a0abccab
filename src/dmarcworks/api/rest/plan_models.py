"""What /api/v1 answers about changes of DNS records, as models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from dmarcworks.policy.change_plan import ChangePlan, ChangeRisk, RecordChange
from dmarcworks.policy.record_difference import PieceState
from dmarcworks.policy.spf_prune import PruneState, SpfPrune

__all__ = ["ChangePlanOut", "SpfPruneOut"]


class RecordPieceOut(BaseModel):
    """A piece of a record."""

    text: str = Field(description="The text.", examples=["none"])
    state: PieceState = Field(description="In both records, only before (removed) or only after (added).")


class SenderAtRiskOut(BaseModel):
    """A sender of whose messages a change affects some."""

    sender: str = Field(description="The owner's or the service's name, else its evidence.", examples=["Zendesk"])
    yours: bool = Field(description="Whether it is yours by your decision, your own name, or its aligned mail.")
    messages: int = Field(description="Its messages in the period.", examples=[340])
    affected: int = Field(description="Those quarantined or rejected.", examples=[340])


class ChangeRiskOut(BaseModel):
    """What a change may do to mail."""

    summary: str = Field(description="In words.", examples=["None: p=none affects no mail."])
    replayed: bool = Field(description="Whether the figures are those of a replay; else they are 0.")
    messages: int = Field(description="Messages of the period.", examples=[1000])
    affected: int = Field(description="Those quarantined or rejected.", examples=[40])
    yours_affected: int = Field(description="Those of them from senders that are yours.", examples=[0])
    senders: list[SenderAtRiskOut] = Field(description="The senders of affected messages, yours first.")
    more_senders: int = Field(description="Senders of affected messages that are not listed.", examples=[0])

    @classmethod
    def of(cls, risk: ChangeRisk) -> ChangeRiskOut:
        """From a change."""
        figures: dict[str, Any] = {
            name: getattr(risk, name)
            for name in ("summary", "replayed", "messages", "affected", "yours_affected", "more_senders")
        }
        senders = [
            SenderAtRiskOut(sender=one.name, yours=one.yours, messages=one.messages, affected=one.affected)
            for one in risk.senders
        ]
        return cls(**figures, senders=senders)


class RecordChangeOut(BaseModel):
    """A change of one record."""

    code: str = Field(
        description="dmarc-first, dmarc-repair, dmarc-rua, policy-step, policy-relax, spf-prune or parked.",
        examples=["policy-step"],
    )
    name: str = Field(description="Where the record is published.", examples=["_dmarc.example.com"])
    type: str = Field(description="The record's type.", examples=["TXT"])
    before: list[str] = Field(description="The records of now that it replaces; empty: there is none.")
    after: str = Field(description="The record to publish.", examples=["v=DMARC1; p=quarantine"])
    difference: list[RecordPieceOut] = Field(description="Before and after in pieces.")
    why: str = Field(description="Why it is proposed.")
    risk: ChangeRiskOut = Field(description="What it may do to mail.")
    back: str = Field(description="How to go back; the records to publish again are those of `before`.")
    obstacle: str = Field(description="An alias or another zone at the name, in words; empty: none.")

    @classmethod
    def of(cls, change: RecordChange) -> RecordChangeOut:
        """From a plan."""
        texts: dict[str, Any] = {
            name: getattr(change, name) for name in ("code", "name", "type", "after", "why", "back", "obstacle")
        }
        pieces = [RecordPieceOut(text=one.text, state=one.state) for one in change.difference]
        return cls(**texts, before=list(change.before), difference=pieces, risk=ChangeRiskOut.of(change.risk))


class PrunedTermOut(BaseModel):
    """A term of an SPF record."""

    term: str = Field(description="As it is written.", examples=["include:_spf.example.net"])
    state: PruneState = Field(description="used: it carried mail; unused: it can be removed; kept: not removed, why.")
    reason: str = Field(description="Why, in words.")
    sender: str = Field(description="The sending service behind it; empty: unknown.", examples=["SendGrid"])
    messages: int = Field(description="Messages that passed SPF by it.", examples=[1200])
    aligned: int = Field(description="Those of them that SPF aligned.", examples=[1200])
    addresses: int = Field(description="Addresses of these messages.", examples=[3])
    lookups: int = Field(description="Its DNS look-ups with all below it.", examples=[2])


class SpfPruneOut(BaseModel):
    """What can be removed from an SPF record."""

    domain: str = Field(description="The domain.", examples=["example.com"])
    record: str = Field(description="The record of now; empty: there is not exactly one.")
    trimmed: str = Field(description="The record without its unused terms; empty: nothing is proposed.")
    summary: str = Field(description="What carried no mail, or why nothing is proposed.")
    proof: str = Field(description="How the stored passes were evaluated; empty without a trimmed record.")
    addresses: int = Field(description="Addresses that passed SPF in stored reports.", examples=[12])
    messages: int = Field(description="Their messages.", examples=[4000])
    lookups: int = Field(description="DNS look-ups of the record; 10 are allowed.", examples=[9])
    saved: int = Field(description="Look-ups that the trimmed record saves.", examples=[3])
    terms: list[PrunedTermOut] = Field(description="The terms in their order.")

    @classmethod
    def of(cls, prune: SpfPrune) -> SpfPruneOut:
        """From what was found."""
        names = ("domain", "record", "trimmed", "summary", "proof", "addresses", "messages", "lookups", "saved")
        values: dict[str, Any] = {name: getattr(prune, name) for name in names}
        figures = ("state", "reason", "sender", "messages", "aligned", "addresses", "lookups")
        terms = [PrunedTermOut(term=one.text, **{name: getattr(one, name) for name in figures}) for one in prune.terms]
        return cls(**values, terms=terms)


class ChangePlanOut(BaseModel):
    """The changes of records that are proposed for a domain."""

    domain: str = Field(description="The domain.", examples=["example.com"])
    changes: list[RecordChangeOut] = Field(description="In the order in which to make them.")
    notes: list[str] = Field(description="What is waited for, and what is not proposed and why.")
    spf: SpfPruneOut | None = Field(description="The use of the SPF record; null for a parked domain.")

    @classmethod
    def of(cls, plan: ChangePlan) -> ChangePlanOut:
        """From a plan."""
        return cls(
            domain=plan.domain,
            changes=[RecordChangeOut.of(one) for one in plan.changes],
            notes=list(plan.notes),
            spf=SpfPruneOut.of(plan.prune) if plan.prune is not None else None,
        )
