"""What a domain publishes, as records: every name that the checks look up, with its records or why there is no answer.

The checks judge records; this keeps them. Both share their look-ups through a `CheckResolver`, so that a card and the
stored records agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dmarcworks.catalogue.dns_states import ObservedRecords, RecordKind
from dmarcworks.enrich.dmarc_policy import is_dmarc_record
from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.enrich.senders.names import selector_of
from dmarcworks.enrich.spf.record import is_spf_record
from dmarcworks.policy.dns_records.dkim_record import SELECTORS, key_findings
from dmarcworks.policy.dns_records.dmarc_lookup import discover, organization_of
from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.dns_records.dnssec import zone_of
from dmarcworks.policy.dns_records.https_fetch import FetchedDocument, FetchError
from dmarcworks.policy.dns_records.lookup import RecordLookup
from dmarcworks.policy.dns_records.spf_tree import SpfNode, nodes_of

__all__ = ["Observation", "observe_dmarc", "observe_other_records", "with_codes"]

# Domains of report addresses, and names that an SPF record includes.
_TARGETS, _INCLUDES = 10, 30
# Answers of a web server that state that there is no policy.
_ABSENT = (404, 410)
_CHECKS = {
    RecordKind.dmarc: "dmarc",
    RecordKind.spf: "spf",
    RecordKind.mx: "mx",
    RecordKind.mta_sts: "mta-sts",
    RecordKind.mta_sts_policy: "mta-sts",
    RecordKind.tls_rpt: "tls-rpt",
    RecordKind.bimi: "bimi",
    RecordKind.dnssec: "dnssec",
}


@dataclass(frozen=True, slots=True)
class Observation:
    """Records, and the kinds of which every name was looked up; `answered` is False when DNS revealed no policy."""

    records: tuple[ObservedRecords, ...]
    complete: tuple[RecordKind, ...] = ()
    answered: bool = True

    def __add__(self, other: Observation) -> Observation:
        """Both."""
        answered = self.answered and other.answered
        return Observation((*self.records, *other.records), (*self.complete, *other.complete), answered)


async def observe_dmarc(lookup: RecordLookup, domain: str) -> Observation:
    """The record that applies to the domain, at the domain and where it is inherited from, and the authorisations."""
    name = f"_dmarc.{domain}"
    own = await _texts(lookup, RecordKind.dmarc, name)
    if own.failure:
        return Observation((own,), answered=False)
    try:
        discovery = await discover(lookup, domain)
    except NoAnswerError:
        # What is published at the domain is known, not what applies.
        return Observation((own,), answered=False)
    observed = [own]
    if discovery.record is None:
        return Observation(tuple(observed), (RecordKind.dmarc, RecordKind.authorisation))
    place = discovery.record_domain
    if place != domain:
        observed.append(await _texts(lookup, RecordKind.dmarc, f"_dmarc.{place}"))
    record = dmarc_record(discovery.record.text)
    uris = () if record is None else (*record.rua, *record.ruf)
    targets = list(dict.fromkeys(uri.domain for uri in uris if uri.domain and uri.domain != place))[:_TARGETS]
    known = await asyncio.gather(*(_authorisation(lookup, place, one, discovery.organizational) for one in targets))
    observed += [one for one in known if one is not None]
    return Observation(tuple(observed), (RecordKind.dmarc, RecordKind.authorisation))


async def observe_other_records(
    lookup: RecordLookup,
    domain: str,
    selectors: Sequence[str],
    spf_tree: SpfNode | None,
    policy: FetchedDocument | FetchError | None,
) -> Observation:
    """All but DMARC. `policy` is what the host of the MTA-STS policy answered, None when nothing was fetched."""
    wanted = list(dict.fromkeys(one for text in selectors if (one := selector_of(text))))[:SELECTORS]
    names = [f"{selector}._domainkey.{domain}" for selector in wanted]
    includes = _included(spf_tree)
    observed = await asyncio.gather(
        _spf(lookup, RecordKind.spf, domain),
        *(_spf(lookup, RecordKind.spf_include, name) for name in includes),
        *(_key(lookup, name, one, domain) for one, name in zip(wanted, names, strict=True)),
        _mail_hosts(lookup, domain),
        _texts(lookup, RecordKind.mta_sts, f"_mta-sts.{domain}"),
        _texts(lookup, RecordKind.tls_rpt, f"_smtp._tls.{domain}"),
        _texts(lookup, RecordKind.bimi, f"default._bimi.{domain}"),
        _signed(lookup, domain),
    )
    complete = (RecordKind.spf_include,) if not observed[0].failure else ()
    served = () if policy is None else (_served(domain, policy),)
    return Observation((*observed, *served), complete, not observed[0].failure)


def with_codes(observed: Sequence[ObservedRecords], codes: Sequence[tuple[str, str]]) -> list[ObservedRecords]:
    """The records with the codes of the findings about them; `codes` are pairs of check and code. Pure."""
    by_check: dict[str, list[str]] = {}
    for check, code in codes:
        by_check.setdefault(check, []).append(code)
    return [
        replace(one, codes=tuple(dict.fromkeys(by_check.get(_CHECKS[one.kind], ())))) if one.kind in _CHECKS else one
        for one in observed
    ]


async def _texts(lookup: RecordLookup, kind: RecordKind, name: str) -> ObservedRecords:
    try:
        return ObservedRecords(kind, name, tuple(await lookup.texts(name)))
    except NoAnswerError as error:
        return ObservedRecords(kind, name, failure=str(error))


async def _authorisation(lookup: RecordLookup, domain: str, target: str, organizational: str) -> ObservedRecords | None:
    """None for a target that needs none: it is of the same organisation."""
    name = f"{domain}._report._dmarc.{target}"
    try:
        if await organization_of(lookup, target) == organizational:
            return None
    except NoAnswerError as error:
        return ObservedRecords(RecordKind.authorisation, name, failure=str(error))
    one = await _texts(lookup, RecordKind.authorisation, name)
    if one.failure:
        return one
    granted = any(is_dmarc_record(text) for text in one.records)
    return replace(one, codes=("dmarc-reports-authorised" if granted else "dmarc-reports-not-authorised",))


async def _spf(lookup: RecordLookup, kind: RecordKind, name: str) -> ObservedRecords:
    """The SPF records alone: the other texts of the name are about other things."""
    try:
        records = [record for record in await lookup.records(name, "TXT") if is_spf_record(record)]
    except NoAnswerError as error:
        return ObservedRecords(kind, name, failure=str(error))
    return ObservedRecords(kind, name, tuple(record.decode("utf-8", "backslashreplace") for record in records))


async def _key(lookup: RecordLookup, name: str, selector: str, domain: str) -> ObservedRecords:
    one = await _texts(lookup, RecordKind.dkim, name)
    if one.failure:
        return one
    if len(one.records) != 1:
        return replace(one, codes=("dkim-several-records" if one.records else "dkim-key-missing",))
    return replace(one, codes=tuple(finding.code for finding in key_findings(one.records[0], selector, domain)))


async def _mail_hosts(lookup: RecordLookup, domain: str) -> ObservedRecords:
    try:
        hosts = await lookup.mail_hosts(domain)
    except NoAnswerError as error:
        return ObservedRecords(RecordKind.mx, domain, failure=str(error))
    return ObservedRecords(RecordKind.mx, domain, tuple(f"{preference} {host or '.'}" for preference, host in hosts))


async def _signed(lookup: RecordLookup, domain: str) -> ObservedRecords:
    """The DS records of the zone: they sign it, and without them it is not signed."""
    try:
        zone = await zone_of(lookup, domain)
        return ObservedRecords(RecordKind.dnssec, zone, tuple(map(str, await lookup.records(zone, "DS"))))
    except NoAnswerError as error:
        return ObservedRecords(RecordKind.dnssec, domain, failure=str(error))


def _served(domain: str, policy: FetchedDocument | FetchError) -> ObservedRecords:
    """The MTA-STS policy; a web server that does not serve it properly is no removed policy."""
    name = f"mta-sts.{domain}"
    if isinstance(policy, FetchError):
        return ObservedRecords(RecordKind.mta_sts_policy, name, failure=str(policy))
    if policy.status == 200:
        return ObservedRecords(RecordKind.mta_sts_policy, name, (policy.body.decode("utf-8", "backslashreplace"),))
    if policy.status in _ABSENT:
        return ObservedRecords(RecordKind.mta_sts_policy, name)
    return ObservedRecords(RecordKind.mta_sts_policy, name, failure=f"the web server answered {policy.status}")


def _included(tree: SpfNode | None) -> list[str]:
    """The names of the SPF records that the domain's own leads to."""
    nodes = () if tree is None else nodes_of(tree)
    return list(dict.fromkeys(one.name for one in nodes if one.name and one.kind in ("include", "redirect")))[
        :_INCLUDES
    ]
