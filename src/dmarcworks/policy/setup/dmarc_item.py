"""The DMARC record of a domain: whether it requests reports here, and the record to publish. Pure.

The record to publish is the one that is really published, with our address appended; every other byte stays.
"""

from __future__ import annotations

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.setup_records import policy_record
from dmarcworks.policy.dns_records.dmarc_record import POLICIES, dmarc_record
from dmarcworks.policy.dns_records.dmarc_repair import repaired_record, resembles_dmarc
from dmarcworks.policy.record_builder import DmarcChoices, RecordPolicy, dmarc_to_publish
from dmarcworks.policy.rua import append_rua, has_rua, remove_rua
from dmarcworks.policy.setup.model import SetupChange, SetupItem, SetupStatus
from dmarcworks.policy.setup.published import PublishedRecords

__all__ = ["dmarc_item", "start_record"]

_CODE, _TITLE = "dmarc", "DMARC record"


def start_record(domain: Domain, published: PublishedRecords | None, tags: str = "") -> str:
    """The record for a domain that publishes none: with the policy that applies to it now, so that it is not weakened.

    `tags` are the policy that reports found in force, "" when none did.
    """
    if domain.parked and "." in domain.rua.rpartition("@")[2]:
        choices = DmarcChoices(RecordPolicy.reject, reports=(domain.rua,), strict_dkim=True, strict_spf=True)
        return dmarc_to_publish(domain.name, choices).record.value
    if domain.parked:
        tags = "p=reject; adkim=s; aspf=s"
    elif published is not None and published.inherited_policy:
        tags = f"p={published.inherited_policy}" + ("; t=y" if published.inherited_testing else "")
    return policy_record(domain.name, domain.rua, tags or "p=none").value


def dmarc_item(domain: Domain, published: PublishedRecords | None, tags: str = "") -> SetupItem:
    """Whether the record requests reports here."""
    name = f"_dmarc.{domain.name}"
    if published is None or published.dmarc is None:
        change = SetupChange(name, "TXT", "", start_record(domain, published, tags))
        return _without_answer(name, change, checked=published is not None)
    records = published.dmarc_records
    if len(records) == 1:
        return _one(domain, published, records[0])
    if records:
        before = "\n".join(records)
        # Nobody applies any of them now: the weakest policy stops no mail.
        after = append_rua(min(records, key=_strictness), domain.rua)
        message = f"{len(records)} DMARC records are published at {name}; receivers ignore them all."
        return _item(domain, published, message, "Publish this one record and remove the others.", before, after)
    almost = [text for text in published.dmarc if resembles_dmarc(text)]
    if almost:
        after = append_rua(repaired_record(almost[0]), domain.rua)
        message = f"The text at {name} is not a DMARC record that receivers recognise."
        return _item(domain, published, message, "Replace it with this record.", almost[0], after)
    message = f"No DMARC record is published at {name}."
    if published.inherited_from:
        message += (
            f" The record at {published.inherited_from} applies to {domain.name}, and reports about it are sent to"
            " that record's addresses; the record below keeps its policy."
        )
    return _item(domain, published, message, "Publish this record.", "", start_record(domain, published, tags))


def _strictness(record: str) -> tuple[int, str]:
    parsed = dmarc_record(record)
    policy = parsed.policy("p") if parsed else None
    return POLICIES.index(policy) if policy else 0, record


def _one(domain: Domain, published: PublishedRecords, record: str) -> SetupItem:
    name = f"_dmarc.{domain.name}"
    if has_rua(record, domain.rua):
        message = f"The record at {name} requests reports at {domain.rua}."
        return SetupItem(_CODE, _TITLE, SetupStatus.done, message)
    earlier = [address for address in domain.earlier if has_rua(record, address)]
    if earlier:
        after = record
        for address in earlier:
            # Where it is the only address, the new one comes first: the list keeps its place in the record.
            after = remove_rua(append_rua(after, domain.rua), address)
        message = (
            f"The record names {earlier[0]}, an address at an earlier name of the report host. Reports to it are still"
            " accepted."
        )
        fix = f"Replace it with {domain.rua}."
        return _item(domain, published, message, fix, record, after, SetupStatus.change)
    if published.custom:
        message = f"The record requests reports at {published.custom[0]}, which a routing rule brings to this system."
        return SetupItem(_CODE, _TITLE, SetupStatus.done, message)
    message = f"The record at {name} does not name the address {domain.rua}."
    fix = "Change the record to this one: the address is appended, everything else stays as it is."
    return _item(domain, published, message, fix, record, append_rua(record, domain.rua))


def _item(
    domain: Domain,
    published: PublishedRecords,
    message: str,
    fix: str,
    before: str,
    after: str,
    status: SetupStatus = SetupStatus.missing,
) -> SetupItem:
    place = published.alias or f"_dmarc.{domain.name}"
    return SetupItem(
        _CODE,
        _TITLE,
        status,
        message + _where(domain, published),
        fix,
        (SetupChange(place, "TXT", before, after),),
    )


def _where(domain: Domain, published: PublishedRecords) -> str:
    """In which zone the record must be changed, where that is not the domain's own."""
    name, servers = f"_dmarc.{domain.name}", ", ".join(published.name_servers[:4])
    if published.alias:
        zone = f", in the zone {published.zone} ({servers})" if published.zone else ""
        return (
            f" {name} is an alias (CNAME) of {published.alias}: publish the record there{zone}, or replace the alias"
            " with a TXT record."
        )
    if published.zone == name:
        return f" {name} is a zone of its own: publish the record on its name servers ({servers})."
    if published.zone and published.zone != domain.name:
        return f" The name belongs to the zone {published.zone} ({servers}): publish the record there."
    return ""


def _without_answer(name: str, change: SetupChange, *, checked: bool) -> SetupItem:
    if not checked:
        message = f"Nobody has looked at {name} yet."
        return SetupItem(_CODE, _TITLE, SetupStatus.unchecked, message, _KEEP, (change,))
    message = f"DNS gave no answer about {name}; the name servers of the domain or the resolver did not answer in time."
    return SetupItem(_CODE, _TITLE, SetupStatus.unknown, message, _KEEP, (change,))


_KEEP = "If there is no record yet, publish this one. If there is one, keep it and append the address to its rua list."
