"""The set-up of a domain: from the answers of DNS to what is done, what is missing and what to publish. Pure.

Nothing is guessed: what DNS did not answer is unknown, and what is proposed keeps what is published.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.addresses import host_of
from dmarcworks.catalogue.domain_setup import StoredSetup
from dmarcworks.catalogue.setup_records import DnsRecord, host_records, records
from dmarcworks.policy.record_builder import parked_to_publish
from dmarcworks.policy.rua import append_tls_rua, has_rua, is_tls_record
from dmarcworks.policy.setup.dmarc_item import dmarc_item
from dmarcworks.policy.setup.items import authorisation_items, mail_items, ownership_item, parked_items
from dmarcworks.policy.setup.model import DomainSetup, SetupChange, SetupItem, SetupState, SetupStatus
from dmarcworks.policy.setup.published import CHALLENGE_LABEL, PublishedRecords, challenge_value
from dmarcworks.policy.setup.relatives import relatives_notes

__all__ = ["all_seen", "challenge_record", "domain_setup", "records_to_publish"]


def challenge_record(name: str, token: str) -> DnsRecord:
    """The record that proves a domain without any change of its DMARC record."""
    return DnsRecord(f"{CHALLENGE_LABEL}.{name}", "TXT", challenge_value(token), "proves that the domain is yours")


def records_to_publish(
    domain: Domain, hostname: str, published: PublishedRecords | None = None, tags: str = ""
) -> list[DnsRecord]:
    """All records that the domain needs, as they should be; `tags` are the policy that reports found in force."""
    item = dmarc_item(domain, published, tags)
    name, value = f"_dmarc.{domain.name}", _published(published)
    if item.changes:
        name, value = item.changes[0].name, item.changes[0].after
    if domain.parked:
        built = [one.record for one in parked_to_publish(domain.name)]
        dmarc = DnsRecord(name, "TXT", value, "the domain's DMARC policy")
        return [*built[:-1], dmarc, *host_records(hostname)]
    plain = records(domain.name, domain.rua, hostname)
    dmarc = DnsRecord(name, "TXT", value, plain[0].purpose)
    tls = DnsRecord(plain[-1].name, "TXT", _tls_value(domain, published, plain[-1].value), plain[-1].purpose)
    return [dmarc, *plain[1:-1], tls]


def domain_setup(
    domain: Domain,
    hostname: str,
    stored: StoredSetup,
    *,
    tags: str = "",
    reports: int = 0,
    last_report: datetime | None = None,
    others: Iterable[str] = (),
) -> DomainSetup:
    """The set-up as of the newest check. `others` are the names of the account's other domains."""
    published = PublishedRecords.from_json(stored.answers)
    if published is not None and published.rua != domain.rua and not published.dmarc_records:
        # The check was for an address at an earlier host name.
        published = None
    items = _checked_items(domain, hostname, published, stored, tags)
    items.append(_first_report(domain, items, reports, last_report))
    return DomainSetup(
        domain=domain.name,
        state=_state(items, reports),
        items=tuple(items),
        records=tuple(records_to_publish(domain, hostname, published, tags)),
        notes=relatives_notes(domain.name, others, published),
        checked=stored.checked,
        checking=stored.checking,
        due=stored.due,
        resolver=stored.resolver,
        proven=domain.proven,
        evidence=stored.evidence,
        challenge=challenge_record(domain.name, domain.token),
    )


def all_seen(domain: Domain, hostname: str, published: PublishedRecords) -> bool:
    """Whether nothing is left to look for: all that is needed is published."""
    items = _checked_items(domain, hostname, published, StoredSetup(), "")
    return all(one.status is SetupStatus.done for one in items if not one.optional and one.code != "ownership")


def _checked_items(
    domain: Domain, hostname: str, published: PublishedRecords | None, stored: StoredSetup, tags: str
) -> list[SetupItem]:
    items = [dmarc_item(domain, published, tags), *authorisation_items(domain, hostname, published)]
    items += parked_items(domain, published) if domain.parked else []
    items.append(ownership_item(domain, stored.evidence, challenge_record(domain.name, domain.token)))
    items += [] if domain.parked else [_tls(domain, published), *mail_items(domain, published)]
    return items


def _published(published: PublishedRecords | None) -> str:
    return published.dmarc_records[0] if published and published.dmarc_records else ""


def _tls(domain: Domain, published: PublishedRecords | None) -> SetupItem:
    code, title, name = "tls-rpt", "TLS-RPT record", f"_smtp._tls.{domain.name}"
    plain = records(domain.name, domain.rua, host_of(domain.rua))[-1].value
    change = SetupChange(name, "TXT", "", plain)
    if published is None:
        return SetupItem(code, title, SetupStatus.unchecked, _TLS_PURPOSE, _TLS_FIX, (change,), optional=True)
    if published.tls is None:
        message = f"DNS gave no answer about {name}."
        return SetupItem(code, title, SetupStatus.unknown, message, _TLS_FIX, (change,), optional=True)
    ours = [text for text in published.tls if is_tls_record(text)]
    if len(ours) == 1 and has_rua(ours[0], domain.rua):
        message = f"The record at {name} requests reports at {domain.rua}."
        return SetupItem(code, title, SetupStatus.done, message, optional=True)
    change = SetupChange(name, "TXT", "\n".join(ours), _tls_value(domain, published, plain))
    message = f"No TLS-RPT record is published at {name}." if not ours else f"The record at {name} does not name us."
    return SetupItem(code, title, SetupStatus.missing, message, _TLS_FIX, (change,), optional=True)


def _tls_value(domain: Domain, published: PublishedRecords | None, plain: str) -> str:
    """The TLS-RPT record to publish."""
    ours = [text for text in (published.tls if published else None) or () if is_tls_record(text)]
    return append_tls_rua(ours[0], domain.rua) if ours else plain


def _first_report(domain: Domain, items: list[SetupItem], reports: int, last_report: datetime | None) -> SetupItem:
    code, title = "first-report", "First report"
    if reports and last_report is not None:
        count = "1 report has" if reports == 1 else f"{reports:,} reports have"
        message = f"{count} arrived; the newest at {last_report:%Y-%m-%d %H:%M} UTC."
        return SetupItem(code, title, SetupStatus.done, message)
    message = "No report has arrived yet."
    blocking = [one.title for one in items if one.status in _NOT_DONE and not one.optional and one.code != "ownership"]
    if blocking:
        fix = f"Reports can only arrive when this is done: {', '.join(dict.fromkeys(blocking))}."
    elif not domain.enabled:
        fix = f"{domain.name} is disabled: its mail is rejected. Enable it."
    else:
        fix = (
            "Nothing to do: reporters send once a day, so the first report is expected within two days. A domain that"
            " sends no mail gets none."
        )
    return SetupItem(code, title, SetupStatus.missing, message, fix)


def _state(items: list[SetupItem], reports: int) -> SetupState:
    needed = [one for one in items if not one.optional and one.code not in ("ownership", "first-report")]
    statuses = {one.status for one in needed}
    if SetupStatus.missing in statuses:
        return SetupState.publish
    if reports:
        return SetupState.receiving
    if SetupStatus.unchecked in statuses:
        return SetupState.unchecked
    return SetupState.unknown if SetupStatus.unknown in statuses else SetupState.waiting


_NOT_DONE = (SetupStatus.missing, SetupStatus.unknown, SetupStatus.unchecked)
_TLS_PURPOSE = "The record requests reports about failed encryption on the way to the domain's mail servers."
_TLS_FIX = "Optional: publish this record to receive reports about TLS."
