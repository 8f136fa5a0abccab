"""A mail that a listener received: rule → action → SMTP reply, with a line in the activity log for each recipient. In:
the mail from SMTP, LMTP or the inject endpoint. Out: the whole reply. Delivery to a worker is 250, 550 or 451 by its
outcome; forward is 250, or the next server's own refusal; drop is 250; a rule that rejects is 550 at RCPT. While a
store is unavailable everything is 451, never 250.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import structlog

from dmarcworks.catalogue.activity import Activity
from dmarcworks.catalogue.route_store import Routes
from dmarcworks.errors import DeniedError, DmarcworksError, RefusedError
from dmarcworks.ingest.item import NO_DOMAIN
from dmarcworks.process.metrics import Metrics
from dmarcworks.routing import rules
from dmarcworks.routing.activity_line import activity_line
from dmarcworks.routing.matching import AddressMatcher, Gate, Operator, ReturnAddresses, Sure, owner_of
from dmarcworks.routing.outcome import Routed
from dmarcworks.routing.smtp import STORE_UNAVAILABLE, Peer
from dmarcworks.workers.message import Message, Post
from dmarcworks.workers.outcome import ACCEPTED, TRY_LATER, Delivered

__all__ = ["Gate", "OutgoingMail", "Routed", "Router", "Sure", "WorkerHandle"]

log = structlog.get_logger("dmarcworks.routing")

_KEPT = rules.ToWorker(rules.DMARC_WORKER)
NO_WORKER = "451 4.3.5 The worker for this address is not there now, try again later"


class WorkerHandle(Protocol):
    """A worker as the router sees it."""

    async def recipient(self, address: str) -> bool:
        """Called at RCPT: does the worker accept mail for this address?"""

    async def deliver(self, message: Message) -> Delivered:
        """Run its `email()`; whatever it does comes back as an outcome."""


class OutgoingMail(Post, ReturnAddresses, Protocol):
    """How mail leaves, with the way back for rewritten senders."""

    async def bounce(self, message: Message, to: str) -> str:
        """Send a mail back to who a rewritten sender stands for."""

    async def send(self, account_id: str, recipient: str, raw: bytes) -> None:
        """Send a mail of the system itself."""


class Router:
    """`recipient` answers RCPT, `deliver` a mail."""

    def __init__(
        self,
        *,
        hostname: str,
        subaddressing: bool,
        routes: Routes,
        gate: Gate,
        workers: Mapping[str, WorkerHandle],
        activity: Activity,
        metrics: Metrics,
        outgoing_mail: OutgoingMail | None = None,
        sure: Sure | None = None,
        postmaster: str = "",
        operator: Operator | None = None,
    ) -> None:
        self._sure = sure
        self._hostname = hostname.lower().rstrip(".")
        self._matcher = AddressMatcher(
            hostname=self._hostname,
            subaddressing=subaddressing,
            routes=routes,
            gate=gate,
            outgoing=outgoing_mail,
            sure=sure,
            postmaster=postmaster,
            operator=operator,
        )
        self._workers = workers
        self._activity = activity
        self._metrics = metrics
        self._outgoing_mail = outgoing_mail

    @property
    def outgoing_mail(self) -> OutgoingMail | None:
        """How mail leaves; None when the settings name no relay."""
        return self._outgoing_mail

    @property
    def hostname(self) -> str:
        """This host's name."""
        return self._hostname

    async def recipient(self, address: str) -> str | None:
        """None to accept, else the whole reply."""
        to = self._matcher.normal(address)
        try:
            match, gate = await self._matcher.match(to)
            if gate is not None:
                return None
            if isinstance(match.action, rules.ToWorker):
                if match.rule is not None and match.action.worker == rules.DMARC_WORKER:
                    return None  # the rule names whose reports these are
                worker = self._workers.get(match.action.worker)
                if worker is None:
                    return NO_WORKER
                if await worker.recipient(to):
                    return None
                match = await self._matcher.certain(rules.Match(rules.UNKNOWN_RECIPIENT))
        except DmarcworksError:
            return STORE_UNAVAILABLE
        # A worker's `recipient` is other people's code: what it raises is "later" for the sender.
        except Exception as error:
            log.exception("a worker failed at RCPT", error=repr(error))
            return TRY_LATER
        if not isinstance(match.action, rules.Reject):
            return None
        if match.rule is None:
            self._metrics.refused.inc()
        else:
            now = datetime.now(UTC)
            routed = Routed(match.action.status, "rejected", match.action.status)
            self._record(routed, b"", 0.0)
            self._activity.note(
                activity_line(
                    routed,
                    match,
                    gate,
                    sender="",
                    to=to,
                    raw=b"",
                    peer=Peer("", ""),
                    time=now,
                    seconds=0.0,
                    checked=None,
                )
            )
        return match.action.status

    async def deliver(self, sender: str, to: str, raw: bytes, peer: Peer) -> str:
        """The whole reply to a mail."""
        return (await self.route(sender, to, raw, peer)).reply

    async def route(self, sender: str, to: str, raw: bytes, peer: Peer) -> Routed:
        """The same with everything that became of it."""
        now, started = datetime.now(UTC), time.perf_counter()
        address = self._matcher.normal(to)
        try:
            match, gate = await self._matcher.match(address)
        except DmarcworksError as error:
            match, gate = rules.Match(rules.Reject(STORE_UNAVAILABLE)), None
            routed, checked = Routed(STORE_UNAVAILABLE, "failed", str(error)), None
        else:
            account_id, domain_id = owner_of(match, gate)
            message = Message(
                sender,
                address,
                raw,
                peer=peer.address,
                helo=peer.helo,
                account_id=account_id,
                domain_id=domain_id,
                rua=gate is not None and domain_id != NO_DOMAIN,
                post=self._outgoing_mail,
            )
            routed = await self._act(match, message)
            checked = message.authenticity
        seconds = time.perf_counter() - started
        self._record(routed, raw, seconds)
        self._activity.note(
            activity_line(
                routed,
                match,
                gate,
                sender=sender,
                to=address,
                raw=raw,
                peer=peer,
                time=now,
                seconds=seconds,
                checked=checked,
            )
        )
        return routed

    async def belongs(self, address: str) -> tuple[str, str]:
        """The account and the domain that an address belongs to; "" for both when it belongs to none."""
        return await self._matcher.belongs(address)

    async def _act(self, match: rules.Match, message: Message) -> Routed:
        action = match.action
        if isinstance(action, rules.Drop):
            return Routed(ACCEPTED, "dropped")
        if isinstance(action, rules.Reject):
            return Routed(action.status, "rejected", action.status)
        if isinstance(action, rules.Forward):
            # Mail to postmaster is forwarded by a setting, not by a rule; it is accepted regardless of that setting.
            kept = None if match.rule is not None else _KEPT
            return await self._leave(message.forward(action.destination), message, kept)
        if isinstance(action, rules.Return):
            assert self._outgoing_mail is not None
            return await self._leave(self._outgoing_mail.bounce(message, action.original), message)
        worker = self._workers.get(action.worker)
        if worker is None:
            return Routed(NO_WORKER, "failed", f"there is no worker {action.worker}")
        done = await worker.deliver(message)
        sent = tuple(message.sent)
        if done.reply.startswith("2"):
            kinds = {mail.kind for mail in sent}
            outcome = "forwarded" if "forward" in kinds else "replied" if "reply" in kinds else "handled"
            return Routed(done.reply, outcome, mail_id=done.word if _is_id(done.word) else "", sent=sent)
        rejected = done.reply.startswith("5")
        if rejected and action.worker == rules.DMARC_WORKER and self._sure is not None:
            try:
                await self._sure()
            except DmarcworksError as error:
                return Routed(STORE_UNAVAILABLE, "failed", str(error))
        why = message.reject_reason if rejected and message.reject_reason is not None else done.word
        return Routed(done.reply, "rejected" if rejected else "failed", why, sent=sent)

    async def _leave(self, leaving: Awaitable[str], message: Message, otherwise: rules.Action | None = None) -> Routed:
        """Send the mail on; do `otherwise` with it while its destination is not verified."""
        try:
            await leaving
        except RefusedError as error:
            return Routed(error.reply, "failed" if error.temporary else "rejected", error.reply)
        except DeniedError as error:
            if otherwise is None:
                return Routed(TRY_LATER, "failed", str(error))
            log.warning("a mail is kept instead of forwarded", recipient=message.to, error=str(error))
            return await self._act(rules.Match(otherwise), message)
        except DmarcworksError as error:
            return Routed(TRY_LATER, "failed", str(error))
        return Routed(ACCEPTED, "forwarded", sent=tuple(message.sent))

    def _record(self, routed: Routed, raw: bytes, seconds: float) -> None:
        self._metrics.mails.labels(routed.outcome).inc()
        self._metrics.mail_bytes.inc(len(raw))
        if raw:
            self._metrics.accept_seconds.observe(seconds)


def _is_id(word: str) -> bool:
    return len(word) == 32 and word.isalnum()
