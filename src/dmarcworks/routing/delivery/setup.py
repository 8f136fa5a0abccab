"""Outgoing mail put together from the settings: relay, signature, rewritten senders, and the check before a forward."""

from __future__ import annotations

import asyncio
import secrets
import time

from dmarcworks.bindings.contracts import KV
from dmarcworks.catalogue.stores import Stores
from dmarcworks.enrich.authenticity import Authenticity, MailToCheck
from dmarcworks.enrich.checking import Checker
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing.delivery.deliverer import Check, Deliverer
from dmarcworks.routing.delivery.relay import parse_relay
from dmarcworks.routing.delivery.signing import Signer
from dmarcworks.routing.delivery.srs import Srs
from dmarcworks.settings import Settings
from dmarcworks.workers.message import Message

__all__ = ["deliverer"]

_SRS_KEY = "routing:srs"


async def deliverer(settings: Settings, stores: Stores, metrics: Metrics, checker: Checker) -> Deliverer | None:
    """Outgoing delivery; None when the settings name no relay. An unusable key is an error without a relay too."""
    relay = parse_relay(settings.relay_url, settings.hostname)
    domain = settings.dkim_domain or settings.hostname
    key = settings.dkim_key
    signer = Signer(key, settings.dkim_selector, domain, settings.hostname) if key else None
    if relay is None:
        return None
    return Deliverer(
        hostname=settings.hostname,
        relay=relay,
        objects=stores.objects,
        waiting=stores.routing.outbound,
        destinations=stores.routing.destinations,
        srs=Srs(settings.hostname, await _srs_secret(stores.kv), time.time),
        check=_check(settings, checker, metrics),
        metrics=metrics,
        signer=signer,
        days=settings.relay_days,
    )


def _check(settings: Settings, checker: Checker, metrics: Metrics) -> Check:
    """Whether a mail that is to leave is genuine; checked once a mail."""

    async def check(message: Message) -> Authenticity | None:
        if settings.forward_auth == "off":
            return None
        if message.authenticity is None:
            mail = MailToCheck(raw=message.data, peer=message.peer, helo=message.helo, sender=message.from_)
            message.authenticity = await checker.check(mail)
            metrics.checked.labels(message.authenticity.dmarc).inc()
        return message.authenticity

    return check


async def _srs_secret(kv: KV) -> bytes:
    """What rewritten senders are signed with: made once, the same for every process."""
    if await kv.get(_SRS_KEY) is None:
        await kv.put(_SRS_KEY, secrets.token_hex(32))
        # Two processes at a first start: the last one to write wins, and both read it after a moment.
        await asyncio.sleep(0.2)
    return (await kv.get(_SRS_KEY) or "").encode()
