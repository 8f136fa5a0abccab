"""SPF of a mail over known answers: a result, or the query whose answer is missing.

The evaluation runs again with each answer, so that it needs no network, can be stopped at any time, and can run in
another process; at most ten terms cause queries, so that the runs are few, and parsed records are cached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dmarcworks.enrich.dkim.tags import BrokenError, domain
from dmarcworks.enrich.spf.client import spf_client
from dmarcworks.enrich.spf.evaluation import check_host
from dmarcworks.enrich.spf.model import Needed, SpfEvaluation

__all__ = ["MAX_QUERIES", "Answers", "Needed", "Question", "spf_domain", "spf_step"]

Question = tuple[str, str]
Answers = Mapping[Question, Sequence[Any] | None]
"""By name and type: the records, or None when DNS gave no answer."""

MAX_QUERIES = 1 + 10 * 11 + 11
"""The queries of one evaluation at most: the record, ten terms with ten hosts each, and the client's host names."""


def spf_domain(helo: str, sender: str) -> str:
    """The domain that is checked: the envelope sender's, else HELO's; "" for what is no domain name."""
    try:
        return domain((sender.rpartition("@")[2] or helo)[:1000])
    except BrokenError:
        return ""


def spf_step(peer: str, helo: str, sender: str, answers: Answers) -> str | Needed:
    """The result as RFC 8601 words it, or what must be known first."""
    checked = spf_domain(helo, sender)
    client = spf_client(peer, f"{sender.rpartition('@')[0]}@{checked}", helo) if checked else None
    if client is None:
        return "none"
    steps = check_host(client, explain=False)
    try:
        needed = next(steps)
        while (needed.name, needed.kind) in answers:
            needed = steps.send(answers[needed.name, needed.kind])
    except StopIteration as end:
        evaluation: SpfEvaluation = end.value
        return evaluation.result.value
    return needed
