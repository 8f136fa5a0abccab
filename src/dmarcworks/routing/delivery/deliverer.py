"""How mail leaves: forward and reply through the relay, at once when it answers, else from a durable queue.

What the next server refuses is passed on to the sender while it still waits. While the relay is unavailable, the mail
becomes ours: it goes into Objects and a table, and is retried for days with growing pauses. Mail that fails permanently
stays visible.
Forwarded mail keeps its content and signatures; only Received, X- fields and, with a key, a seal are put before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

import structlog

from dmarcworks.bindings.contracts import Objects
from dmarcworks.catalogue.destinations import Destinations
from dmarcworks.catalogue.outbound import Outbound, Waiting
from dmarcworks.catalogue.routes import plain_address
from dmarcworks.enrich.authenticity import STOPPED, Authenticity
from dmarcworks.errors import DeniedError, DmarcworksError, RefusedError, StoreError
from dmarcworks.ingest.header_fields import field, header
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing.delivery.relay import Relay, whole_lines
from dmarcworks.routing.delivery.signing import Signer, without_results
from dmarcworks.routing.delivery.srs import Srs
from dmarcworks.routing.loops import LOOP_HEADER, TOO_MANY_HOPS, loops
from dmarcworks.workers.message import EmailMessage, Message
from dmarcworks.workers.replying import proper, replyable

log = structlog.get_logger("dmarcworks.outbound")

NOT_GENUINE = "550 5.7.26 The mail does not pass DMARC, and its domain requests rejection of such mail"
NO_AUTHOR = "550 5.7.26 The mail must have one From field that names one author's domain"
NOT_CHECKED = "451 4.7.0 It is not known yet whether the mail passes DMARC, try again later"
UNVERIFIED = "destination address is not verified"
_FIRST_PAUSE, _LONGEST_PAUSE = 60.0, 3600.0
_LOOK = 5.0
_LEASE = 300.0


def refuse_forged(checked: Authenticity) -> None:
    """Refuse what its domain wants rejected: permanently when it fails DMARC, temporarily when DNS did not answer or
    the check had to be stopped. Mail without one author, whose policy would apply, is refused as well. A sending
    domain's unresponsive name servers alone are no such reason."""
    if checked.dmarc == "permerror":
        raise RefusedError(NO_AUTHOR)
    if checked.genuine is False and checked.policy == "reject":
        raise RefusedError(NOT_GENUINE)
    if checked.dmarc == STOPPED or (checked.temporary and checked.policy == "reject"):
        raise RefusedError(NOT_CHECKED)


Check = Callable[[Message], Awaitable[Authenticity | None]]
"""Is a mail genuine? None when nothing is to be checked."""


class Deliverer:
    """The way out; `run` tries what waits until `stop`."""

    def __init__(
        self,
        *,
        hostname: str,
        relay: Relay,
        objects: Objects,
        waiting: Outbound,
        destinations: Destinations,
        srs: Srs,
        check: Check,
        metrics: Metrics,
        signer: Signer | None = None,
        days: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._hostname = hostname
        self._relay = relay
        self._objects = objects
        self._waiting = waiting
        self._destinations = destinations
        self._srs = srs
        self._check = check
        self._metrics = metrics
        self._signer = signer
        self._seconds = days * 86_400
        self._clock = clock
        self._stopping = asyncio.Event()

    async def forward(self, message: Message, to: str, headers: Mapping[str, str]) -> str:
        """Send a mail on to a destination that its account has verified; the id of what was sent."""
        address = plain_address(to)
        if not await self._destinations.verified(message.account_id, address):
            raise DeniedError(UNVERIFIED)
        if loops(message):
            raise RefusedError(TOO_MANY_HOPS)
        checked = await self._check(message)
        if checked is not None:
            refuse_forged(checked)
        mail_id = uuid.uuid4().hex
        sender = self._srs.forward(message.from_)
        raw = self._traced(message, mail_id, headers)
        if self._signer is None:
            raw = without_results(raw, self._hostname)
        else:
            results = "none" if checked is None else checked.header
            raw = await asyncio.to_thread(self._signer.seal, raw, results)
        await self._send("forward", message.account_id, sender, address, raw, mail_id)
        return f"{mail_id}@{self._hostname}"

    async def reply(self, message: Message, reply: EmailMessage) -> str:
        """Answer a mail under the conditions of `workers.replying`; the answer's Message-ID."""
        message_id = proper(message, reply)
        checked = await self._check(message)
        replyable(message, "" if checked is None else checked.dmarc)
        raw = whole_lines(reply.data)
        if self._signer is not None:
            raw = await asyncio.to_thread(self._signer.sign, raw)
        await self._send("reply", message.account_id, reply.from_, message.from_, raw, uuid.uuid4().hex)
        return message_id

    async def bounce(self, message: Message, to: str) -> str:
        """Send what came for a rewritten sender (srs) back to who that is, as it came."""
        if loops(message):
            raise RefusedError(TOO_MANY_HOPS)
        mail_id = uuid.uuid4().hex
        await self._send("bounce", "", message.from_, to, self._traced(message, mail_id, {}), mail_id)
        return f"{mail_id}@{self._hostname}"

    async def send(self, account_id: str, recipient: str, raw: bytes) -> None:
        """Send a mail of the system itself, such as the link that verifies a destination."""
        if self._signer is not None:
            raw = await asyncio.to_thread(self._signer.sign, raw)
        await self._send("house", account_id, "", recipient, raw, uuid.uuid4().hex)

    def reverse(self, address: str) -> str | None:
        """Who a rewritten sender of ours stands for."""
        return self._srs.reverse(address)

    def _traced(self, message: Message, mail_id: str, headers: Mapping[str, str]) -> bytes:
        now = format_datetime(datetime.fromtimestamp(self._clock(), UTC))
        helo = "".join(char for char in message.helo if "!" <= char <= "~" and char not in "()<>;")[:200]
        traced = header([*headers.items(), (LOOP_HEADER, message.to)])
        traced += field(
            "Received",
            f"from {helo or 'unknown'} ([{message.peer}])",
            f"by {self._hostname} with SMTP id {mail_id}",
            f"for <{message.to}>; {now}",
        )
        return traced + whole_lines(message.data)

    async def _send(self, kind: str, account_id: str, sender: str, to: str, raw: bytes, mail_id: str) -> None:
        try:
            await self._relay.send(sender, to, raw)
        except RefusedError:
            self._metrics.sent.labels("refused").inc()
            raise
        except StoreError as error:
            log.warning("a mail waits for the relay", kind=kind, error=str(error))
            key = f"outbound/{mail_id}.eml"
            await self._objects.put(key, raw, create_only=True)
            await self._waiting.add(account_id, kind, sender, to, key, str(error), self._clock() + _FIRST_PAUSE)
            self._metrics.sent.labels("queued").inc()
            return
        self._metrics.sent.labels("sent").inc()

    async def stop(self) -> None:
        """Make `run` return after the current mail; the others wait."""
        self._stopping.set()

    async def run(self) -> None:
        """Try what waits until `stop`."""
        while not self._stopping.is_set():
            try:
                tried = await self.once()
            except DmarcworksError as error:
                log.warning("outgoing mail waits for a store", error=str(error))
                tried = 0
            # Mail waits: whatever one try raised, the next one comes.
            except Exception:
                log.exception("outgoing mail failed")
                tried = 0
            if not tried:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _LOOK)

    async def once(self) -> int:
        """Try one mail that is due; how many there were."""
        item = await self._waiting.take(self._clock(), _LEASE)
        if item is None:
            return 0
        raw = await self._objects.get(item.object_key)
        if raw is None:
            await self._waiting.give_up(item.id, self._clock(), "the mail is gone from the object store")
            return 1
        try:
            await self._relay.send(item.sender, item.recipient, raw)
        except DmarcworksError as error:
            await self._again(item, error)
            return 1
        await self._waiting.done(item.id)
        await self._objects.delete(item.object_key)
        self._metrics.sent.labels("sent").inc()
        return 1

    async def _again(self, item: Waiting, error: DmarcworksError) -> None:
        now = self._clock()
        if not error.temporary or now - item.created > self._seconds:
            await self._waiting.give_up(item.id, now, str(error))
            self._metrics.sent.labels("given_up").inc()
            log.warning("an outgoing mail failed permanently", id=item.id, kind=item.kind, error=str(error))
            return
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(item.attempts, 10))
        await self._waiting.later(item.id, now + pause, str(error))
