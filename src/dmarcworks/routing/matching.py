"""From a recipient's address to what is done with its mail: the gate of a rua address, then the rules in effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from dmarcworks.catalogue.route_lookup import RouteLookup
from dmarcworks.ingest.item import NO_DOMAIN, POSTMASTER
from dmarcworks.routing import rules
from dmarcworks.routing.smtp import STORE_UNAVAILABLE

Gate = Callable[[str], Awaitable[Mapping[str, str] | None]]
"""The KV entry of a rua address: account_id, domain_id, domain; None for an address that is none."""

Sure = Callable[[], Awaitable[None]]
"""`StoreError` while the database may not know every address: no recipient is reported as unknown then."""

Operator = Callable[[], Awaitable[str]]
"""The id of the operator's account; "" while there is none."""


class ReturnAddresses(Protocol):
    """The way back for rewritten senders."""

    def reverse(self, address: str) -> str | None:
        """Who a rewritten sender of ours stands for; None for any other address."""


class AddressMatcher:
    """Finds the action for an address, and the account and domain that it belongs to."""

    def __init__(
        self,
        *,
        hostname: str,
        subaddressing: bool,
        routes: RouteLookup,
        gate: Gate,
        outgoing: ReturnAddresses | None,
        sure: Sure | None,
        postmaster: str = "",
        operator: Operator | None = None,
    ) -> None:
        self._hostname = hostname
        self._subaddressing = subaddressing
        self._routes = routes
        self._gate = gate
        self._outgoing = outgoing
        self._sure = sure
        self._postmaster = postmaster
        self._operator = operator

    def normal(self, address: str) -> str:
        """The address as it is looked up; postmaster may be named without a domain (RFC 5321 §4.5.1)."""
        normal = rules.normal_address(address)
        return f"{POSTMASTER}@{self._hostname}" if normal == POSTMASTER else normal

    async def match(self, address: str) -> tuple[rules.Match, Mapping[str, str] | None]:
        """The action for a normal address, and the gate of a rua address; `StoreError` when neither can be known."""
        domain = rules.mail_domain(address)
        if not domain or not address.isascii():
            return rules.Match(rules.UNKNOWN_RECIPIENT), None
        here = domain == self._hostname or domain in await self._routes.zones.hosts()
        if here and self._outgoing is not None:
            # Senders that were rewritten under an earlier name of this host find their way back as well.
            original = self._outgoing.reverse(f"{address.rpartition('@')[0]}@{self._hostname}")
            if original is not None:
                return rules.Match(rules.Return(original)), None
        like_rua = rules.looks_like_rua(address)
        gate = await self._gate(address) if here or like_rua else None
        if gate is None and like_rua and (enabled := await self._routes.zones.report_address(address)) is not None:
            # No other rule applies to a rua address of ours that accepts no mail now. Its gate is missing only until
            # the domain's two writes are done, or the next start.
            return rules.Match(rules.Reject(STORE_UNAVAILABLE) if enabled else rules.UNKNOWN_RECIPIENT), None
        effective = () if gate is not None else await self._routes.effective(domain)
        match = rules.route(address, effective, rua=gate is not None, subaddressing=self._subaddressing)
        ours = here or bool(effective)
        if match == rules.Match(rules.UNKNOWN_RECIPIENT) and ours and address == f"{POSTMASTER}@{domain}":
            return await self._for_postmaster()
        return await self.certain(match), gate

    async def certain(self, match: rules.Match) -> rules.Match:
        """The same; `StoreError` when it refuses an address that an emptied database has forgotten."""
        if self._sure is not None and match.rule is None and isinstance(match.action, rules.Reject):
            await self._sure()
        return match

    async def belongs(self, address: str) -> tuple[str, str]:
        """The account and the domain that an address belongs to; "" for both when it belongs to none."""
        to = self.normal(address)
        match, gate = await self.match(to)
        account_id, domain_id = owner_of(match, gate)
        if account_id:
            return account_id, domain_id
        zone = await self._routes.responsible(rules.mail_domain(to))
        return ("", "") if zone is None else (zone.account_id, zone.domain_id)

    async def _for_postmaster(self) -> tuple[rules.Match, Mapping[str, str] | None]:
        """Mail to the host's postmaster, which no rule is for: to the setting's address, or kept for the operator."""
        account_id = "" if self._operator is None else await self._operator()
        gate = {"account_id": account_id, "domain_id": NO_DOMAIN, "domain": self._hostname}
        if self._postmaster and self._outgoing is not None:
            return rules.Match(rules.Forward(self._postmaster)), gate
        return rules.Match(rules.ToWorker(rules.DMARC_WORKER)), gate


def owner_of(match: rules.Match, gate: Mapping[str, str] | None) -> tuple[str, str]:
    """Account and domain: those of the rule, else of the rua address; "" for mail that belongs to none."""
    if match.rule is not None:
        return match.rule.account_id, match.rule.domain_id
    return ("", "") if gate is None else (gate["account_id"], gate["domain_id"])
