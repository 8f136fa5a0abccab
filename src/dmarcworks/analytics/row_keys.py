"""The key of a row's sender, computed from its values: as `questions.sender_rows` computes it in the engine. Pure.

It is needed where rows are written, before the engine has them: a decision of the owner is about a key. Text beyond
ASCII that the engine writes in lower case in another way gets another key, and thereby no decision.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from dmarcworks.analytics.sender_key import SECOND_LEVEL, VALUE_CHARACTERS, SenderBasis, SenderKey

__all__ = ["RowSource", "evidence_key", "row_keys"]

_Result = tuple[str | None, str | None, str | None]


class RowSource(NamedTuple):
    """What a row states about its source: signatures as (domain, selector, result), SPF as (domain, scope, result)."""

    domain: str
    source_ip: str
    dkim_aligned: bool
    dkim: Sequence[_Result]
    spf: Sequence[_Result]
    ptr: str | None = None
    ptr_confirmed: bool = False
    asn: int | None = None
    as_name: str | None = None


def row_keys(source: RowSource, sender: str | None) -> tuple[SenderKey, ...]:
    """The keys of a row's sender: by its name where it has one, and by its evidence."""
    key = evidence_key(source)
    return (SenderKey(SenderBasis.name, sender[:VALUE_CHARACTERS]), key) if sender else (key,)


def evidence_key(source: RowSource) -> SenderKey:
    """The key of a row whose sender has no name."""
    signed = sorted((_name(one), _name(two)) for one, two, result in source.dkim if result == "pass")
    signed = [signature for signature in signed if signature[0]]
    own = [signature for signature in signed if _is_own(signature[0], source)]
    others = [signature for signature in signed if signature not in own]
    if others:
        return SenderKey(SenderBasis.dkim, others[0][0])
    if own:
        return SenderKey(SenderBasis.own, f"{own[0][1]}._domainkey.{own[0][0]}")
    envelopes = sorted((scope == "helo", _name(one)) for one, scope, result in source.spf if result == "pass")
    for _, envelope in envelopes:
        if envelope:
            return SenderKey(SenderBasis.envelope, envelope)
    if source.ptr_confirmed and (host := _name(source.ptr)):
        return SenderKey(SenderBasis.ptr, _registrable(host))
    network = (source.as_name or "")[:VALUE_CHARACTERS] or (f"AS{source.asn}" if source.asn else "")
    return SenderKey(SenderBasis.network, network) if network else SenderKey(SenderBasis.block, _block(source))


def _name(text: str | None) -> str:
    return (text or "").lower()[:VALUE_CHARACTERS].rstrip(".")


def _is_own(signer: str, source: RowSource) -> bool:
    """A signature of the domain or of one below it; of one above it when the reporter found it aligned."""
    if signer == source.domain or signer.endswith(f".{source.domain}"):
        return True
    return source.dkim_aligned and source.domain.endswith(f".{signer}")


def _registrable(host: str) -> str:
    labels = host.split(".")
    long = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SECOND_LEVEL
    return ".".join(labels[-3 if long else -2 :])


def _block(source: RowSource) -> str:
    try:
        address = ipaddress.ip_address(source.source_ip)
    except ValueError:
        return source.source_ip[:VALUE_CHARACTERS]
    prefix = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network((address.packed, prefix), strict=False).network_address)
