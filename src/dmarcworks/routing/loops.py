"""Mail that goes in a circle: forwarded here before, or with too many Received fields (RFC 5321 §6.3)."""

from __future__ import annotations

import re

from dmarcworks.workers.message import Message

TOO_MANY_HOPS = "554 5.4.6 Too many hops, the mail runs in a circle"
HOPS = 50
LOOP_HEADER = "X-Dmarcworks-Forwarded-For"
_RECEIVED = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)


def loops(message: Message) -> bool:
    """Whether a mail was here before or has come too far to be sent on."""
    if len(_RECEIVED.findall(message.head)) > HOPS:
        return True
    return any(value.strip().lower() == message.to for value in message.headers.get_all(LOOP_HEADER))
