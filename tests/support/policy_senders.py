"""Replays over an engine, with decisions of owners that are kept in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from dmarcworks.analytics.questions.all import Questions
from dmarcworks.analytics.sender_directory import SenderDirectory
from dmarcworks.bindings.contracts import Analytics
from dmarcworks.catalogue.senders import OwnerDecision, OwnName, SenderDecision
from dmarcworks.policy.reader import PolicyReader


class OwnersWords:
    """The part of the catalogue of senders that the directory reads: decisions by the sender's id."""

    def __init__(self, decisions: Mapping[str, str] | None = None) -> None:
        decided = datetime(2026, 1, 1, tzinfo=UTC)
        self._decisions = {
            sender: SenderDecision(sender, OwnerDecision(decision), "", "", decided, "test")
            for sender, decision in (decisions or {}).items()
        }

    async def own_names(self, account_id: str) -> tuple[OwnName, ...]:
        return ()

    async def decisions(self, account_id: str, domain_id: str) -> Mapping[str, SenderDecision]:
        return self._decisions


def reader(analytics: Analytics, decisions: Mapping[str, str] | None = None) -> PolicyReader:
    """A reader of policies over an engine."""
    questions = Questions(analytics)
    return PolicyReader(questions, SenderDirectory(questions, OwnersWords(decisions)))  # type: ignore[arg-type]
