"""DKIM keys (RFC 6376 section 3.6.1, RFC 8301, RFC 8463): what is published for a selector, and how strong it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from dmarcworks.enrich.dkim.tags import BrokenError, from_base64, tags, without_space
from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.enrich.senders.names import selector_of
from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_more import DKIM_CODES
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["SELECTORS", "check_dkim", "key_findings"]

# Selectors of one check; a domain with more is checked in several.
SELECTORS = 50
_KNOWN = ("v", "k", "p", "t", "h", "s", "n", "g")
_RECORD_CHARACTERS = 8_192
_LEAST_BITS, _ENOUGH_BITS, _MOST_BITS = 1024, 2048, 8192
_ED25519_BYTES = 32


async def check_dkim(
    lookup: RecordLookup, domain: str, selectors: Sequence[str], seen: Sequence[str] = ()
) -> list[DnsFinding]:
    """Check the keys of some selectors: those that were named, and those that reports show."""
    wanted = list(dict.fromkeys((*selectors, *(one for one in seen if selector_of(one)))))[:SELECTORS]
    if not wanted:
        return [_finding("no-selector")]
    return [
        finding
        for part in await asyncio.gather(*(_selector(lookup, domain, one, one in selectors) for one in wanted))
        for finding in part
    ]


async def _selector(lookup: RecordLookup, domain: str, selector: str, named: bool) -> list[DnsFinding]:
    selected = selector_of(selector)
    name = f"{selected}._domainkey.{domain}"
    if selected is None or len(name) > 253:
        return [_finding("selector-invalid", selector=selector)]
    try:
        target = await lookup.alias(name)
        texts = await lookup.texts(name)
    except NoAnswerError:
        return [_finding("no-answer", name=name)]
    findings = [_finding("cname", name=name, target=target)] if target else []
    if not texts and not named:
        return [*findings, _finding("key-missing-seen", selector=selected, name=name)]
    if not texts:
        return [
            *findings,
            _finding("key-missing", fix="Publish the sending service's record.", name=name),
        ]
    if len(texts) > 1:
        record = "\n".join(texts)
        findings.append(_finding("several-records", record=record, fix="Keep one.", count=len(texts), name=name))
        return findings
    return [*findings, *key_findings(texts[0], selected, domain)]


def key_findings(text: str, selector: str, domain: str) -> list[DnsFinding]:
    """What is right and wrong with one key record. Pure."""
    name = f"{selector}._domainkey.{domain}"
    try:
        values = tags(text[:_RECORD_CHARACTERS])
    except BrokenError as error:
        return [_finding("syntax", record=text, name=name, reason=error)]
    findings = list(_flags(values, text, selector))
    if "v" in values and (values["v"] != "DKIM1" or next(iter(values)) != "v"):
        return [*findings, _finding("version", record=text, value=values["v"])]
    if "p" not in values:
        return [*findings, _finding("key-absent", record=text, name=name)]
    return [*findings, *_key(values, text, selector)]


def _flags(values: dict[str, str], text: str, selector: str) -> Iterator[DnsFinding]:
    flags = _list(values.get("t", ""))
    if "y" in flags:
        yield _finding("testing", record=text, fix="Remove t=y.", selector=selector)
    if "s" in flags:
        yield _finding("strict", record=text, selector=selector)
    if "h" in values and "sha256" not in _list(values["h"]):
        yield _finding("hash", record=text, fix="Remove h.", value=values["h"])
    if "s" in values and not {"*", "email"} & set(_list(values["s"])):
        yield _finding("service", record=text, fix="Remove s.", value=values["s"])
    if "g" in values:
        yield _finding("granularity", record=text, selector=selector)
    for tag in values:
        if tag not in _KNOWN:
            yield _finding("unknown-tag", record=text, tag=tag)


def _key(values: dict[str, str], text: str, selector: str) -> Iterator[DnsFinding]:
    kind = values.get("k", "rsa").lower()
    if kind not in ("rsa", "ed25519"):
        yield _finding("key-type", record=text, value=values["k"])
        return
    if not without_space(values["p"]):
        yield _finding("key-revoked", record=text, selector=selector)
        return
    try:
        bits = _bits(kind, from_base64(values["p"]))
    except (BrokenError, ValueError, UnsupportedAlgorithm) as error:
        reason = str(error) if isinstance(error, BrokenError) else "its content cannot be read"
        yield _finding("key-broken", record=text, selector=selector, kind=kind, reason=reason)
        return
    code = "key-good"
    if kind == "rsa" and bits < _ENOUGH_BITS:
        code = "key-too-short" if bits < _LEAST_BITS else "key-short"
    elif kind == "rsa" and bits > _MOST_BITS:
        code = "key-too-long"
    fix = "" if code == "key-good" else "Publish a key of 2048 bits at a new selector and sign with it."
    yield _finding(code, record=text, fix=fix, selector=selector, kind=kind, bits=bits)


def _bits(kind: str, key: bytes) -> int:
    if kind == "ed25519":
        if len(key) != _ED25519_BYTES:
            raise BrokenError(f"it has {len(key)} bytes instead of {_ED25519_BYTES}")
        return _ED25519_BYTES * 8
    public = load_der_public_key(key)
    if not isinstance(public, RSAPublicKey):
        raise BrokenError("it is a key of another type")
    return public.key_size


def _list(text: str) -> list[str]:
    return without_space(text).lower().split(":")


def _finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    return finding_from(DKIM_CODES, f"dkim-{code}", record=record, fix=fix, **values)
