"""Email routing put together: rules, workers, the activity log and the way out → one router for every front door.

`routing` opens it for a process that takes mail and closes it in reverse: what is in the log is written at the end.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any

from dmarcworks.bindings.contracts import KV
from dmarcworks.catalogue.accounts import Accounts
from dmarcworks.catalogue.destinations import Destination
from dmarcworks.catalogue.stores import Stores
from dmarcworks.enrich.authenticity import Authenticity, MailToCheck
from dmarcworks.enrich.checking import Checker
from dmarcworks.enrich.examine import RESULTS, TARGET
from dmarcworks.enrich.resolver import Dns
from dmarcworks.ingest.authentication import OFF, ReportAuthenticator
from dmarcworks.ingest.environment import Env, Prove
from dmarcworks.ingest.header_fields import header
from dmarcworks.process.isolated import IsolatedPool
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing.delivery.deliverer import Check, Deliverer
from dmarcworks.routing.delivery.relay import parse_relay
from dmarcworks.routing.delivery.signing import Signer
from dmarcworks.routing.delivery.srs import Srs
from dmarcworks.routing.router import Gate, Router, WorkerHandle
from dmarcworks.routing.rules import DMARC_WORKER
from dmarcworks.settings import Settings
from dmarcworks.workers import dmarc, load
from dmarcworks.workers.consumer import Consumer
from dmarcworks.workers.environment import environment
from dmarcworks.workers.isolated import IsolatedWorker
from dmarcworks.workers.message import Message
from dmarcworks.workers.point_writer import PointWriter
from dmarcworks.workers.points import DataPoints
from dmarcworks.workers.system import dmarc_worker

_GATE_SECONDS = 1.0
# Processes for the checks of strangers' mail, and processor seconds that one step of a check may take; a mail of 25 MB
# takes less than one.
_CHECKERS, _CHECK_SECONDS = 2, 10.0
# Report mail is checked behind the conversations with senders, and waits a second at most for answers that cannot
# change the verdict.
_NICE, _PATIENCE = 5, 1.0
_GATES = 10_000
# Beyond a handler's own time: what a batch may take to be settled before it counts as lost.
_LEASE_MARGIN = 30.0
_SRS_KEY = "routing:srs"


@asynccontextmanager
async def routing(
    settings: Settings, stores: Stores, env: Env, metrics: Metrics, *, feed: bool = False
) -> AsyncIterator[Router]:
    """The router, with the activity log being written and waiting mail being tried while it is open.

    With `feed` the workers' queues are consumed too.
    """
    async with AsyncExitStack() as stack:
        hands: dict[str, WorkerHandle] = {DMARC_WORKER: dmarc_worker(env, settings.worker_seconds)}
        points = DataPoints()
        writer = PointWriter(points, env.analytics)
        writer.start()
        stack.push_async_callback(writer.stop)
        workers, consumers = user_workers(settings, stores, points)
        for worker in workers:
            hands[worker.name] = worker
            stack.callback(worker.close)
        if feed:
            await stack.enter_async_context(consuming(consumers))
        activity = stores.mailroom.activity
        activity.start(days=settings.activity_days)
        stack.push_async_callback(activity.stop)
        checker = await stack.enter_async_context(checking(settings, "forwarded mail"))
        way = await deliverer(settings, stores, metrics, checker)
        if way is not None:
            way.start()
            stack.push_async_callback(way.stop)
        yield Router(
            hostname=settings.hostname,
            subaddressing=settings.routing_subaddressing,
            routes=stores.mailroom.routes,
            gate=gate(stores.kv),
            hands=hands,
            activity=activity,
            metrics=metrics,
            way=way,
            sure=stores.system.sure,
            postmaster=settings.postmaster,
            operator=partial(_operator, stores.accounts, settings.operator_account),
        )


async def _operator(accounts: Accounts, name: str) -> str:
    """The id of the operator's account; "" while there is none."""
    return next((account.id for account in await accounts.accounts() if account.name == name), "")


def user_workers(settings: Settings, stores: Stores, points: DataPoints) -> tuple[list[IsolatedWorker], list[Consumer]]:
    """The user's own workers, imported now, and what feeds those with a queue; `SettingsError` names a bad one."""
    named = load.parse_workers(settings.workers, DMARC_WORKER)
    bindings = load.parse_bindings(settings.worker_bindings, named)
    feeding = load.parse_queues(settings.worker_queues, named)
    modules = {name: load.load(name, where) for name, where in named.items()}
    with_queue = {name for name, module in modules.items() if hasattr(module, "queue")}
    load.check_queues(with_queue, bindings, feeding)

    def made(name: str) -> Any:
        consumes = name in with_queue
        return lambda loop, owner: environment(
            name, bindings[name], stores.kv, stores.objects, points, stores.queue, consumes, loop, owner
        )

    seconds = settings.worker_seconds
    workers = [IsolatedWorker(name, module, made(name), seconds=seconds) for name, module in modules.items()]
    policies = {name: replace(policy, lease=seconds + _LEASE_MARGIN) for name, policy in feeding.items()}
    consumers = [Consumer(one, stores.queue, policies[one.name]) for one in workers if one.consumes]
    return workers, consumers


@asynccontextmanager
async def consuming(consumers: Sequence[Consumer]) -> AsyncIterator[None]:
    """Workers are fed from their queues while it is open."""
    for one in consumers:
        one.start()
    try:
        yield
    finally:
        await asyncio.gather(*(one.stop() for one in consumers))


async def deliverer(settings: Settings, stores: Stores, metrics: Metrics, checker: Checker) -> Deliverer | None:
    """The way out; None when the settings name no relay. A key that is none is told without a relay too."""
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
        waiting=stores.mailroom.outbound,
        destinations=stores.mailroom.destinations,
        srs=Srs(settings.hostname, await _srs_secret(stores.kv), time.time),
        check=asking(settings, checker, metrics),
        metrics=metrics,
        signer=signer,
        days=settings.relay_days,
    )


@asynccontextmanager
async def checking(
    settings: Settings, name: str, *, nice: int = 0, patience: float | None = None
) -> AsyncIterator[Checker]:
    """What finds out whether mails are genuine; its child processes start with the first mail and end with it."""
    resolver = Dns(settings.dns_server)
    pool = IsolatedPool(TARGET, name=name, processes=_CHECKERS, cpu_seconds=_CHECK_SECONDS, results=RESULTS, nice=nice)
    checker = Checker(resolver, pool.run, seconds=settings.auth_seconds, patience=patience)
    try:
        yield checker
    finally:
        checker.close()
        await pool.close()
        resolver.close()


def asking(settings: Settings, checker: Checker, metrics: Metrics) -> Check:
    """Whether a mail that is to leave is genuine; checked once a mail."""

    async def ask(message: Message) -> Authenticity | None:
        if settings.forward_auth == "off":
            return None
        if message.authenticity is None:
            asked = MailToCheck(raw=message.data, peer=message.peer, helo=message.helo, sender=message.from_)
            message.authenticity = await checker.check(asked)
            metrics.checked.labels(message.authenticity.dmarc).inc()
        return message.authenticity

    return ask


async def _srs_secret(kv: KV) -> bytes:
    """What rewritten senders are signed with: made once, the same for every process."""
    if await kv.get(_SRS_KEY) is None:
        await kv.put(_SRS_KEY, secrets.token_hex(32))
        # Two processes at a first start: the last one to write wins, and both read it after a moment.
        await asyncio.sleep(0.2)
    return (await kv.get(_SRS_KEY) or "").encode()


def worker_names(settings: Settings) -> list[str]:
    """Every worker that a rule may give mail to."""
    return [DMARC_WORKER, *load.parse_workers(settings.workers, DMARC_WORKER)]


def link_sender(router: Router | None, public_url: str) -> Callable[[Destination, str], Awaitable[None]] | None:
    """What mails a destination's link; None when no mail can leave."""
    if router is None or router.way is None:
        return None
    way, hostname = router.way, router.hostname

    async def send(destination: Destination, secret: str) -> None:
        head = header(
            [
                ("From", f"dmarcworks <postmaster@{hostname}>"),
                ("To", f"<{destination.email}>"),
                ("Subject", "May mail be forwarded to you?"),
                ("Date", format_datetime(datetime.now(UTC))),
                ("Message-ID", f"<{secrets.token_hex(16)}@{hostname}>"),
                ("Auto-Submitted", "auto-generated"),
                ("MIME-Version", "1.0"),
                ("Content-Type", "text/plain; charset=utf-8"),
            ]
        )
        text = (
            f"Somebody who runs a domain at {hostname} wants to forward its mail to {destination.email}.\r\n"
            f"If that is what you want, open this page within a day and press the button:\r\n\r\n"
            f"  {public_url}/routing/verify/{secret}\r\n\r\nIf not, do nothing: no mail is forwarded then.\r\n"
        )
        await way.send(destination.account_id, destination.email, head + b"\r\n" + text.encode("utf-8", "replace"))

    return send


@asynccontextmanager
async def proving(settings: Settings, stores: Stores, metrics: Metrics) -> AsyncIterator[Prove | None]:
    """What finds out whether report mails are genuine; None when the settings ask for nothing."""
    if settings.report_auth == OFF:
        yield None
        return
    async with checking(settings, "report mail", nice=_NICE, patience=_PATIENCE) as checker:
        yield ReportAuthenticator(
            stores.mailroom.proofs,
            checker,
            settings.report_auth,
            settings.auth_seconds,
            timedelta(hours=settings.auth_wait_hours),
            metrics,
        ).prove


def gate(kv: KV) -> Gate:
    """The KV entries of rua addresses; one that was found is remembered for a second, so that RCPT and DATA of a mail
    share a look-up (the worker looks again before it takes the mail)."""
    known: dict[str, tuple[float, Mapping[str, str]]] = {}

    async def ask(address: str) -> Mapping[str, str] | None:
        if not address.isascii() or len(address) > dmarc.ADDRESS_LENGTH:
            return None  # none of ours looks so, and no store need be asked
        now = time.monotonic()
        held = known.get(address)
        if held is not None and now - held[0] < _GATE_SECONDS:
            return held[1]
        entry = await kv.get(f"dmarc:{address}")
        if entry is None:
            known.pop(address, None)
            return None
        if len(known) >= _GATES:
            known.clear()
        found: dict[str, str] = json.loads(entry)
        known[address] = (now, found)
        return found

    return ask
