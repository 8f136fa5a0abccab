"""Mail over HTTP: the mail router → what the route that injects mail calls."""

from __future__ import annotations

from dmarcworks.api.compat.injection import MailInjection
from dmarcworks.catalogue.accounts import Token
from dmarcworks.catalogue.dead_letters import operates
from dmarcworks.catalogue.stores import Stores
from dmarcworks.routing.router import Routed, Router
from dmarcworks.routing.smtp import Peer
from dmarcworks.routing.smtp.grammar import mail_address
from dmarcworks.settings import Settings


def mail_injection(stores: Stores, settings: Settings, router: Router | None) -> MailInjection | None:
    """How mail is injected; None without a router."""
    if router is None:
        return None
    mail_router = router

    async def inject(sender: str, to: str, raw: bytes, peer: str) -> Routed:
        refusal = await mail_router.recipient(to)
        if refusal is not None:
            return Routed(refusal, "rejected", refusal)
        return await mail_router.route(sender, to, raw, Peer(peer, "localhost"))

    async def owns(token: Token, to: str) -> bool:
        account_id, domain_id = await mail_router.belongs(to)
        if token.domains is None and await operates(stores.accounts, settings.operator_account, token.account_id):
            return True
        return account_id == token.account_id and token.sees(domain_id)

    return MailInjection(inject, owns, mail_address)
