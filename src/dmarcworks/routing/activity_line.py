"""The activity log's line about one recipient of a mail, from what became of it; no store is queried."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from dmarcworks.catalogue.activity import ActivityLine
from dmarcworks.enrich.authenticity import Authenticity
from dmarcworks.reports import headers
from dmarcworks.reports.bounds import Bounds
from dmarcworks.routing import rules
from dmarcworks.routing.matching import owner_of
from dmarcworks.routing.outcome import Routed
from dmarcworks.routing.smtp import Peer

_LONGEST_FIELD = 2000
_BOUNDS = Bounds()
_FIELD = {
    name: re.compile(rb"^%b:[ \t]*(.*(?:\r?\n[ \t].*)*)" % name.encode(), re.IGNORECASE | re.MULTILINE)
    for name in ("subject", "message-id")
}


def activity_line(
    routed: Routed,
    match: rules.Match,
    gate: Mapping[str, str] | None,
    *,
    sender: str,
    to: str,
    raw: bytes,
    peer: Peer,
    time: datetime,
    seconds: float,
    checked: Authenticity | None,
) -> ActivityLine:
    """The line; `checked` is None for a mail whose authenticity was not checked."""
    head = raw[:65_536].partition(b"\r\n\r\n")[0]
    account_id, domain_id = owner_of(match, gate)
    return ActivityLine(
        time=time,
        sender=sender,
        recipient=to,
        peer=peer.address,
        helo=peer.helo,
        tls=peer.tls,
        size=len(raw),
        rule=match.rule.label if match.rule else "rua address" if gate else "",
        action=_word(match.action),
        outcome=routed.outcome,
        status=routed.reply[:3],
        account_id=account_id,
        domain_id=domain_id,
        mail_id=routed.mail_id,
        error=routed.error,
        message_id=field(head, "message-id"),
        subject=field(head, "subject"),
        seconds=round(seconds, 6),
        spf="" if checked is None else checked.spf,
        dkim="" if checked is None else checked.dkim,
        dmarc="" if checked is None else checked.dmarc,
        arc="" if checked is None else checked.arc,
    )


def field(head: bytes, name: str) -> str:
    """A header field for the log: unfolded, decoded (RFC 2047), printable; far faster than a whole parser."""
    match = _FIELD[name].search(head)
    if match is None:
        return ""
    text = headers.words(" ".join(match[1].decode("utf-8", "replace").split())[:_LONGEST_FIELD], _BOUNDS)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()


def _word(action: rules.Action) -> str:
    if isinstance(action, rules.ToWorker):
        return f"worker {action.worker}"
    return type(action).__name__.lower()
