"""Settings of the plan towards enforcement: what must be met before a stricter policy is advised."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["PolicySettings"]


class PolicySettings(BaseModel):
    """Entry conditions of the steps of a DMARC policy."""

    policy_watch_days: int = Field(
        14, ge=1, le=365, description="Days that a policy must be seen in reports before the next step is advised."
    )
    policy_messages: int = Field(
        100, ge=1, le=1_000_000_000, description="Messages that the period must have before a step is advised."
    )
    policy_reporters: int = Field(
        2, ge=1, le=1000, description="Reporters that the period must have before a step is advised."
    )
    policy_quarantine_percent: float = Field(
        98.0,
        ge=50,
        le=100,
        description="Share of your own mail, and of each of your senders, that must be aligned for p=quarantine.",
    )
    policy_reject_percent: float = Field(
        99.5,
        ge=50,
        le=100,
        description="Share of your own mail, and of each of your senders, that must be aligned for p=reject.",
    )
