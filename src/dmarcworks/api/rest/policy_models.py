"""What /api/v1 answers about policies, as models."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from dmarcworks.enrich.senders.classify import SenderClass
from dmarcworks.policy.advice import PolicyAdvice
from dmarcworks.policy.replay import Effect, PolicyReplay, ReplayedSender
from dmarcworks.policy.tags import DomainPolicy

__all__ = ["PolicyAdviceOut", "PolicyReplayOut"]


class PolicyTagsOut(BaseModel):
    """A policy with every default filled in."""

    p: str = Field(description="For mail of the domain itself: none, quarantine or reject.", examples=["reject"])
    sp: str = Field(description="For existing subdomains; p unless it is given.", examples=["reject"])
    np: str = Field(description="For subdomains that do not exist; sp unless it is given.", examples=["reject"])
    adkim: str | None = Field(description="r or s; null: as each report found it published.", examples=["s"])
    aspf: str | None = Field(description="r or s; null: as each report found it published.", examples=["r"])
    t: str = Field(description="y: each level is applied one level lower.", examples=["n"])
    pct: int = Field(description="Percentage of failing mail that the policy applies to.", examples=[100])

    @classmethod
    def of(cls, policy: DomainPolicy) -> PolicyTagsOut:
        """From the tags."""
        tags: dict[str, Any] = policy.tags
        return cls(**tags)


class EffectOut(BaseModel):
    """Messages and what the policy would have done to them."""

    messages: int = Field(description="Messages.", examples=[100])
    affected: int = Field(description="Those rejected or quarantined.", examples=[12])
    quarantined: int = Field(description="Those quarantined.", examples=[0])
    rejected: int = Field(description="Those rejected.", examples=[12])

    @classmethod
    def figures(cls, effect: Effect) -> dict[str, Any]:
        """The fields of an effect."""
        return {name: getattr(effect, name) for name in EffectOut.model_fields}


class ReplayedSenderOut(EffectOut):
    """A sender in a replay."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    sender: str = Field(description="The owner's or the service's name, else its evidence.", examples=["Zendesk"])
    id: str = Field(description="The sender's id, for other routes.", examples=["name:Zendesk"])
    sender_class: SenderClass = Field(
        alias="class", description="aligned, forwarder, unaligned, unknown or suspicious.", examples=["unaligned"]
    )
    yours: bool = Field(description="Whether it is yours by your decision, your own name, or its aligned mail.")
    disposition: str = Field(description="The strictest one for any of its messages.", examples=["reject"])
    overrides: dict[str, int] = Field(
        description="Affected messages by the reasons for which reporters did not apply the policy.",
        examples=[{"forwarded": 3}],
    )

    @classmethod
    def of(cls, one: ReplayedSender) -> ReplayedSenderOut:
        """From a replay."""
        values: dict[str, Any] = {
            **cls.figures(one.effect),
            "sender": one.name,
            "id": one.key.id,
            "sender_class": one.sender_class,
            "yours": one.yours,
            "disposition": one.effect.disposition,
            "overrides": dict(one.overrides),
        }
        return cls(**values)


class ReplayedClassOut(EffectOut):
    """A class of senders in a replay."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    sender_class: SenderClass = Field(alias="class", description="The class.", examples=["unaligned"])


class ReplayedDayOut(EffectOut):
    """A day in a replay."""

    day: date = Field(description="UTC day of the reports' begin.", examples=["2026-11-23"])


class ReplayedSourceOut(EffectOut):
    """A source address with affected messages."""

    source_ip: str = Field(description="The address, as reported.", examples=["192.0.2.1"])
    sender: str = Field(description="Its sender; an address may send for several.", examples=["Zendesk"])


class PolicyReplayOut(EffectOut):
    """What a policy would have done to the mail of a period."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    domain: str = Field(description="The domain.", examples=["example.com"])
    first: date = Field(alias="from", description="First day, UTC.", examples=["2026-10-26"])
    last: date = Field(alias="to", description="Last day, UTC.", examples=["2026-11-24"])
    policy: PolicyTagsOut = Field(description="The replayed policy.")
    senders: list[ReplayedSenderOut] = Field(description="By affected messages, most first.")
    senders_total: int = Field(description="Senders with a message in the period.", examples=[14])
    classes: list[ReplayedClassOut] = Field(description="By class of sender.")
    days: list[ReplayedDayOut] = Field(description="Days with a report, in order.")
    sources: list[ReplayedSourceOut] = Field(description="Addresses with affected messages, most first.")
    sources_total: int = Field(description="Addresses with affected messages.", examples=[31])
    yours: EffectOut = Field(description="The senders that are yours, together.")
    np_candidates: EffectOut = Field(
        description="Failing messages of subdomains that no message of the period shows to be in use; np applies."
    )
    subdomains: int = Field(description="Messages of subdomains without a record of their own.", examples=[0])
    other_record: int = Field(description="Messages of subdomains with a record of their own.", examples=[0])
    outside: int = Field(description="Messages whose header_from is not below the domain.", examples=[0])
    overrides: dict[str, int] = Field(
        description="Affected messages by the reasons for which reporters did not apply the policy.",
        examples=[{"forwarded": 3}],
    )
    dispositions: dict[str, int] = Field(
        description="Affected messages by what reporters did with them; empty word: not stated.",
        examples=[{"none": 12}],
    )

    @classmethod
    def of(cls, replayed: PolicyReplay, senders: int, sources: int) -> PolicyReplayOut:
        """From a replay: so many of its senders and sources."""
        effect = EffectOut.figures
        sums: dict[str, Any] = {
            **effect(replayed.total),
            **{name: getattr(replayed, name) for name in ("domain", "first", "last", "senders_total", "sources_total")},
            **{name: getattr(replayed, name) for name in ("subdomains", "other_record", "outside")},
            "yours": EffectOut(**effect(replayed.yours)),
            "np_candidates": EffectOut(**effect(replayed.candidates)),
            "overrides": dict(replayed.overrides),
            "dispositions": dict(replayed.dispositions),
        }
        return cls(
            **sums,
            policy=PolicyTagsOut.of(replayed.policy),
            senders=[ReplayedSenderOut.of(one) for one in replayed.senders[:senders]],
            classes=[ReplayedClassOut(**{"sender_class": name, **effect(one)}) for name, one in replayed.by_class],
            days=[ReplayedDayOut(day=day, **effect(one)) for day, one in replayed.days.items()],
            sources=[
                ReplayedSourceOut(
                    source_ip=one.source_ip, sender=one.sender.name if one.sender else "", **effect(one.effect)
                )
                for one in replayed.sources[:sources]
            ],
        )


class ConditionOut(BaseModel):
    """A condition of the next step."""

    code: str = Field(description="A stable code.", examples=["own_mail"])
    message: str = Field(
        description="The figures, and what to do.", examples=["The period has 90 messages; 100 are required."]
    )
    met: bool = Field(description="Whether it is met.")


class PlanStepOut(BaseModel):
    """A step of the plan."""

    policy: str = Field(description="The policy's tags.", examples=["p=quarantine"])
    state: str = Field(description="in_force, next or later.", examples=["next"])


class PolicyAdviceOut(BaseModel):
    """The policy in force and the next step."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    domain: str = Field(description="The domain.", examples=["example.com"])
    first: date = Field(
        alias="from", description="First day of the mail that is checked, UTC.", examples=["2026-10-26"]
    )
    last: date = Field(alias="to", description="Last day, UTC.", examples=["2026-11-24"])
    policy: PolicyTagsOut | None = Field(description="The policy in force; null: no report states one.")
    source: str = Field(
        description="Where the policy in force is known from; empty: nowhere.",
        examples=["policy_published in the reports about 2026-11-24 from google.com"],
    )
    since: date | None = Field(description="Since when reports show it without a break.", examples=["2026-10-01"])
    next: str | None = Field(
        description="The next policy, as `if` of the replay accepts it; null: there is no stricter step.",
        examples=["p=quarantine"],
    )
    ready: bool = Field(description="Whether all conditions of the next step are met.")
    stay: bool = Field(description="Whether to keep the policy in force; false: it loses mail of yours.")
    summary: str = Field(description="The advice in a sentence or two.", examples=["Ready for p=quarantine."])
    because: list[ConditionOut] = Field(description="The conditions.")
    plan: list[PlanStepOut] = Field(description="Every step from the policy in force on.")

    @classmethod
    def of(cls, advice: PolicyAdvice, first: date, last: date) -> PolicyAdviceOut:
        """From the advice on the mail of these days."""
        force = advice.in_force
        values: dict[str, Any] = {
            **{name: getattr(advice, name) for name in ("domain", "ready", "stay", "summary")},
            "first": first,
            "last": last,
            "policy": PolicyTagsOut.of(force.policy) if force else None,
            "source": force.source if force else "",
            "since": force.since if force else None,
            "next": advice.next.text if advice.next else None,
            "because": [ConditionOut(code=one.code, message=one.message, met=one.met) for one in advice.because],
            "plan": [PlanStepOut(policy=one.policy.text, state=one.state) for one in advice.plan],
        }
        return cls(**values)
