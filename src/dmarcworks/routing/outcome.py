"""What became of a mail at the router."""

from __future__ import annotations

from dataclasses import dataclass

from dmarcworks.workers.message import SentMail


@dataclass(frozen=True, slots=True)
class Routed:
    """The whole SMTP reply to a mail, the outcome for the log, the reason, and what was sent on."""

    reply: str
    outcome: str
    error: str = ""
    mail_id: str = ""
    sent: tuple[SentMail, ...] = ()
