"""The host that receives our reports: whether mail reaches it and other domains may send their reports to it."""

from __future__ import annotations

import dns.reversename

from dmarcworks.enrich.dmarc_policy import is_dmarc_record
from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_more import REPORT_HOST_CODES
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.lookup import RecordLookup

__all__ = ["check_report_host"]

# A domain that nobody has (RFC 2606): only the wildcard record answers for it.
_ANY_DOMAIN = "dmarcworks-wildcard-test.example"
_ADDRESSES = 4


async def check_report_host(lookup: RecordLookup, host: str) -> list[DnsFinding]:
    """Check the records of the report host."""
    try:
        return [
            await _mail(lookup, host),
            await _authorisation(lookup, host),
            *await _names(lookup, host),
            await _spf(lookup, host),
        ]
    except NoAnswerError:
        return [_finding("no-answer", host=host)]


async def _mail(lookup: RecordLookup, host: str) -> DnsFinding:
    if await lookup.receives_mail(host):
        return _finding("reachable", host=host)
    return _finding("unreachable", fix=f"{host} MX 10 <the name of this server>", host=host)


async def _authorisation(lookup: RecordLookup, host: str) -> DnsFinding:
    texts = await lookup.texts(f"{_ANY_DOMAIN}._report._dmarc.{host}")
    if any(is_dmarc_record(text) for text in texts):
        return _finding("authorises", record="\n".join(texts), host=host)
    return _finding("not-authorising", fix=f'*._report._dmarc.{host} TXT "v=DMARC1"', host=host)


async def _names(lookup: RecordLookup, host: str) -> list[DnsFinding]:
    findings = []
    for address in (await lookup.addresses(host))[:_ADDRESSES]:
        pointer = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        names = [str(name).rstrip(".").lower() for name in (await lookup.records(pointer, "PTR"))[:_ADDRESSES]]
        confirmed = [name for name in names if address in await lookup.addresses(name)]
        if confirmed:
            findings.append(_finding("ptr", address=address, name=confirmed[0]))
        else:
            findings.append(_finding("ptr-missing", fix=f"{pointer} PTR {host}.", address=address))
    return findings


async def _spf(lookup: RecordLookup, host: str) -> DnsFinding:
    records = [text for text in await lookup.texts(host) if text.lower().startswith("v=spf1")]
    if records:
        return _finding("spf", record="\n".join(records), host=host)
    return _finding("spf-missing", fix=f'{host} TXT "v=spf1 -all"', host=host)


def _finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    return finding_from(REPORT_HOST_CODES, f"report-host-{code}", record=record, fix=fix, **values)
