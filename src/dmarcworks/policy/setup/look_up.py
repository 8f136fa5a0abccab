"""Look up the records of a domain's set-up, all at the same time and within one deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from dmarcworks.catalogue.addresses import host_of
from dmarcworks.enrich.dmarc_policy import is_dmarc_record
from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.dmarc_lookup import NO_POLICY, EffectivePolicy, discover, organization_of
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.dns_records.lookup import RecordLookup
from dmarcworks.policy.setup.published import CHALLENGE_LABEL, PublishedRecords, ReportTarget, bounded_texts

__all__ = ["RoutedHere", "look_up_records"]

RoutedHere = Callable[[str], Awaitable[bool]]
"""Whether a routing rule of the domain's account brings mail for an address to the reports of this system."""

_ALIASES, _ADDRESSES, _ZONE_NAMES = 8, 10, 6
_Result = TypeVar("_Result")


async def look_up_records(
    lookup: RecordLookup, domain: str, rua: str, routed_here: RoutedHere, *, parked: bool = False
) -> PublishedRecords:
    """What is published. Never raises for DNS: what has no answer is None."""
    name = f"_dmarc.{domain}"
    (dmarc, ttl), alias, tls, challenge, ours = await asyncio.gather(
        _dmarc(lookup, name),
        _alias(lookup, name),
        _texts(lookup, f"_smtp._tls.{domain}"),
        _texts(lookup, f"{CHALLENGE_LABEL}.{domain}"),
        _target(lookup, domain, host_of(rua)),
    )
    own = [text for text in dmarc or () if is_dmarc_record(text)]
    effective, (zone, servers), mail, spf, custom = await asyncio.gather(
        _inherited(lookup, domain, wanted=dmarc is not None and not own),
        _zone(lookup, alias or name),
        _answer(lookup.mail_hosts(domain), None),
        _spf(lookup, domain, wanted=parked),
        _custom(own[0] if len(own) == 1 else "", rua, routed_here),
    )
    hosts = dict.fromkeys(host for address in custom if (host := host_of(address)) != ours.host)
    others = await asyncio.gather(*(_target(lookup, domain, host) for host in hosts))
    return PublishedRecords(
        rua=rua,
        dmarc=dmarc,
        alias=alias,
        zone=zone,
        name_servers=servers,
        inherited_from=effective.record_domain or "",
        inherited_policy=effective.policy or "",
        inherited_testing=bool(effective.testing),
        tls=tls,
        challenge=challenge,
        mail_hosts=None if mail is None else tuple(f"{preference} {host or '.'}" for preference, host in mail[:20]),
        spf=spf,
        targets=(ours, *others),
        custom=custom,
        ttl=ttl,
    )


async def _answer(query: Coroutine[Any, Any, _Result], absent: _Result | None) -> _Result | None:
    try:
        return await query
    except NoAnswerError:
        return absent


async def _texts(lookup: RecordLookup, name: str) -> tuple[str, ...] | None:
    texts = await _answer(lookup.texts(name), None)
    return None if texts is None else bounded_texts(texts)


async def _dmarc(lookup: RecordLookup, name: str) -> tuple[tuple[str, ...] | None, int | None]:
    """The texts, and for how long servers may repeat that answer."""
    texts = await _texts(lookup, name)
    if texts is None:
        return None, None
    records = await _answer(lookup.resolver.lookup(name, "TXT", lookup.deadline), None)
    return texts, None if records is None or records.ttl is None else int(records.ttl)


async def _alias(lookup: RecordLookup, name: str) -> str:
    """Where a chain of aliases ends; "" for a name that is none."""
    place = name
    for _ in range(_ALIASES):
        target = await _answer(lookup.alias(place), "")
        if not target or target == place:
            break
        place = target
    return "" if place == name else place[:253]


async def _zone(lookup: RecordLookup, name: str) -> tuple[str, tuple[str, ...]]:
    """The zone that holds a name, and its name servers: the nearest name above it with NS records."""
    labels = name.split(".")
    names = [".".join(labels[start:]) for start in range(min(len(labels) - 1, _ZONE_NAMES))]
    answers = await asyncio.gather(*(_answer(lookup.records(one, "NS"), None) for one in names))
    for one, servers in zip(names, answers, strict=True):
        if servers is None:
            return "", ()
        if servers:
            return one, tuple(sorted(str(server).lower()[:253] for server in servers[:8]))
    return "", ()


async def _inherited(lookup: RecordLookup, domain: str, *, wanted: bool) -> EffectivePolicy:
    """The policy that applies to a domain without a record."""
    if not wanted:
        return NO_POLICY
    try:
        return (await discover(lookup, domain)).effective
    except NoAnswerError:
        return NO_POLICY


async def _spf(lookup: RecordLookup, domain: str, *, wanted: bool) -> tuple[str, ...] | None:
    texts = await _texts(lookup, domain) if wanted else None
    return None if texts is None else tuple(text for text in texts if text.lower().startswith("v=spf1"))


async def _custom(text: str, rua: str, routed_here: RoutedHere) -> tuple[str, ...]:
    record = dmarc_record(text) if text else None
    addresses = [uri.address.lower() for uri in record.rua[:_ADDRESSES] if uri.address] if record else []
    return tuple([one for one in dict.fromkeys(addresses) if one != rua and await routed_here(one)])


async def _target(lookup: RecordLookup, domain: str, host: str) -> ReportTarget:
    """Whether reports about the domain can be sent to addresses at the host (RFC 9990 section 4)."""
    receives, texts, mail = await asyncio.gather(
        _answer(lookup.receives_mail(host), None),
        _answer(lookup.texts(f"{domain}._report._dmarc.{host}"), None),
        _answer(lookup.mail_hosts(host), None),
    )
    authorised = None if texts is None else any(is_dmarc_record(text) for text in texts)
    if authorised is False:
        # Within one organisation nobody has to authorise anything.
        try:
            organizations = await asyncio.gather(organization_of(lookup, domain), organization_of(lookup, host))
            authorised = organizations[0] == organizations[1]
        except NoAnswerError:
            authorised = None
    return ReportTarget(host, receives, authorised, tuple(name for _, name in (mail or ())[:20] if name))
