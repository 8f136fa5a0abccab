"""BIMI: the record of the logo, the DMARC policy that it needs, the logo and its certificate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

from dmarcworks.enrich.resolver import NoAnswerError
from dmarcworks.policy.dns_records.bimi_logo import certificate_findings, logo_findings
from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_more import BIMI_CODES
from dmarcworks.policy.dns_records.dmarc_check import DmarcCheck
from dmarcworks.policy.dns_records.finding import DnsFinding, Severity
from dmarcworks.policy.dns_records.https_fetch import DocumentFetcher, FetchedDocument, FetchError
from dmarcworks.policy.dns_records.lookup import RecordLookup
from dmarcworks.policy.dns_records.tag_list import record_tags

__all__ = ["bimi_findings", "check_bimi"]

_VERSION = re.compile(r"[vV][ \t]*=[ \t]*BIMI1[ \t]*(?:;|$)")
# `avp` and `lps` come from later drafts.
_KNOWN = ("v", "l", "a", "avp", "e", "lps")


async def check_bimi(lookup: RecordLookup, fetch: DocumentFetcher, domain: str, dmarc: DmarcCheck) -> list[DnsFinding]:
    """Check the BIMI record of a domain; the logo and its certificate are fetched when the record is right."""
    name = f"default._bimi.{domain}"
    try:
        texts = await lookup.texts(name)
        organizational = dmarc.effective.organizational_domain
        if not texts and organizational and organizational != domain:
            name = f"default._bimi.{organizational}"
            texts = await lookup.texts(name)
    except NoAnswerError:
        return [_finding("no-answer", name=name)]
    records = [text for text in texts if _VERSION.match(text)]
    if len(records) > 1:
        record = "\n".join(records)
        return [_finding("several-records", record=record, fix="Keep one of them.", count=len(records), name=name)]
    if not records:
        slips = [text for text in texts if "bimi" in text.lower()]
        if slips:
            return [_finding("record-invalid", record=slips[0], name=name)]
        return [_finding("missing", domain=domain)]
    findings = bimi_findings(records[0])
    values = _values(records[0])
    if values.get("l") or values.get("a"):
        findings += _policy(dmarc, domain)
    if not any(finding.severity is Severity.error and "url" in finding.code for finding in findings):
        findings += await _fetched(fetch, domain, values)
    return findings


def bimi_findings(text: str) -> list[DnsFinding]:
    """What the record shows by itself. Pure."""
    findings: list[DnsFinding] = []
    values = _values(text)
    names = [tag.name for tag in record_tags(text)]
    findings += [_finding("duplicate-tag", record=text, tag=name) for name in values if names.count(name) > 1]
    findings += [_finding("unknown-tag", record=text, tag=name) for name in values if name not in _KNOWN]
    logo, certificate = values.get("l"), values.get("a", "")
    if logo is None:
        return [*findings, _finding("logo-missing", record=text)]
    if not logo and not certificate:
        return [*findings, _finding("declined", record=text)]
    for tag, value in (("l", logo), ("a", certificate)):
        if value and not _https(value):
            findings.append(_finding("logo-url", record=text, tag=tag, value=value))
    if logo and _https(logo):
        if not urlsplit(logo).path.lower().endswith((".svg", ".svgz")):
            findings.append(_finding("logo-name", record=text, value=logo))
        findings.append(_finding("record-valid", record=text, url=logo))
    if not certificate:
        findings.append(_finding("certificate-missing", record=text))
    return findings


def _values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for tag in record_tags(text):
        if tag.name:
            values.setdefault(tag.name, tag.value)
    return values


def _policy(dmarc: DmarcCheck, domain: str) -> Iterator[DnsFinding]:
    """BIMI needs a DMARC policy at enforcement for all mail."""
    if not dmarc.answered:
        return
    effective = dmarc.effective
    if effective.policy not in ("quarantine", "reject"):
        yield _finding("policy", policy=effective.policy or "no policy", domain=domain)
        return
    if effective.testing:
        yield _finding("testing", tag="t", value="y")
    codes = {finding.code: finding for finding in dmarc.findings}
    if effective.policy == "quarantine" and "dmarc-pct" in codes:
        values = dict(part.strip().split("=", 1) for part in codes["dmarc-pct"].record.split(";") if "=" in part)
        yield _finding("testing", tag="pct", value=values.get("pct", "").strip())
    if any("sp=none" in finding.message for finding in dmarc.findings if finding.code == "dmarc-subdomains-weaker"):
        yield _finding("subdomain-policy")


async def _fetched(fetch: DocumentFetcher, domain: str, values: dict[str, str]) -> list[DnsFinding]:
    findings: list[DnsFinding] = []
    for tag in ("l", "a"):
        url = values.get(tag, "")
        if not url:
            continue
        try:
            document = await fetch(url)
        except FetchError as error:
            findings.append(_finding("fetch", url=url, reason=error))
            continue
        if document.status != 200:
            findings.append(_finding("status", url=url, status=document.status))
        elif tag == "l":
            findings += logo_findings(document.body)
        else:
            findings += _certificate(document, url, domain)
    return findings


def _certificate(document: FetchedDocument, url: str, domain: str) -> list[DnsFinding]:
    return certificate_findings(document.body, url, domain, datetime.now(UTC))


def _https(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme.lower() == "https" and bool(parts.hostname)


def _finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    return finding_from(BIMI_CODES, f"bimi-{code}", record=record, fix=fix, **values)
