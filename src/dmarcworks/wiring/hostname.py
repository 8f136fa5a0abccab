"""What a server reports to its operator at the start about the report host's name: which records to publish."""

from __future__ import annotations

import structlog

from dmarcworks.catalogue.accounts import Accounts, Domain
from dmarcworks.catalogue.addresses import HostChange, host_of
from dmarcworks.catalogue.setup_records import host_records, policy_record

__all__ = ["host_notices"]

log = structlog.get_logger("dmarcworks.wiring.hostname")
# More domains than a person reads at a start; `domain show` prints the records of each.
_NAMED = 20


async def host_notices(accounts: Accounts, change: HostChange | None) -> list[str]:
    """Lines to print while domains have addresses at earlier names; logged as well. Empty when there are none."""
    domains = [domain for domain in await accounts.domains() if domain.earlier]
    if not domains:
        return []
    hosts = sorted({host_of(address) for domain in domains for address in domain.earlier})
    if change is not None:
        log.warning(
            "the host name has changed: publish the new records",
            hostname=change.hostname,
            before=", ".join(change.before),
            domains=change.domains,
        )
    else:
        log.info("addresses at earlier host names are accepted", hosts=", ".join(hosts), domains=len(domains))
    count = "1 domain has" if len(domains) == 1 else f"{len(domains)} domains have"
    lines = [
        f"The host name is {accounts.hostname}. {count} addresses at {', '.join(hosts)}, which still accept mail.",
        "Keep the MX and _report._dmarc records of those names until no report arrives there.",
    ]
    return lines + (_to_publish(accounts.hostname, domains) if change is not None else [])


def _to_publish(hostname: str, domains: list[Domain]) -> list[str]:
    records = host_records(hostname) + [policy_record(domain.name, domain.rua) for domain in domains[:_NAMED]]
    lines = ["Publish these records:", *(f"  {record.name}  {record.type}  {record.value}" for record in records)]
    if len(domains) > _NAMED:
        lines.append(
            f"  … and {len(domains) - _NAMED} more domains: `dmarcworks domain show NAME` prints their records"
        )
    lines.append("If a domain already has a DMARC record, keep its policy and replace the address in its rua list.")
    return lines
