"""Which domain reports about a subdomain count for, in sentences. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from dmarcworks.policy.setup.published import PublishedRecords

__all__ = ["relatives_notes"]

_NAMED = 5


def relatives_notes(name: str, others: Iterable[str], published: PublishedRecords | None) -> tuple[str, ...]:
    """About the domain's subdomains and the account's domains above and below it."""
    below = sorted(one for one in others if one.endswith(f".{name}"))
    above = sorted((one for one in others if name.endswith(f".{one}")), key=len, reverse=True)
    notes = []
    if below:
        some = ", ".join(below[:_NAMED]) + (f" and {len(below) - _NAMED} more" if len(below) > _NAMED else "")
        notes.append(
            f"Reports about subdomains of {name} count for {name}, except for {some}: these count the reports that are"
            " sent to their own addresses, once each publishes a DMARC record of its own."
        )
    else:
        notes.append(f"Reports about subdomains of {name} that are sent to its address count for {name}.")
    inherits = published is not None and bool(published.inherited_from)
    if above and inherits and published is not None and published.inherited_from == above[0]:
        notes.append(
            f"{name} publishes no DMARC record of its own, so that reports about it are sent to the addresses in the"
            f" record of {above[0]} and count for that domain of this account."
        )
    elif above:
        notes.append(
            f"{name} is below {above[0]}, which is in this account too. Each report counts for the domain whose address"
            f" it was sent to; at an address of a routing rule, for the nearest one, {name}."
        )
    return tuple(notes)
