"""TLS-RPT (RFC 8460 section 3): where reports about TLS are requested."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_mail import TLS_RPT_CODES
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.lookup import RecordLookup
from dmarcworks.policy.dns_records.report_uris import report_uris
from dmarcworks.policy.dns_records.tag_list import record_tags

__all__ = ["check_tls_rpt", "tls_rpt_findings"]

_VERSION = re.compile(r"v=TLSRPTv1[ \t]*(?:;|$)")


async def check_tls_rpt(lookup: RecordLookup, domain: str) -> list[DnsFinding]:
    """Check the TLS-RPT record of a domain."""
    name = f"_smtp._tls.{domain}"
    try:
        texts = await lookup.texts(name)
    except NoAnswerError:
        return [_finding("no-answer", name=name)]
    return tls_rpt_findings(texts, domain)


def tls_rpt_findings(texts: list[str], domain: str) -> list[DnsFinding]:
    """What is right and wrong with the texts at `_smtp._tls`. Pure."""
    name = f"_smtp._tls.{domain}"
    example = f"v=TLSRPTv1; rua=mailto:tls-reports@{domain}"
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) > 1:
        record = "\n".join(records)
        return [_finding("several-records", record=record, fix="Keep one of them.", count=len(records), name=name)]
    if records:
        return list(_record(records[0], example))
    slips = [text for text in texts if "tlsrpt" in text.lower()]
    if slips:
        return [_finding("record-invalid", record=slips[0], fix=f'{name} TXT "{example}"', name=name)]
    return [_finding("missing", fix=f'{name} TXT "{example}"', domain=domain)]


def _record(text: str, example: str) -> Iterator[DnsFinding]:
    seen: dict[str, str] = {}
    for tag in record_tags(text):
        if not tag.name:
            yield _finding("not-a-tag", record=text, value=tag.value)
        elif tag.name in seen:
            yield _finding("duplicate-tag", record=text, tag=tag.name)
        elif tag.name not in ("v", "rua"):
            yield _finding("unknown-tag", record=text, tag=tag.name)
        seen.setdefault(tag.name, tag.value)
    uris = report_uris(seen.get("rua", ""))
    if not uris:
        yield _finding("rua-missing", record=text, fix=example)
    usable = []
    for uri in uris:
        if uri.fault or uri.size is not None or not uri.size_valid:
            yield _finding("uri-invalid", record=text, fix=example, value=uri.text)
        elif uri.scheme not in ("mailto", "https"):
            yield _finding("uri-scheme", record=text, fix=example, value=uri.text)
        else:
            usable.append(uri.address or uri.text)
    if usable:
        yield _finding("present", record=text, address=", ".join(usable))


def _finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    return finding_from(TLS_RPT_CODES, f"tls-rpt-{code}", record=record, fix=fix, **values)
