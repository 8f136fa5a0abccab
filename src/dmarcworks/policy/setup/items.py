"""Report host, proof of ownership, parked records and routed mail as parts of a set-up. Pure."""

from __future__ import annotations

from dmarcworks.catalogue.accounts import Domain
from dmarcworks.catalogue.addresses import host_of
from dmarcworks.catalogue.setup_records import DnsRecord, host_records
from dmarcworks.policy.record_builder import parked_to_publish
from dmarcworks.policy.rua import has_rua
from dmarcworks.policy.setup.model import SetupChange, SetupItem, SetupStatus
from dmarcworks.policy.setup.published import PublishedRecords

__all__ = ["authorisation_items", "mail_items", "ownership_item", "parked_items"]

_HOST_MAIL, _HOST_AUTHORISES = "Mail to the report host", "Authorisation of the report host"
_OPERATOR = "The operator of this server publishes it once, for all domains."


def authorisation_items(domain: Domain, hostname: str, published: PublishedRecords | None) -> list[SetupItem]:
    """Whether reports reach the host of the domain's address, and may be sent there."""
    mail, authorises = (SetupChange(one.name, one.type, "", one.value) for one in host_records(hostname))
    codes = ("report-host-mail", "report-host-authorisation")
    if "." not in hostname:
        fix = "Set DMARCWORKS_HOSTNAME and restart the server; each domain then gets its address at the new name."
        message = f"No reporter can reach the host name {hostname}."
        return [SetupItem(codes[0], _HOST_MAIL, SetupStatus.missing, message, fix)]
    target = published.target(hostname) if published else None
    if published is not None and published.custom and not _names_us(domain, published):
        return _custom_items(published)
    items = []
    for code, title, answer, change, good, bad in (
        (
            codes[0],
            _HOST_MAIL,
            target.receives_mail if target else None,
            mail,
            f"Mail to {hostname} can be delivered.",
            f"{hostname} has neither an MX record nor an address: reports cannot be delivered.",
        ),
        (
            codes[1],
            _HOST_AUTHORISES,
            target.authorised if target else None,
            authorises,
            f"{hostname} is authorised to receive reports about {domain.name}.",
            f"{domain.name}._report._dmarc.{hostname} has no record: reporters send no reports to {hostname}.",
        ),
    ):
        if answer:
            items.append(SetupItem(code, title, SetupStatus.done, good))
        elif answer is False:
            items.append(
                SetupItem(code, title, SetupStatus.missing, bad, f"Publish this record. {_OPERATOR}", (change,))
            )
        else:
            items.append(_open(code, title, f"the records of {hostname}", change, checked=published is not None))
    return items


def _open(code: str, title: str, what: str, change: SetupChange, *, checked: bool) -> SetupItem:
    if checked:
        return SetupItem(code, title, SetupStatus.unknown, f"DNS gave no answer about {what}.", _AGAIN)
    return SetupItem(code, title, SetupStatus.unchecked, f"Nobody has looked at {what} yet.", _OPERATOR, (change,))


def _names_us(domain: Domain, published: PublishedRecords) -> bool:
    return any(has_rua(text, one) for text in published.dmarc_records for one in (domain.rua, *domain.earlier))


def _custom_items(published: PublishedRecords) -> list[SetupItem]:
    """The same for an address that a routing rule brings here."""
    host = host_of(published.custom[0])
    target = published.target(host)
    title = f"Authorisation of {host}"
    if target.authorised is None:
        return [
            SetupItem("custom-authorisation", title, SetupStatus.unknown, f"DNS gave no answer about {host}.", _AGAIN)
        ]
    if target.authorised:
        message = f"{host} is authorised to receive these reports."
        return [SetupItem("custom-authorisation", title, SetupStatus.done, message)]
    message = f"{host} does not accept reports about other domains: it has no _report._dmarc record for this one."
    change = SetupChange(f"*._report._dmarc.{host}", "TXT", "", "v=DMARC1")
    fix = "Publish this record."
    return [SetupItem("custom-authorisation", title, SetupStatus.missing, message, fix, (change,))]


def mail_items(domain: Domain, published: PublishedRecords | None) -> list[SetupItem]:
    """Whether mail for an address that a routing rule brings here is delivered to this host."""
    if published is None or not published.custom:
        return []
    address, ours = published.custom[0], host_of(domain.rua)
    target = published.target(host_of(address))
    title = f"Mail to {address}"
    if target.receives_mail is None:
        return [
            SetupItem("custom-mail", title, SetupStatus.unknown, f"DNS gave no answer about {target.host}.", _AGAIN)
        ]
    if ours in target.mail_hosts or target.host == ours:
        return [SetupItem("custom-mail", title, SetupStatus.done, f"The MX record of {target.host} names {ours}.")]
    others = ", ".join(target.mail_hosts[:4]) or "no mail server"
    message = f"Mail for {target.host} is delivered to {others}, not to {ours}."
    fix = f"Point the MX record to {ours}, or have that server forward mail for {address} to {domain.rua}."
    return [SetupItem("custom-mail", title, SetupStatus.change, message, fix, optional=True)]


def ownership_item(domain: Domain, evidence: str, challenge: DnsRecord) -> SetupItem:
    """Whether DNS has proven that the domain is the account's."""
    code, title = "ownership", "Proof of ownership"
    if domain.proven is not None:
        how = "a TXT record" if evidence == "txt" else "the address in the DMARC record"
        message = f"Proven on {domain.proven:%Y-%m-%d %H:%M} UTC by {how}."
        return SetupItem(code, title, SetupStatus.done, message)
    message = "Unproven: DNS has not shown yet that the domain is yours."
    fix = f"Publish the DMARC record with {domain.rua}, or this record."
    change = SetupChange(challenge.name, challenge.type, "", challenge.value)
    return SetupItem(code, title, SetupStatus.missing, message, fix, (change,))


def parked_items(domain: Domain, published: PublishedRecords | None) -> list[SetupItem]:
    """The records of a domain that neither sends nor receives mail."""
    mx, spf, *_ = (one.record for one in parked_to_publish(domain.name))
    return [
        _parked(
            "parked-mx",
            "Null MX",
            SetupChange(mx.name, mx.type, "\n".join((published and published.mail_hosts) or ()), mx.value),
            published.mail_hosts if published else None,
            ("0 .",),
            checked=published is not None,
        ),
        _parked(
            "parked-spf",
            "SPF record",
            SetupChange(spf.name, spf.type, "\n".join((published and published.spf) or ()), spf.value),
            published.spf if published else None,
            (spf.value,),
            checked=published is not None,
        ),
    ]


def _parked(
    code: str,
    title: str,
    change: SetupChange,
    answers: tuple[str, ...] | None,
    wanted: tuple[str, ...],
    *,
    checked: bool,
) -> SetupItem:
    if answers is None:
        status = SetupStatus.unknown if checked else SetupStatus.unchecked
        message = f"DNS gave no answer about {change.name}." if checked else f"Nobody has looked at {change.name} yet."
        return SetupItem(code, title, status, message, "Publish this record.", (change,))
    if tuple(answers) == wanted:
        return SetupItem(
            code, title, SetupStatus.done, f'{change.name} publishes the {change.type} record "{change.after}".'
        )
    message = f'{change.name} does not publish the {change.type} record "{change.after}".'
    fix = "Publish this record in place of the others." if answers else "Publish this record."
    return SetupItem(code, title, SetupStatus.missing, message, fix, (change,))


_AGAIN = "Nothing to do: it is looked up again automatically."
