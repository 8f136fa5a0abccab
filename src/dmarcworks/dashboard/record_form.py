"""The form of the record builder: its fields, and the records that they build. Pure.

A value that is none of a field's choices counts as its default, so that no form builds a wrong record; an address or a
host that cannot be published is a `UsageError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.policy.dns_records.dmarc_record import DmarcRecord, dmarc_record
from dmarcworks.policy.dns_records.report_uris import report_uris
from dmarcworks.policy.record_builder import (
    BuiltRecord,
    DmarcChoices,
    RecordPolicy,
    StsMode,
    dmarc_to_publish,
    mta_sts_to_publish,
    parked_to_publish,
    tls_rpt_to_publish,
)
from dmarcworks.policy.rua import is_tls_record
from dmarcworks.policy.setup.model import SetupChange
from dmarcworks.policy.setup.published import PublishedRecords

__all__ = ["KINDS", "RecordForm", "build", "defaults", "dropped_tags", "record_changes"]

KINDS = {"dmarc": "DMARC", "tls-rpt": "TLS-RPT", "mta-sts": "MTA-STS", "parked": "Parked domain"}
_AGES = ("86400", "604800", "2592000", "31557600")
_BUILT_TAGS = ("v", "p", "sp", "np", "adkim", "aspf", "t", "rua", "ruf")


@dataclass(frozen=True, slots=True)
class RecordForm:
    """What is built, and the value of each field."""

    kind: str
    fields: Mapping[str, str]


def defaults(kind: str, domain: Domain, published: PublishedRecords | None) -> dict[str, str]:
    """The fields as they are filled in at first: what is published, with our address added."""
    if kind == "tls-rpt":
        texts = [text for text in (published.tls if published else None) or () if is_tls_record(text)]
        value = texts[0].partition("rua=")[2].partition(";")[0] if len(texts) == 1 else ""
        return {"rua": _addresses([uri.address for uri in report_uris(value)], domain.rua)}
    if kind == "mta-sts":
        hosts = [one.partition(" ")[2] for one in (published.mail_hosts if published else None) or ()]
        return {"mode": "testing", "mx": "\n".join(host for host in hosts if host != "."), "max_age": _AGES[1]}
    if kind == "parked":
        return {"rua": domain.rua}
    record = _record(published)
    fields = {"p": "none", "sp": "", "np": "", "adkim": "r", "aspf": "r", "t": "n", "ruf": ""}
    if record is None:
        return {**fields, "rua": domain.rua}
    fields |= {name: record.policy(name) or "" for name in ("sp", "np")}
    fields |= {"p": record.policy("p") or "none", **{name: record.choice(name) for name in ("adkim", "aspf", "t")}}
    fields["ruf"] = _addresses([uri.address for uri in record.ruf])
    return {**fields, "rua": _addresses([uri.address for uri in record.rua], domain.rua)}


def build(form: RecordForm, domain: Domain, now: datetime) -> list[BuiltRecord]:
    """The records of a form; `UsageError` for an address or a host that cannot be published."""
    fields = form.fields
    reports = _list(fields.get("rua", ""))
    if form.kind == "tls-rpt":
        return [tls_rpt_to_publish(domain.name, reports)]
    if form.kind == "mta-sts":
        age = fields.get("max_age", "") if fields.get("max_age", "") in _AGES else _AGES[1]
        mode = StsMode(fields["mode"]) if fields.get("mode") in set(StsMode) else StsMode.testing
        return [mta_sts_to_publish(domain.name, mode, _list(fields.get("mx", "")), f"{now:%Y%m%d%H%M%S}", int(age))]
    if form.kind == "parked":
        return parked_to_publish(domain.name, reports)
    choices = DmarcChoices(
        policy=_policy(fields.get("p", "")) or RecordPolicy.none,
        subdomains=_policy(fields.get("sp", "")),
        nonexistent=_policy(fields.get("np", "")),
        reports=tuple(reports),
        failure_reports=tuple(_list(fields.get("ruf", ""))),
        strict_dkim=fields.get("adkim") == "s",
        strict_spf=fields.get("aspf") == "s",
        testing=fields.get("t") == "y",
    )
    return [dmarc_to_publish(domain.name, choices)]


def record_changes(
    form: RecordForm, built: Sequence[BuiltRecord], published: PublishedRecords | None
) -> list[tuple[BuiltRecord, SetupChange]]:
    """Each record with what is published in its place."""
    return [
        (one, SetupChange(one.record.name, one.record.type, _before(form, one, published), one.record.value))
        for one in built
    ]


def _before(form: RecordForm, built: BuiltRecord, published: PublishedRecords | None) -> str:
    if published is None:
        return ""
    name, kind = built.record.name, built.record.type
    if name.startswith("_dmarc."):
        return "\n".join(published.dmarc_records)
    if name.startswith("_smtp._tls."):
        return "\n".join(text for text in published.tls or () if is_tls_record(text))
    if form.kind == "parked" and kind == "MX":
        return "\n".join(published.mail_hosts or ())
    return "\n".join(published.spf or ()) if form.kind == "parked" and "_domainkey" not in name else ""


def dropped_tags(form: RecordForm, published: PublishedRecords | None) -> tuple[str, ...]:
    """The tags of the published record that the builder has no choice for: the new record is without them."""
    record = _record(published)
    if form.kind != "dmarc" or record is None:
        return ()
    return tuple(dict.fromkeys(tag.name[:40] for tag in record.tags if tag.name and tag.name not in _BUILT_TAGS))


def _record(published: PublishedRecords | None) -> DmarcRecord | None:
    records = published.dmarc_records if published else ()
    return dmarc_record(records[0]) if len(records) == 1 else None


def _policy(text: str) -> RecordPolicy | None:
    return RecordPolicy(text) if text in set(RecordPolicy) else None


def _list(text: str) -> list[str]:
    return [part for part in re.split(r"[\s,]+", text) if part][:50]


def _addresses(addresses: Sequence[str], *more: str) -> str:
    return ", ".join(dict.fromkeys(one for one in (*addresses, *more) if one))
