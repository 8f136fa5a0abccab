"""What programs ask about mail over HTTP: put a mail in, and change rules and destinations."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from dmarcworks.api.compat import email_routing, inject
from dmarcworks.api.compat.email_routing import SendLink
from dmarcworks.catalogue.accounts import Accounts, Token
from dmarcworks.catalogue.dead_letters import operates
from dmarcworks.catalogue.routing import RoutingCatalogue
from dmarcworks.routing.router import Routed, Router
from dmarcworks.routing.smtp import Peer
from dmarcworks.routing.smtp.grammar import mail_address
from dmarcworks.settings import Settings


def install(
    app: FastAPI,
    mailroom: RoutingCatalogue,
    accounts: Accounts,
    settings: Settings,
    workers: Sequence[str],
    router: Router | None,
    send_link: SendLink | None,
) -> None:
    """Put the routes on an application; without a router no mail can be put in."""
    hostname = settings.hostname.lower()
    app.include_router(email_routing.router(mailroom, accounts, workers, hostname, send_link))
    if router is None:
        return
    front = router

    async def put_in(sender: str, to: str, raw: bytes, peer: str) -> Routed:
        refusal = await front.recipient(to)
        if refusal is not None:
            return Routed(refusal, "rejected", refusal)
        return await front.route(sender, to, raw, Peer(peer, "localhost"))

    async def owns(token: Token, to: str) -> bool:
        account_id, domain_id = await front.belongs(to)
        if token.domains is None and await operates(accounts, settings.operator_account, token.account_id):
            return True
        return account_id == token.account_id and token.sees(domain_id)

    app.include_router(inject.router(put_in, accounts, owns, settings.mail_bytes, mail_address))
