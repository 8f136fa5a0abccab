"""What is right and wrong with the text of a DMARC record: each slip with its code, and the corrected record. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dmarcworks.policy.dns_records.codes import finding_from
from dmarcworks.policy.dns_records.codes_dmarc import DMARC_CODES
from dmarcworks.policy.dns_records.dmarc_record import KNOWN_TAGS, OBSOLETE_TAGS, POLICIES, TAG_VALUES, DmarcRecord
from dmarcworks.policy.dns_records.dmarc_repair import (
    MISSED_SEPARATOR,
    meant_tag,
    repaired_record,
    resembles_dmarc,
)
from dmarcworks.policy.dns_records.finding import DnsFinding
from dmarcworks.policy.dns_records.report_uris import UriFault
from dmarcworks.policy.dns_records.tag_list import TEXT_CHARACTERS
from dmarcworks.policy.rua import append_rua, has_list

__all__ = ["dmarc_finding", "not_a_record_findings", "record_findings"]

_SOFTER = {"reject": "quarantine", "quarantine": "none", "none": "none"}
_PRINTABLE = re.compile(r"[\x20-\x7e\t]*")
_FO = re.compile(r"[01ds](?::[01ds])*", re.IGNORECASE)
_QUOTES = "\"'“”„‟«»‘’`\\"
# Some receivers send to the first two addresses only, which RFC 7489 allowed.
_MANY = 2


def dmarc_finding(code: str, *, record: str = "", fix: str = "", **values: object) -> DnsFinding:
    """A finding of the DMARC table; `code` without its prefix."""
    return finding_from(DMARC_CODES, f"dmarc-{code}", record=record, fix=fix, **values)


def not_a_record_findings(text: str, name: str) -> list[DnsFinding]:
    """About a text that receivers do not recognise as a DMARC record."""
    if not resembles_dmarc(text):
        return [dmarc_finding("unrelated-text", record=text, name=name)]
    fix = repaired_record(text)
    version = re.search(r"\bv\s*=\s*([A-Za-z]*\d*)", text, re.IGNORECASE)
    if text[:1] in _QUOTES:
        return [dmarc_finding("quotes", record=text, fix=fix)]
    if text[:1].isspace():
        return [dmarc_finding("leading-space", record=text, fix=fix)]
    if version is None:
        return [dmarc_finding("version-missing", record=text, fix=fix)]
    if version.start() > 0:
        return [dmarc_finding("version-not-first", record=text, fix=fix)]
    if version[1] == "DMARC1":
        return [dmarc_finding("version-separator", record=text, fix=fix)]
    if version[1].upper() == "DMARC1":
        return [dmarc_finding("version-case", record=text, fix=fix, value=version[1])]
    return [dmarc_finding("version-unknown", record=text, fix=fix, value=version[1] or "empty")]


def record_findings(record: DmarcRecord, domain: str, organizational: str) -> list[DnsFinding]:
    """About the record of a domain, whose organizational domain may be another."""
    repaired = repaired_record(record.text)
    fix = "" if repaired == record.text else repaired
    return [
        *_text(record, fix),
        *_tags(record, fix),
        *_policy(record, fix),
        *_levels(record, domain, organizational),
        *_values(record, fix),
        *_obsolete(record, fix),
        *_without_rua(record, domain, fix),
        *_addresses(record, "rua", fix),
        *_addresses(record, "ruf", fix),
    ]


def _text(record: DmarcRecord, fix: str) -> Iterator[DnsFinding]:
    if len(record.text) > TEXT_CHARACTERS:
        yield dmarc_finding("too-long", record=record.text, count=f"{len(record.text):,}")
    if not _PRINTABLE.fullmatch(record.text):
        yield dmarc_finding("characters", record=record.text, fix=fix)


def _tags(record: DmarcRecord, fix: str) -> Iterator[DnsFinding]:
    """Tags that are unknown, misspelt, twice there, run together, or no tags at all."""
    seen: set[str] = set()
    for tag in record.tags:
        if not tag.name:
            address = tag.value.lower().startswith("mailto:")
            code = "uri-separator" if address else "not-a-tag"
            yield dmarc_finding(code, record=record.text, fix=fix, value=tag.value, tag=_before(record, tag.value))
            continue
        if (missed := MISSED_SEPARATOR.search(tag.value)) is not None:
            yield dmarc_finding("separator", record=record.text, fix=fix, tag=missed[1].lower())
        if tag.name in seen and tag.name in KNOWN_TAGS:
            yield dmarc_finding("duplicate-tag", record=record.text, fix=fix, tag=tag.name)
        elif tag.name not in KNOWN_TAGS and tag.name not in seen:
            meant = meant_tag(tag.name)
            code = "misspelt-tag" if meant else "unknown-tag"
            yield dmarc_finding(code, record=record.text, fix=fix if meant else "", tag=tag.name, meant=meant)
        seen.add(tag.name)


def _before(record: DmarcRecord, value: str) -> str:
    """The list of addresses that a lost address follows."""
    names = [tag.name or tag.value for tag in record.tags]
    lists = [name for name in names[: names.index(value)] if name in ("rua", "ruf")]
    return lists[-1] if lists else "rua"


def _policy(record: DmarcRecord, fix: str) -> Iterator[DnsFinding]:
    ignored = "" if any(uri.valid for uri in record.rua) else "-ignored"
    for tag in ("p", "sp", "np"):
        value = record.values.get(tag)
        if value is None:
            if tag == "p":
                yield dmarc_finding(
                    f"policy-missing{ignored}", record=record.text, fix=fix or repaired_record(record.text)
                )
        elif record.policy(tag) is None and not MISSED_SEPARATOR.search(value):
            yield dmarc_finding(f"policy-invalid{ignored}", record=record.text, fix=fix, tag=tag, value=value)
    if not record.faulty_policy:
        yield dmarc_finding(f"policy-{record.policy('p')}", record=record.text)


def _levels(record: DmarcRecord, domain: str, organizational: str) -> Iterator[DnsFinding]:
    """What holds for subdomains, and while testing."""
    policy = record.policy("p")
    for tag in ("sp", "np"):
        value = record.policy(tag)
        if value is None or policy is None:
            continue
        if domain != organizational and record.choice("psd") != "y":
            yield dmarc_finding(
                "subdomain-tag-without-effect", record=record.text, tag=tag, organizational=organizational
            )
        elif POLICIES.index(value) < POLICIES.index(policy):
            fix = f"Publish {tag}={policy}, or remove {tag} so that p applies."
            yield dmarc_finding("subdomains-weaker", record=record.text, fix=fix, tag=tag, value=value, policy=policy)
    if record.testing and not record.faulty_policy:
        strictest = max((record.policy(tag) or "none" for tag in ("p", "sp", "np")), key=POLICIES.index)
        if strictest == "none":
            yield dmarc_finding("testing-without-effect", record=record.text)
        else:
            yield dmarc_finding(
                "testing",
                record=record.text,
                fix="Remove t=y when the reports show that your own mail passes.",
                policy=strictest,
                applied=_SOFTER[strictest],
            )
    if record.choice("psd") == "y":
        yield dmarc_finding("public-suffix", record=record.text, domain=domain)


def _values(record: DmarcRecord, fix: str) -> Iterator[DnsFinding]:
    for tag, values in TAG_VALUES.items():
        value = record.values.get(tag)
        if value is not None and value.lower() not in values and not MISSED_SEPARATOR.search(value):
            yield dmarc_finding("value-invalid", record=record.text, fix=fix, tag=tag, value=value, default=values[0])
    options = record.values.get("fo")
    if options is None:
        return
    listed = options.lower().replace(" ", "").split(":")
    exclusive = {"0", "1"} <= set(listed) or len(set(listed)) != len(listed)
    if (not _FO.fullmatch(options.replace(" ", "")) or exclusive) and not MISSED_SEPARATOR.search(options):
        yield dmarc_finding("value-invalid", record=record.text, tag="fo", value=options, default="0")
    if "ruf" not in record.values:
        yield dmarc_finding("fo-without-ruf", record=record.text)


def _obsolete(record: DmarcRecord, fix: str) -> Iterator[DnsFinding]:
    for tag in OBSOLETE_TAGS:
        value = record.values.get(tag)
        if value is None:
            continue
        if tag != "pct":
            yield dmarc_finding(f"{tag}-obsolete", record=record.text, fix=fix)
        elif not (value.isascii() and value.isdecimal() and len(value) < 4 and int(value) <= 100):
            yield dmarc_finding("pct-invalid", record=record.text, fix=fix, value=value)
        else:
            code = "pct-obsolete" if int(value) == 100 else "pct"
            yield dmarc_finding(code, record=record.text, fix=fix, value=value)


def _without_rua(record: DmarcRecord, domain: str, fix: str) -> Iterator[DnsFinding]:
    if "rua" not in record.values:
        # Either the correction reveals one, or everything stays as it is and one is appended.
        proposed = fix if fix and has_list(fix) else append_rua(record.text, f"dmarc-reports@{domain}")
        yield dmarc_finding("rua-missing", record=record.text, fix=proposed)


def _addresses(record: DmarcRecord, tag: str, fix: str) -> Iterator[DnsFinding]:
    """The addresses of rua or ruf."""
    uris = record.rua if tag == "rua" else record.ruf
    if tag not in record.values:
        return
    if not uris:
        yield dmarc_finding("uri-empty", record=record.text, fix=fix, tag=tag)
    seen: set[str] = set()
    for uri in uris:
        if re.search(r"\s", uri.text) and not MISSED_SEPARATOR.search(uri.text):
            yield dmarc_finding("uri-separator", record=record.text, fix=fix, tag=tag, value=uri.text)
        elif uri.fault == UriFault.no_scheme:
            # An address in a list that has lost its semicolon belongs to that finding.
            if not MISSED_SEPARATOR.search(f" {uri.text}"):
                yield dmarc_finding("uri-without-mailto", record=record.text, fix=fix, tag=tag, value=uri.text)
        elif uri.fault and not MISSED_SEPARATOR.search(uri.text):
            yield dmarc_finding(f"uri-{uri.fault}", record=record.text, fix=fix, tag=tag, value=uri.text)
        elif not uri.fault and uri.scheme != "mailto":
            yield dmarc_finding("uri-scheme", record=record.text, tag=tag, value=uri.text)
        if not uri.size_valid:
            yield dmarc_finding("uri-size-invalid", record=record.text, fix=fix, value=uri.text)
        elif uri.size is not None:
            yield dmarc_finding("uri-size", record=record.text, fix=fix, value=uri.text)
        key = uri.address.lower() or uri.text
        if key in seen:
            yield dmarc_finding("uri-duplicate", record=record.text, fix=fix, tag=tag, value=uri.text)
        seen.add(key)
    mail = [uri for uri in uris if uri.address]
    if tag == "rua" and mail:
        yield dmarc_finding("rua-present", record=record.text, address=mail[0].address)
    if len(uris) > _MANY:
        yield dmarc_finding("uri-many", record=record.text, tag=tag, count=len(uris))
