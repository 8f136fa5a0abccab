"""The values of identification: a sending service, the evidence about a message's source, and the answer."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dmarcworks.enrich.senders.names import name_of, selector_of
from dmarcworks.errors import UsageError

__all__ = [
    "Evidence",
    "Identification",
    "IpBlock",
    "OwnDkim",
    "OwnSender",
    "SenderKind",
    "SendingService",
    "Signature",
    "kind_words",
]

IpBlock = ipaddress.IPv4Network | ipaddress.IPv6Network


class SenderKind(StrEnum):
    """What a sending service is for."""

    mailbox_provider = "mailbox_provider"
    marketing = "marketing"
    transactional = "transactional"
    crm = "crm"
    helpdesk = "helpdesk"
    hr = "hr"
    finance = "finance"
    commerce = "commerce"
    hosting = "hosting"
    security_gateway = "security_gateway"
    forwarder = "forwarder"
    mailing_list = "mailing_list"
    collaboration = "collaboration"
    education = "education"
    survey = "survey"
    events = "events"
    social = "social"
    developer = "developer"
    government = "government"
    university = "university"
    isp = "isp"
    other = "other"


_ABBREVIATIONS = {"crm": "CRM", "hr": "HR", "isp": "ISP"}


def kind_words(kind: str) -> str:
    """A kind as people read it: `crm` is CRM, `mailbox_provider` is mailbox provider."""
    return _ABBREVIATIONS.get(kind, kind.replace("_", " "))


@dataclass(frozen=True, slots=True)
class SendingService:
    """An entry of the catalogue. `infrastructure`: other services send through it, so a more specific one wins."""

    name: str
    kind: SenderKind
    home: str
    setup: str
    fix: str
    infrastructure: bool = False
    dkim: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    envelope: tuple[str, ...] = ()
    spf: tuple[str, ...] = ()
    ptr: tuple[str, ...] = ()
    blocks: tuple[IpBlock, ...] = ()


class Signature(NamedTuple):
    """A DKIM signature and what its check gave."""

    domain: str
    selector: str | None = None
    result: str = "pass"


class Evidence(NamedTuple):
    """What is known about the source of messages, as reports and DNS state it; text of strangers, in any form.

    `ptr_confirmed`: the name that PTR gives has the address among its own (forward-confirmed reverse DNS).
    """

    ip: str | None = None
    ptr: str | None = None
    ptr_confirmed: bool = False
    dkim: tuple[Signature, ...] = ()
    spf_domain: str | None = None
    spf_result: str = "pass"
    header_from: str | None = None
    asn: int | None = None


class Identification(NamedTuple):
    """The answer: `sender` and `kind` are None when unknown. `claimed`: the name rests on a choice of the sender."""

    sender: str | None
    kind: str | None
    confidence: float
    claimed: bool
    because: tuple[str, ...]


class OwnDkim(NamedTuple):
    """Signatures of a domain and those below it; with a selector, only those; `*` in it, once, is any text."""

    domain: str
    selector: str | None = None


@dataclass(frozen=True, slots=True)
class OwnSender:
    """A name that an account gives to its own system. `UsageError` for a part that is no domain, selector or block."""

    name: str
    kind: SenderKind = SenderKind.other
    blocks: tuple[IpBlock, ...] = ()
    dkim: tuple[OwnDkim, ...] = ()
    envelope: tuple[str, ...] = ()
    ptr: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for domain in (*(signer.domain for signer in self.dkim), *self.envelope, *self.ptr):
            if name_of(domain) != domain:
                raise UsageError(
                    f"{self.name}: {domain[:100]!r} is not a domain name in lower case; write it like example.com"
                )
        for signer in self.dkim:
            selector = signer.selector
            if selector is None:
                continue
            if selector.count("*") > 1 or selector_of(selector.replace("*", "0")) != selector.replace("*", "0"):
                raise UsageError(f"{self.name}: {selector[:100]!r} is not a DKIM selector in lower case")
