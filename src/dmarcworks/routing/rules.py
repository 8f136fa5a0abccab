"""Where a mail goes: recipient → action. Pure; asked once per recipient.

The report host's own addresses go to the DMARC worker; every other recipient is refused with 550 5.1.1, so this host
relays for nobody (RFC 5321 §3.6.2).
"""

from __future__ import annotations

from dataclasses import dataclass

DMARC_WORKER = "dmarc"


@dataclass(frozen=True, slots=True)
class ToWorker:
    """Hand the mail to the worker of that name."""

    worker: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the recipient; `status` is the whole SMTP reply."""

    status: str


Action = ToWorker | Reject

UNKNOWN_RECIPIENT = Reject("550 5.1.1 No such recipient here")


def normal_address(address: str) -> str:
    """The address as it is looked up: without angle brackets, in lower case (our addresses are all ASCII)."""
    return address.strip().removeprefix("<").removesuffix(">").lower()


def route(address: str, hostname: str) -> Action:
    """The action for a recipient of this report host."""
    local, at, domain = normal_address(address).rpartition("@")
    if not at or not local or domain.rstrip(".") != hostname.lower():
        return UNKNOWN_RECIPIENT
    return ToWorker(DMARC_WORKER)
