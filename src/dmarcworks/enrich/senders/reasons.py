"""Sentences about evidence: text of strangers in one bounded printable line, and why evidence names nobody. Pure."""

from __future__ import annotations

from dmarcworks.enrich.senders.model import Evidence, Signature
from dmarcworks.enrich.senders.names import ip_address, is_for_visitors, name_of

__all__ = ["passed", "shown", "unused"]

_LONGEST = 100
# Of a message with many signatures the first ones show enough.
_SIGNATURES = 8


def passed(result: str | None) -> bool:
    """Whether a check's result is a pass."""
    return result == "pass" or (result is not None and result.strip().lower() == "pass")


def shown(text: str | None) -> str:
    """The text for a sentence: printable, and cut when it is long."""
    text = text or ""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return cut if cut.isprintable() else "".join(char if char.isprintable() else "?" for char in cut)


def unused(evidence: Evidence) -> tuple[str, ...]:
    """A sentence for each piece of evidence of an unknown sender: why it names nobody."""
    sentences = [_signature(signature) for signature in evidence.dkim[:_SIGNATURES]]
    if evidence.spf_domain:
        sentences.append(_envelope(evidence.spf_domain, evidence.spf_result))
    if evidence.ptr:
        sentences.append(_host(evidence.ptr, evidence.ptr_confirmed))
    if evidence.ip:
        address = ip_address(evidence.ip)
        sentences.append(
            f"{shown(evidence.ip)} is not an IP address"
            if address is None
            else f"address {address} is in no block that a known service publishes"
        )
    if evidence.asn is not None:
        sentences.append(f"AS {evidence.asn} alone names nobody: many senders share a network")
    return tuple(dict.fromkeys(sentences)) or ("there is no evidence",)


def _signature(signature: Signature) -> str:
    what = f"DKIM d={shown(signature.domain)}"
    if not passed(signature.result):
        return f"{what} did not pass ({shown(signature.result) or 'no result'}) and names nobody"
    if name_of(signature.domain) is None:
        return f"{what} is not a domain name"
    return f"{what} passed, but no known service signs with this domain"


def _envelope(domain: str, result: str) -> str:
    what = f"SPF of envelope domain {shown(domain)}"
    if not passed(result):
        return f"{what} did not pass ({shown(result) or 'no result'}) and names nobody"
    if name_of(domain) is None:
        return f"envelope domain {shown(domain)} is not a domain name"
    return f"{what} passed, but no known service uses this domain"


def _host(ptr: str, confirmed: bool) -> str:
    host = name_of(ptr)
    if host is None:
        return f"PTR {shown(ptr)} is not a host name"
    if not confirmed:
        return f"PTR {shown(ptr)} is not confirmed and names nobody"
    if is_for_visitors(host):
        return f"PTR {shown(ptr)} is the name of a subscriber line, a visitor or a crawler and names nobody"
    return f"PTR {shown(ptr)} is confirmed, but belongs to no known service"
