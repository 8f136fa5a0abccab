"""Whether DNS proves that a domain is an account's: its address for reports in the DMARC record, or a TXT challenge.

Only a token that we made proves anything. An address that a routing rule brings here may have been published for
another purpose, by somebody who knows nothing of the account. Pure.
"""

from __future__ import annotations

from dmarcworks.policy.dns_records.dmarc_record import dmarc_record
from dmarcworks.policy.setup.published import PublishedRecords, challenge_value

__all__ = ["evidence_of"]


def evidence_of(published: PublishedRecords, token: str, hosts: frozenset[str]) -> str:
    """`txt` or `rua`, "" for no proof. `hosts` are the names at which the report host has or had addresses."""
    expected = challenge_value(token)
    if any(text.strip() == expected for text in published.challenge or ()):
        return "txt"
    for text in published.dmarc_records:
        record = dmarc_record(text)
        for uri in record.rua if record else ():
            local, _, host = uri.address.rpartition("@")
            if local.lower() == token and host.lower().rstrip(".") in hosts:
                return "rua"
    return ""
